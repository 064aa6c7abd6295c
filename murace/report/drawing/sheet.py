"""Panels on one dark sheet: a caption above, titles, a colour bar with numbers, a line below."""

from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from murace.report.text.formats import signed
from murace.system.plotting import mpl

Bytes = npt.NDArray[np.uint8]
Font = ImageFont.FreeTypeFont

BACKGROUND = (16, 17, 20)
INK = (236, 238, 241)
FAINT = (158, 163, 171)
LABEL = "research software, not a medical device"
SMALLEST, LARGEST = 15, 96  # pixels of the caption's letters
LETTERS_PER_WIDTH = 72


class Layout:
    """Where things stand on a sheet of `count` panels, each of `width` pixels.

    Attributes (pixels):
        letters: size of the caption's letters.
        gap: between panels, and at the left edge.
        bar: width of the colour bar.
        top: the first row of the panels.
        below: rows under the panels.
        sheet: width of the whole.
    """

    def __init__(self, count: int, width: int) -> None:
        self.width = width
        self.letters = int(np.clip(count * width / LETTERS_PER_WIDTH, SMALLEST, LARGEST))
        self.gap = self.letters // 2
        self.bar = round(self.letters * 0.9)
        self.top = round(self.letters * 3.5)
        self.below = round(self.letters * 1.7)
        self.sheet = self.left(count) + self.bar + round(self.letters * 5.6)

    def left(self, place: int) -> int:
        """The first column of a panel; that of the colour bar follows the last."""
        return self.gap + place * (self.width + self.gap)


def compose(panels: Mapping[str, Bytes], *, caption: str, scale: Bytes, limit: float, unit: str = "log-odds") -> Bytes:
    """Set panels of equal size side by side.

    Args:
        panels: title -> uint8 [H, W, 3].
        caption: one line; made smaller, then cut, where it is too long.
        scale: uint8 [H, 1, 3], the colours from `limit` (top) to its negative.
        limit: the number at the ends of the scale.
        unit: of the scale.

    Returns:
        uint8 [.., .., 3], RGB.
    """
    height, width = next(iter(panels.values())).shape[:2]
    layout = Layout(len(panels), width)
    size, gap, bar, top = layout.letters, layout.gap, layout.bar, layout.top
    left_of_bar = layout.left(len(panels))
    sheet = Image.new("RGB", (layout.sheet, top + height + layout.below), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    text, font = _fit(pen, caption, size=size, width=sheet.width - 2 * gap)
    pen.text((gap, size), text, font=font, fill=INK, anchor="lm")
    small = letters(round(size * 0.74))
    for place, (title, ensemble) in enumerate(panels.items()):
        x = layout.left(place)
        sheet.paste(Image.fromarray(ensemble), (x, top))
        pen.text((x, top - gap), title, font=small, fill=FAINT, anchor="ls")
    sheet.paste(Image.fromarray(np.repeat(scale, bar, axis=1)), (left_of_bar, top))
    pen.text((left_of_bar, top - gap), unit, font=small, fill=FAINT, anchor="ls")
    _number(pen, (left_of_bar + bar, top), height, limit=limit, font=small)
    pen.text((gap, sheet.height - round(size * 0.8)), LABEL, font=small, fill=FAINT, anchor="lm")
    return np.asarray(sheet)


def panels_on(sheet: Bytes, count: int) -> list[Bytes]:
    """Find the `count` panels on a sheet that `compose` has set; none where it is no such sheet."""
    height, width = sheet.shape[:2]
    layout = Layout(count, bisect_left(range(width), width, key=lambda ensemble: Layout(count, ensemble).sheet))
    rows = slice(layout.top, height - layout.below)
    if layout.sheet != width or rows.stop <= rows.start:
        return []
    return [sheet[rows, layout.left(place) : layout.left(place) + layout.width] for place in range(count)]


def _number(pen: ImageDraw.ImageDraw, corner: tuple[int, int], height: int, *, limit: float, font: Font) -> None:
    """Write five numbers beside the colour bar, and at its ends what they pull towards."""
    x, top = corner
    tick = round(font.size * 0.4)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + round(share * (height - 1))
        anchor = {0.0: "lt", 1.0: "lb"}.get(share, "lm")
        pen.line([(x, y), (x + tick, y)], fill=FAINT, width=max(1, round(font.size / 12)))
        value = limit * (1 - 2 * share)
        pen.text((x + 2 * tick, y), signed(value), font=font, fill=INK, anchor=anchor)
    step = round(font.size * 1.25)
    pen.text((x + 2 * tick, top + step), "abnormal", font=font, fill=FAINT, anchor="lt")
    pen.text((x + 2 * tick, top + height - 1 - step), "normal", font=font, fill=FAINT, anchor="lb")


def _fit(pen: ImageDraw.ImageDraw, text: str, *, size: int, width: int) -> tuple[str, Font]:
    """The text in a font that lets it fit: down to two thirds of the size, then cut with an ellipsis."""
    line = " ".join(text.split()) if "\n" in text else text
    for smaller in range(size, size * 2 // 3, -1):
        font = letters(smaller)
        if pen.textlength(line, font=font) <= width:
            return line, font
    while line and pen.textlength(f"{line}…", font=font) > width:
        line = line[:-1]
    return f"{line}…", font


def letters(size: int) -> Font:
    """DejaVu Sans, which comes with matplotlib."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
