"""Section calibration: slope, intercept, Brier score and ECE before and after temperature scaling."""

from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.sections.comparison import overall_first
from murace.report.sections.results import ECE
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Lines, Row, Table, by_columns, score_cell
from murace.vocabulary import CALIBRATED, OVERALL

METRICS = {"slope": "Slope", "intercept": "Intercept", "brier": "Brier score", "ece": "ECE"}
TEMPERATURE = "temperature"
STAGES = {"raw": "before", "calibrated": "after"}
NOTES = [
    "Temperature T: a number fitted on the validation studies alone, which also chose epochs and learners (so it may "
    "be a little small); the probability p becomes "
    "sigmoid(logit(p) / T). Over 1 it makes a model less sure of itself, under 1 surer; decisions at 0.5 stay.",
    "Slope: of a logistic regression of the labels on logit(p); 1 is perfect, under 1 the model is too sure of itself. "
    "Intercept: of such a regression with the slope held at 1 (calibration in the large); 0 is perfect, under 0 the "
    "probabilities are too high on the whole. Temperature mends the slope alone; the intercept is not corrected.",
    "Brier score and ECE (expected calibration error): lower is better.",
    ECE,
]
BY_GROUP = (
    "The calibrated ensemble has a temperature for each group, drawn towards the overall one where the group is small."
)


def calibration_table(contents: Contents) -> Table | None:
    """A row per model, then one per group of the calibrated ensemble; None where nothing was fitted."""
    frame = contents.calibration
    if frame.empty:
        return None
    lines = by_columns(frame, "model", "group", "stage", "metric")
    models = dict.fromkeys(frame.loc[frame["group"] == OVERALL, "model"])
    ours = frame[(frame["model"] == CALIBRATED) & (frame["group"] != OVERALL)]
    blocks = [Block(name="All groups together", rows=[_row(lines, model, OVERALL) for model in models])]
    if len(ours):
        rows = [_row(lines, CALIBRATED, group) for group in overall_first(ours["group"])]
        blocks.append(Block(name="Calibrated ensemble, by group", rows=rows))
    return Table(
        key="table-s5",
        number="Table S5",
        caption="Probabilities on the test studies, before and after temperature scaling.",
        corner="Model",
        spans=[(name, len(STAGES)) for name in METRICS.values()],
        columns=[*(Column(name=name) for _ in METRICS for name in STAGES.values()), Column(name="Temperature")],
        blocks=blocks,
        notes=[*NOTES, *([BY_GROUP] if len(ours) else []), *_undefined(contents), "Data: evaluate/calibration.csv."],
    )


def _undefined(contents: Contents) -> list[str]:
    """A sentence on the resamples without a slope, as where the classes do not overlap."""
    some = [line for line in contents.calibration.to_dict("records") if line.get("undefined")]
    if not some:
        return []
    worst = max(some, key=lambda line: line["undefined"])
    where = f"{worst['group']}, {formats.model_name(worst['model'])}"
    metric = METRICS[worst["metric"]].lower()
    counted = f"{worst['undefined']:,} of {support.resamples(contents):,}"
    return [f"Undefined in some resamples, which its interval leaves out: {metric} in up to {counted} ({where})."]


def _row(lines: Lines, model: str, group: str) -> Row:
    cells = [score_cell(lines.get((model, group, stage, metric), {})) for metric in METRICS for stage in STAGES]
    fitted = next((lines[key] for stage in STAGES if (key := (model, group, stage, TEMPERATURE)) in lines), {})
    if group != OVERALL:
        return Row(name=formats.group_name(group), cells=[*cells, score_cell(fitted)])
    by_group = model == CALIBRATED and any(
        key[0] == model and key[1] != group and key[3] == TEMPERATURE for key in lines
    )
    return Row(
        name=formats.model_name(model), cells=[*cells, Cell(text="by group") if by_group else score_cell(fitted)]
    )
