import numpy as np
import pandas as pd
import pytest

from murace.data.audit.findings import COLUMNS, AuditFinding
from murace.data.images.fingerprint import TURN_NAMES
from murace.report.drawing import contact
from murace.report.drawing.contact import draw_sheet
from murace.system.opencv import cv2

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 16, 16), dtype=np.uint8)
INDEX = pd.DataFrame({"split": ["train", "validation", "test"] * 10, "label": [0, 1] * 15})


def findings(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame([(*row, *[""] * (len(COLUMNS) - len(row))) for row in rows], columns=COLUMNS)


def drawn(frame: pd.DataFrame, *, synthetic: bool = False) -> np.ndarray:
    return cv2.imdecode(
        np.frombuffer(draw_sheet(frame, INDEX, PIXELS, synthetic=synthetic), np.uint8), cv2.IMREAD_COLOR
    )


def texts(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, **settings: bool) -> list[str]:
    """Everything that is written on the sheet."""
    written = []
    text = contact.ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        contact.ImageDraw.ImageDraw,
        "text",
        lambda pen, at, words, **more: (written.append(words), text(pen, at, words, **more)),
    )
    drawn(frame, **settings)
    return written


NEAR = [(AuditFinding.NEAR, f"{2 * number} {2 * number + 1}", number, 0.99, "mirrored") for number in range(15)]


def test_a_pair_stands_side_by_side():
    sheet = drawn(findings(NEAR[0]))
    enlarged = cv2.resize(PIXELS[:2].transpose(1, 2, 0), (contact.TILE, contact.TILE), interpolation=cv2.INTER_LINEAR)
    left, right = enlarged[:, :, 0], enlarged[:, :, 1]
    grey = sheet[:, :, 0]
    top = next(row for row in range(len(grey)) if np.array_equal(grey[row, contact.MARGIN :][: contact.TILE], left[0]))
    tile = slice(top, top + contact.TILE)
    second = contact.MARGIN + contact.TILE + contact.SEAM
    assert np.array_equal(grey[tile, contact.MARGIN : contact.MARGIN + contact.TILE], left)
    assert np.array_equal(grey[tile, second : second + contact.TILE], right)


def test_captions_hold_rows_splits_labels_and_what_was_found(monkeypatch):
    written = texts(findings(NEAR[1], (AuditFinding.COLOUR, "8", "", "", "channels differ by 90")), monkeypatch)
    assert {"2 test, normal", "3 train, abnormal", "8 test, normal", "channels differ by 90"} <= set(written)
    assert "mirrored, 1 bits apart, r 0.990" in written


def test_of_a_conflict_both_labels_are_shown(monkeypatch):
    written = texts(findings((AuditFinding.LABELS, "0 2 4 5")), monkeypatch)
    assert {"0 train, normal", "5 test, abnormal", "4 files in all"} <= set(written)


def test_of_many_a_few_are_shown_and_the_others_counted(monkeypatch):
    monkeypatch.setitem(contact.LINES, AuditFinding.NEAR, 2)
    written = texts(findings(*NEAR), monkeypatch)
    assert "15, 7 more in findings.csv" in written
    assert sum("bits apart" in words for words in written) == 8


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_drawn_data_set_is_called_so_and_no_finding_is_said_so(synthetic, monkeypatch):
    written = texts(findings(), monkeypatch, synthetic=synthetic)
    assert any("Nothing was found" in words for words in written)
    assert any("Synthetic" in words for words in written) == synthetic


def test_captions_fit_their_pictures():
    """The longest there can be, of a row with six digits."""
    length = contact.letters(12).getlength
    assert length("123456 validation, abnormal") <= contact.TILE
    views = [f"{words}, inverted, 8 bits apart, r 0.999" for words in TURN_NAMES.values()]
    assert max(map(length, views)) <= 2 * contact.TILE + contact.SEAM
