"""The paper's Table 3 from confusion counts, by `murace score`: 23 of its 40 rows fit one matrix, 17 fit none.

A row (a model in a group) gives accuracy, precision, recall and kappa with two digits. With the numbers of abnormal and
normal cases known, two counts fix a matrix: its true and its false positives. Every pair of counts is tried, for
studies and for images. AUC is left out: it does not follow from one matrix.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from murace.report.sections.paper import paper_table
from tests.cli.typed import answered

METRICS = ["accuracy", "precision", "recall", "kappa"]
TOLERANCE = 0.0055  # two digits, and a little for a value that was rounded twice
STUDIES = {  # abnormal and normal studies of MURA's public validation set, which is the paper's test set
    "overall": (538, 661),
    "elbow": (66, 92),
    "finger": (83, 92),
    "forearm": (64, 69),
    "hand": (66, 101),
    "humerus": (67, 68),
    "shoulder": (95, 99),
    "wrist": (97, 140),
}
INCONSISTENT = {
    "convnet": {"elbow", "forearm", "hand", "wrist"},
    "resnet": {"elbow", "finger", "hand"},
    "densenet": {"forearm"},
    "resnet+densenet": {"forearm", "hand", "wrist"},
    "calibrated": {"overall", "finger", "forearm", "hand", "humerus", "wrist"},
}
Matrix = tuple[int, int, int, int]  # true and false positives, false and true negatives
Row = tuple[str, str]  # model, group


def matrix_of(row: pd.Series, abnormal: int, normal: int) -> Matrix | None:
    """The matrix nearest to a row of Table 3 if each of its four numbers agrees to rounding, else None."""
    hits = np.arange(abnormal + 1)
    hits = hits[np.abs(hits / abnormal - row["recall"]) <= TOLERANCE][:, None]
    alarms, total = np.arange(normal + 1)[None, :], abnormal + normal
    decided, right = hits + alarms, hits + normal - alarms
    chance = (abnormal * decided + normal * (total - decided)) / total**2
    found = {
        "accuracy": right / total,
        "precision": hits / np.maximum(decided, 1),
        "recall": np.broadcast_to(hits / abnormal, right.shape),
        "kappa": (right / total - chance) / (1 - chance),
    }
    worst = np.max([np.abs(found[name] - row[name]) for name in METRICS], axis=0)
    if not worst.size or worst.min() > TOLERANCE:
        return None
    place, false = map(int, np.unravel_index(worst.argmin(), worst.shape))
    true = int(hits[place, 0])
    return true, false, abnormal - true, normal - false


def fits() -> tuple[dict[str, dict[Row, Matrix]], dict[Row, pd.Series]]:
    """Level -> row -> its matrix, where there is one; and all 40 rows."""
    images = paper_table(1).set_index("group")[["test_positive", "test_negative"]].T.to_dict("list")
    rows = dict(paper_table(3).pivot(index=["model", "group"], columns="metric", values="value").iterrows())
    sizes = {"study": STUDIES, "image": images}
    found = {
        level: {key: matrix for key, row in rows.items() if (matrix := matrix_of(row, *counts[key[1]]))}
        for level, counts in sizes.items()
    }
    return found, rows


@pytest.fixture(scope="module")
def table() -> tuple[dict[str, dict[Row, Matrix]], dict[Row, pd.Series]]:
    return fits()


def as_csv(cases: dict[str, Matrix]) -> str:
    """A group for each matrix, a study of one image for each of its cases, a probability of 0 or 1."""
    kinds = ("1,1", "0,1", "1,0", "0,0")  # label,p in the order of a matrix
    lines = [
        f"{kind},{group}\n" * count
        for group, matrix in cases.items()
        for kind, count in zip(kinds, matrix, strict=True)
    ]
    return "label,p,group\n" + "".join(lines)


def test_23_rows_come_out_as_printed(table: tuple, tmp_path: Path) -> None:
    found, rows = table
    printed = {
        f"{level}-{place}": (matrix, rows[key])
        for level, matrices in found.items()
        for place, (key, matrix) in enumerate(matrices.items())
    }
    path = tmp_path / "table3.csv"
    path.write_text(as_csv({group: matrix for group, (matrix, _) in printed.items()}))
    scores = pd.DataFrame(answered("score", path, "--resamples", 100)["scores"])
    for level in ("study", "image"):  # a row is a study of one image here: both levels say the same
        values = scores[scores["level"] == level].pivot(index="group", columns="metric", values="value")
        off = {group: (values.loc[group, METRICS] - row[METRICS]).abs().max() for group, (_, row) in printed.items()}
        assert max(off.values()) <= TOLERANCE, {group: value for group, value in off.items() if value > TOLERANCE}


def test_they_are_23_and_the_17_others_are_known(table: tuple) -> None:
    found, rows = table
    by_study, by_image = set(found["study"]), set(found["image"])
    assert (len(by_study - by_image), len(by_image - by_study), len(by_study & by_image)) == (12, 5, 6)
    assert set(rows) - by_study - by_image == {
        (model, group) for model, names in INCONSISTENT.items() for group in names
    }


def test_the_groups_add_up() -> None:
    groups = [name for name in STUDIES if name != "overall"]
    assert tuple(np.sum([STUDIES[name] for name in groups], axis=0)) == STUDIES["overall"]


def test_one_case_more_is_told_apart() -> None:
    """The search would not accept just any row."""
    row = pd.Series({"accuracy": 0.9, "precision": 0.9, "recall": 0.9, "kappa": 0.8})
    assert matrix_of(row, 100, 100) == (90, 10, 10, 90)
    assert matrix_of(pd.Series({**row, "recall": 0.91}), 100, 100) is None
