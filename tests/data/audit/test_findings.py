from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.audit import findings, near
from murace.data.audit.findings import FINGERPRINTS, INDEX, AuditFinding, count, find, notes
from murace.system.progress import Reporter


def table(rows: list[dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two tables of ordinary images, with what `rows` says otherwise; no two of them look alike."""
    random = np.random.default_rng(0)
    images = pd.DataFrame(
        [
            {
                "row": row, "split": "train", "label": 0, "width": 300, "height": 400, "sha256": f"file{row}",
                "pixels": f"picture{row}", "phash": f"{random.integers(0, 2**63):016x}", "colour": 0, "remark": "",
                **given,
            }
            for row, given in enumerate(rows)
        ]
    )  # fmt: skip
    return images[INDEX], images[FINGERPRINTS]


def found(rows: list[dict], pixels: np.ndarray | None = None) -> pd.DataFrame:
    pixels = np.zeros((len(rows), 8, 8), np.uint8) if pixels is None else pixels
    return find(*table(rows), pixels, fit="squash", reporter=Reporter())


def test_ordinary_images_are_not_listed():
    frame = found([{}, {"split": "test"}, {"split": "validation", "label": 1}])
    assert frame.empty
    assert list(frame.columns) == findings.COLUMNS
    assert count(frame, 0) == dict.fromkeys(map(str, AuditFinding), 0)
    assert notes(count(frame, 0)) == []


ODD = [
    ({"remark": "flat"}, AuditFinding.FLAT, ""),
    ({"remark": "dark"}, AuditFinding.DARK, ""),
    ({"width": 63, "height": 100}, AuditFinding.SIZE, "63 x 100"),
    ({"width": 100, "height": 401}, AuditFinding.SIZE, "100 x 401"),
    ({"colour": 9}, AuditFinding.COLOUR, "channels differ by 9"),
]


@pytest.mark.parametrize(("given", "kind", "detail"), ODD)
def test_an_odd_picture_is_listed_by_its_row(given, kind, detail):
    frame = found([{}, {"split": "test", "label": 1, **given}])
    assert frame[["kind", "rows", "detail", "splits", "labels"]].values.tolist() == [[kind, "1", detail, "test", "1"]]


@pytest.mark.parametrize("given", [{"width": 64, "height": 64}, {"width": 100, "height": 400}, {"colour": 8}])
def test_at_the_limit_nothing_is_odd(given):
    assert found([given]).empty


def test_copies_are_groups_of_files_of_pixels_and_of_contradictions():
    frame = found(
        [
            {"pixels": "a", "sha256": "1"},
            {},
            {"pixels": "a", "sha256": "1"},
            {"pixels": "a", "sha256": "2", "label": 1},
            {"pixels": "b", "sha256": "3", "label": 1},
            {"pixels": "b", "sha256": "3", "label": 1},
        ]
    )
    assert frame[["kind", "rows", "labels"]].values.tolist() == [
        [AuditFinding.LABELS, "0 2 3", "0 1"],
        [AuditFinding.FILE, "0 2", "0"],
        [AuditFinding.FILE, "4 5", "1"],
        [AuditFinding.PIXELS, "0 2 3", "0 1"],
    ]


def test_near_duplicates_are_of_different_splits_most_alike_first_and_never_flat(monkeypatch):
    seen = []

    def near_duplicates(hashes, parts, picture, reporter):
        seen.extend(part.tolist() for part in parts)
        return [near.Pair(0, 2, "mirrored", 3, 0.95), near.Pair(1, 2, "as it is", 1, 0.99)]

    monkeypatch.setattr(findings, "near_duplicates", near_duplicates)
    frame = found([{}, {"split": "validation", "label": 1}, {"split": "test"}, {"split": "test", "remark": "flat"}])
    near_ones = frame[frame["kind"] == AuditFinding.NEAR]
    assert seen == [[0], [1], [2]]
    assert near_ones[["rows", "distance", "correlation", "detail", "splits", "labels"]].values.tolist() == [
        ["1 2", 1, 0.99, "as it is", "validation test", "0 1"],
        ["0 2", 3, 0.95, "mirrored", "train test", "0"],
    ]


def test_every_kind_has_a_note_and_no_note_an_id():
    said = notes({str(kind): 7 for kind in AuditFinding})
    assert len(said) == len(AuditFinding)
    assert all("7" in note for note in said)
    assert notes({}) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=12))
def test_copies_are_those_that_a_slow_count_finds(drawn):
    rows = [{"pixels": f"p{p}", "sha256": f"f{p}{f}", "label": label} for p, f, label in drawn]
    frame = found(rows)
    pictures = {p: [row for row in rows if row["pixels"] == f"p{p}"] for p in range(4)}
    files = Counter(row["sha256"] for row in rows)
    counts = count(frame, 0)
    assert counts[AuditFinding.FILE] == sum(number > 1 for number in files.values())
    assert counts[AuditFinding.PIXELS] == sum(len({row["sha256"] for row in own}) > 1 for own in pictures.values())
    assert counts[AuditFinding.LABELS] == sum(len({row["label"] for row in own}) > 1 for own in pictures.values())
