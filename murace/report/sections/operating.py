"""Section operating points: thresholds chosen on validation, frozen, and applied to the test split."""

from murace.report.contents import Contents
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Lines, Row, Table, by_columns, score_cell
from murace.vocabulary import CALIBRATED, Split

POINTS = {
    "half": "0.5",
    "youden": "Youden",
    "sensitivity_90": "Sensitivity ≥ 0.90",
    "sensitivity_95": "Sensitivity ≥ 0.95",
}
METRICS = {"recall": "Sensitivity", "specificity": "Specificity", "precision": "PPV", "npv": "NPV"}
SPLITS = (Split.VALIDATION, Split.TEST)
NOTES = [
    "Every threshold was chosen on the validation studies and then left as it is: what it promises there, the test "
    "split may keep or not. Validation scores are those that the threshold was chosen by, so they flatter.",
    "Youden: the threshold with the largest sensitivity + specificity − 1. Sensitivity ≥ 0.90: the highest threshold "  # noqa: RUF001
    "that still finds nine in ten abnormal validation studies.",
    "PPV: of those called abnormal, the share that is (precision). NPV: of those called normal, the share that is. "
    "Both depend on how many studies are abnormal; elsewhere they will differ.",
    "Per study, with the probability before temperature scaling. Under a test score: its 95% interval by the bootstrap "
    "over patients; validation has none, since it would leave out the choosing. Data: evaluate/operating.csv.",
]


def operating_table(contents: Contents) -> Table | None:
    """A block per model, a row per operating point; None where none was chosen."""
    frame = contents.operating
    if frame.empty:
        return None
    lines = by_columns(frame, "model", "point", "split", "metric")
    models = sorted(dict.fromkeys(frame["model"]), key=lambda model: model != CALIBRATED)
    points = list(dict.fromkeys(frame["point"]))
    names = list(METRICS.values())
    return Table(
        key="table-s6",
        number="Table S6",
        caption="Operating points: thresholds from validation, applied to the test split.",
        corner="Chosen by",
        spans=[("On validation", len(METRICS) + 1), ("On test", len(METRICS))],
        columns=[Column(name="Threshold"), *(Column(name=name) for name in [*names, *names])],
        blocks=[
            Block(
                name=formats.model_name(model),
                rows=[_row(lines, model, point) for point in points if (model, point) in {key[:2] for key in lines}],
            )
            for model in models
        ],
        notes=NOTES,
    )


def _row(lines: Lines, model: str, point: str) -> Row:
    found = [lines.get((model, point, split, metric), {}) for split in SPLITS for metric in METRICS]
    threshold = next((line["threshold"] for line in found if line), None)
    return Row(name=POINTS.get(point, point), cells=[Cell(text=formats.threshold(threshold)), *map(score_cell, found)])
