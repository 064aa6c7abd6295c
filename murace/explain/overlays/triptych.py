"""The picture of a class activation map: original, map and overlay side by side, with a colour bar in logits."""

import math
import textwrap

import numpy as np
from PIL import Image, ImageDraw

from murace.explain.overlays.colours import LIMIT, Bytes, Heat, colours, painted
from murace.report.drawing.sheet import BACKGROUND, INK, compose, letters

LETTERS = 22  # in a line of a sentence
LARGEST = 64  # pixels of its letters
LEAST_SIDE = 256  # pixels of a panel; smaller originals are enlarged by a whole factor
MOST_HEIGHT = 2048  # no enlargement beyond it
TITLES = ("original", "map", "overlay")


def triptych(original: Bytes, heat: Heat, *, caption: str, limit: float = LIMIT, unit: str = "log-odds") -> Bytes:
    """Draw original, map and overlay beside each other at the original's own resolution.

    An original narrower than `LEAST_SIDE` is enlarged by a whole factor so that the text can be read.

    Args:
        original: uint8 [H, W], grey.
        heat: [h, w], floating, the map in logits; positive towards abnormal.
        caption: one line above, such as ``p = 0.93  abnormal  elbow  densenet``.
        limit: the value at which the colours end, in both directions.
        unit: of the map's values, written over the colour bar.

    Returns:
        uint8 [.., .., 3], RGB.

    Raises:
        ValueError: the arrays do not fit the description, or the map has values that are not finite.
    """
    _check(original, heat, limit)
    grey = _enlarged(original)
    panels = [np.repeat(grey[..., None], 3, axis=-1), *painted(grey, heat, limit)]
    return _sheet([_frame(panel) for panel in panels], caption=caption, limit=limit, unit=unit)


def without_map(original: Bytes, sentence: str, *, caption: str, limit: float = LIMIT, unit: str = "log-odds") -> Bytes:
    """Draw the original, and `sentence` where the map and the overlay would be: there is nothing to show.

    Args:
        original: uint8 [H, W], grey.
        sentence: why there is no map.
        caption: as for `triptych`.
        limit: likewise.
        unit: likewise.

    Returns:
        uint8 [.., .., 3], RGB, as large as `triptych` would draw it.

    Raises:
        ValueError: `original` does not fit the description.
    """
    _check(original, np.zeros((1, 1)), limit)
    first = _frame(np.repeat(_enlarged(original)[..., None], 3, axis=-1))
    blank = text_panel(first.shape[0], first.shape[1], sentence)
    return _sheet([first, blank, blank], caption=caption, limit=limit, unit=unit)


def _sheet(panels: list[Bytes], *, caption: str, limit: float, unit: str) -> Bytes:
    values = np.linspace(limit, -limit, panels[0].shape[0], dtype=np.float32)[:, None]
    scale = colours(values, limit=limit)
    return compose(dict(zip(TITLES, panels, strict=True)), caption=caption, scale=scale, limit=limit, unit=unit)


def _check(original: Bytes, heat: Heat, limit: float) -> None:
    if original.dtype != np.uint8 or original.ndim != 2 or original.size == 0:
        raise ValueError(f"original must be uint8 [H, W], not {original.dtype} {list(original.shape)}")
    if heat.ndim != 2 or heat.size == 0:
        raise ValueError(f"heat must be a map [h, w], not {list(heat.shape)}")
    if not np.isfinite(heat).all():
        raise ValueError("heat has values that are not finite: the network's weights or features are broken")
    if not limit > 0:
        raise ValueError(f"limit must be positive, not {limit}")


def _enlarged(original: Bytes) -> Bytes:
    """A narrow original, enlarged by a whole factor so that the text above it can be read."""
    height, width = original.shape
    factor = max(1, min(math.ceil(LEAST_SIDE / width), MOST_HEIGHT // height))
    return np.repeat(np.repeat(original, factor, axis=0), factor, axis=1) if factor > 1 else original


def _frame(panel: Bytes) -> Bytes:
    """Centre a narrow or a flat panel on the background."""
    height, width = (max(LEAST_SIDE, side) for side in panel.shape[:2])
    if (height, width) == panel.shape[:2]:
        return panel
    framed = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    framed[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return framed


def text_panel(height: int, width: int, sentence: str) -> Bytes:
    """Write a sentence in the middle of a panel, uint8 [height, width, 3], RGB; in small letters where it is long."""
    panel = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(panel)
    text = "\n".join(textwrap.wrap(sentence, LETTERS))
    size = min(LARGEST, width // 12)
    while True:
        font = letters(size)
        _, _, right, bottom = pen.multiline_textbbox((0, 0), text, font=font, align="center")
        if size <= 8 or (right <= width * 0.9 and bottom <= height * 0.9):
            break
        size -= 1
    pen.multiline_text((width / 2, height / 2), text, font=font, fill=INK, anchor="mm", align="center")
    return np.asarray(panel)
