"""A contact sheet of what an audit found: copies side by side, odd pictures one by one; rows of the index, no ids."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from murace.data.audit.findings import AuditFinding
from murace.data.store import Pixels
from murace.report.drawing.sheet import BACKGROUND, FAINT, INK, letters
from murace.system.opencv import cv2

TITLES = {
    AuditFinding.NEAR: "The same radiograph in two splits, by likeness",
    AuditFinding.LABELS: "One picture with both labels",
    AuditFinding.FILE: "Several identical files",
    AuditFinding.PIXELS: "Several files with identical pixels",
    AuditFinding.FLAT: "One shade",
    AuditFinding.DARK: "16 bits of which 12 are used",
    AuditFinding.SIZE: "Odd size",
    AuditFinding.COLOUR: "Colour",
}
PAIRED = (AuditFinding.NEAR, AuditFinding.LABELS, AuditFinding.FILE, AuditFinding.PIXELS)
PER_LINE = {True: 4, False: 8}  # pairs; single pictures
LINES = {AuditFinding.NEAR: 6}  # of pictures at most, else two
TILE, GAP, MARGIN, CAPTION, HEAD = 184, 16, 28, 46, 54  # pixels
SEAM = 4  # between the two of a pair
WIDTH = 2 * MARGIN + 8 * TILE + 7 * GAP


def draw_sheet(findings: pd.DataFrame, index: pd.DataFrame, pixels: Pixels, *, synthetic: bool) -> bytes:
    """Draw the findings as a PNG file; of each kind a few, and how many more there are.

    Args:
        findings: as `murace.data.audit.findings.find` gives them.
        index: columns `split` and `label`.
        pixels: uint8 [N, S, S].
        synthetic: whether to say that no patient was involved.
    """
    by_kind = {kind: own for kind in TITLES if len(own := findings[findings["kind"] == kind])}
    heights = {kind: HEAD + _lines(kind, len(own)) * (TILE + CAPTION) for kind, own in by_kind.items()}
    top = 2 * MARGIN + 48
    sheet = Image.new("RGB", (WIDTH, top + sum(heights.values()) + MARGIN), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    said = " Synthetic: drawings, not radiographs." if synthetic else ""
    found = "Numbers are rows of prepare/index.csv." if by_kind else "Nothing was found that could be shown."
    pen.text((MARGIN, MARGIN), f"Audit of {len(pixels):,} images", font=letters(26), fill=INK, anchor="lt")
    pen.text((MARGIN, MARGIN + 38), f"{found}{said}", font=letters(15), fill=FAINT, anchor="lt")
    for kind, own in by_kind.items():
        _draw(sheet, pen, top, kind, own, index, pixels)
        top += heights[kind]
    return cv2.imencode(".png", np.asarray(sheet)[:, :, ::-1])[1].tobytes()


def _lines(kind: AuditFinding, count: int) -> int:
    """How many lines of pictures a kind takes that was found `count` times."""
    return min(LINES.get(kind, 2), -(-count // PER_LINE[kind in PAIRED]))


def _draw(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    top: int,
    kind: AuditFinding,
    found: pd.DataFrame,
    index: pd.DataFrame,
    pixels: Pixels,
) -> None:
    """A heading, and the pictures below it."""
    per_line = PER_LINE[kind in PAIRED]
    shown = found.head(_lines(kind, len(found)) * per_line)
    more = len(found) - len(shown)
    pen.line([(MARGIN, top + 4), (WIDTH - MARGIN, top + 4)], fill=(52, 54, 60))
    pen.text((MARGIN, top + 18), TITLES[kind], font=letters(18), fill=INK, anchor="lt")
    text = f"{len(found):,}" + (f", {more:,} more in findings.csv" if more else "")
    pen.text((WIDTH - MARGIN, top + 20), text, font=letters(15), fill=FAINT, anchor="rt")
    for place, finding in enumerate(shown.to_dict("records")):
        line, column = divmod(place, per_line)
        left = MARGIN + column * (TILE + GAP) * (8 // per_line)
        _tile(sheet, pen, (left, top + HEAD + line * (TILE + CAPTION)), finding, index, pixels)


def _tile(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    finding: Mapping[Hashable, Any],
    index: pd.DataFrame,
    pixels: Pixels,
) -> None:
    """One or two pictures with their rows, and what was found in a line below."""
    left, top = corner
    rows = [int(row) for row in str(finding["rows"]).split()]
    labels = index["label"]
    unlike = [row for row in rows if labels[row] != labels[rows[0]]]  # of a conflict both sides are shown
    for place, row in enumerate([rows[0], *unlike, *rows[1:]][:2]):
        picture = np.array(pixels[row])
        method = cv2.INTER_AREA if len(picture) > TILE else cv2.INTER_LINEAR
        at = left + place * (TILE + SEAM)
        sheet.paste(Image.fromarray(cv2.resize(picture, (TILE, TILE), interpolation=method)), (at, top))
        caption = f"{row} {index['split'][row]}, {'abnormal' if labels[row] else 'normal'}"
        pen.text((at, top + TILE + 17), caption, font=letters(12), fill=INK, anchor="ls")
    pen.text((left, top + TILE + 34), _words(finding, len(rows)), font=letters(12), fill=FAINT, anchor="ls")


def _words(finding: Mapping[Hashable, Any], count: int) -> str:
    """What is known of a finding in a few words."""
    found = [str(finding["detail"])] if finding["detail"] else []
    if finding["kind"] == AuditFinding.NEAR:
        found += [f"{finding['distance']} bits apart", f"r {finding['correlation']:.3f}"]
    if count > 2:
        found.append(f"{count} files in all")
    return ", ".join(found)
