"""Class activation maps over the original: original, map and overlay side by side, colours on one fixed scale.

The map's values are log-odds (logits). The same value has the same colour in every picture: nothing is stretched per
image, so a picture without evidence stays grey. Positive (orange) pulls towards abnormal, negative (blue) towards
normal: hues that every common kind of colour vision tells apart, both brightening with the value.
"""

import math
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from murace.report.drawing.sheet import compose
from murace.system.opencv import cv2

BACKGROUND = (16, 17, 20)
INK = (236, 238, 241)
LETTERS = 22  # in a line
LARGEST = 64  # pixels

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Heat = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]

LIMIT = 8.0  # logits: odds of about 3000 to 1; what lies beyond is drawn as the limit
LEAST_SIDE = 256  # pixels of a panel; smaller originals are enlarged by a whole factor
MOST_HEIGHT = 2048  # no enlargement beyond it
OPACITY = 0.75  # of the overlay at the limit
RAMP = 0.5  # opacity grows as |logit|^RAMP: weak evidence is seen, and order is kept
TOWARDS_ABNORMAL = ((240, 112, 8), (255, 228, 146))  # from zero to the limit
TOWARDS_NORMAL = ((18, 126, 222), (168, 230, 255))
TITLES = ("original", "map", "overlay")
STEPS = 32_767  # of colour between zero and the limit
STRIP = 2**15  # pixels drawn at a time


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
    factor = _factor(*original.shape)
    grey = np.repeat(np.repeat(original, factor, axis=0), factor, axis=1) if factor > 1 else original
    panels = [np.repeat(grey[..., None], 3, axis=-1), *_painted(grey, heat, limit)]
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
    factor = _factor(*original.shape)
    grey = np.repeat(np.repeat(original, factor, axis=0), factor, axis=1)
    first = _frame(np.repeat(grey[..., None], 3, axis=-1))
    blank = text_panel(first.shape[0], first.shape[1], sentence)
    return _sheet([first, blank, blank], caption=caption, limit=limit, unit=unit)


def _sheet(panels: list[Bytes], *, caption: str, limit: float, unit: str) -> Bytes:
    scale = _scale(panels[0].shape[0], limit)
    return compose(dict(zip(TITLES, panels, strict=True)), caption=caption, scale=scale, limit=limit, unit=unit)


def upsample(heat: Heat, shape: tuple[int, ...]) -> Floats:
    """Enlarge a map to [H, W] by cubic interpolation, kept within the map's own extremes (cubics overshoot)."""
    height, width = shape
    large = cv2.resize(np.asarray(heat, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    clipped: Floats = np.clip(large, heat.min(), heat.max()).astype(np.float32)
    return clipped


def colours(heat: Heat, *, limit: float = LIMIT) -> Bytes:
    """The map alone: [H, W] logits to RGB on black; zero is black."""
    return _table().alone.take(_steps(heat, limit), axis=0)


def blend(grey: Bytes, heat: Heat, *, limit: float = LIMIT) -> Bytes:
    """The map over the image: more opaque where the logit is further from zero; at zero the image alone."""
    return _over(grey, _steps(heat, limit))


def _painted(grey: Bytes, heat: Heat, limit: float) -> tuple[Bytes, Bytes]:
    """The map alone and the map over the image, in strips of rows, whose intermediate results stay in the cache."""
    spread = upsample(heat, grey.shape)
    alone, over = (np.empty((*grey.shape, 3), dtype=np.uint8) for _ in range(2))
    rows = max(1, STRIP // grey.shape[1])
    for top in range(0, grey.shape[0], rows):
        strip = slice(top, top + rows)
        steps = _steps(spread[strip], limit)
        alone[strip] = _table().alone.take(steps, axis=0)
        over[strip] = _over(grey[strip], steps)
    return alone, over


def _over(grey: Bytes, steps: Indices) -> Bytes:
    mixed = _table().kept.take(steps) * grey
    drawn = cv2.add(cv2.merge([mixed] * 3), _table().added.take(steps, axis=0), dtype=cv2.CV_8U)
    return np.asarray(drawn, dtype=np.uint8)


def _steps(heat: Heat, limit: float) -> Indices:
    """Where in the table each logit's colour stands; zero has a line of its own."""
    share = np.clip(np.asarray(heat, dtype=np.float32) / limit, -1, 1)
    steps: Indices = np.rint(share * STEPS + STEPS).astype(np.intp)
    return steps


@dataclass(frozen=True)
class _Table:
    """The colours of 2 * `STEPS` + 1 shares of the limit, from -1 to 1: no channel is off by more than one level."""

    alone: Bytes  # [.., 3] on black
    kept: Floats  # [..] how much of the image is kept under them
    added: Floats  # [.., 3] what they add to it


@cache
def _table() -> _Table:
    share = np.arange(-STEPS, STEPS + 1, dtype=np.float32)[:, None] / STEPS
    ends = [np.array(pair, dtype=np.float32) for pair in (TOWARDS_ABNORMAL, TOWARDS_NORMAL)]
    warm, cold = (first + np.abs(share) * (last - first) for first, last in ends)
    tint = np.where(share >= 0, warm, cold)
    strength = np.abs(share) ** RAMP
    opacity = OPACITY * strength
    kept, added = (1 - opacity[:, 0]).astype(np.float32), (opacity * tint).astype(np.float32)
    return _Table(np.rint(tint * strength).astype(np.uint8), kept, added)


def _check(original: Bytes, heat: Heat, limit: float) -> None:
    if original.dtype != np.uint8 or original.ndim != 2 or original.size == 0:
        raise ValueError(f"original must be uint8 [H, W], not {original.dtype} {list(original.shape)}")
    if heat.ndim != 2 or heat.size == 0:
        raise ValueError(f"heat must be a map [h, w], not {list(heat.shape)}")
    if not np.isfinite(heat).all():
        raise ValueError("heat has values that are not finite: the network's weights or features are broken")
    if not limit > 0:
        raise ValueError(f"limit must be positive, not {limit}")


def _factor(height: int, width: int) -> int:
    return max(1, min(math.ceil(LEAST_SIDE / width), MOST_HEIGHT // height))


def _frame(panel: Bytes) -> Bytes:
    """Centre a narrow or a flat panel on the background."""
    height, width = (max(LEAST_SIDE, side) for side in panel.shape[:2])
    if (height, width) == panel.shape[:2]:
        return panel
    framed = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    framed[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return framed


def _scale(height: int, limit: float) -> Bytes:
    """The colour bar, one pixel wide: the limit on top, its negative at the bottom."""
    return colours(np.linspace(limit, -limit, height, dtype=np.float32)[:, None], limit=limit)


def text_panel(height: int, width: int, sentence: str) -> npt.NDArray[np.uint8]:
    """Write a sentence in the middle of a panel, uint8 [height, width, 3], RGB; in small letters where it is long."""
    panel = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(panel)
    text = "\n".join(textwrap.wrap(sentence, LETTERS))
    size = min(LARGEST, width // 12)
    while True:
        font = ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
        _, _, right, bottom = pen.multiline_textbbox((0, 0), text, font=font, align="center")
        if size <= 8 or (right <= width * 0.9 and bottom <= height * 0.9):
            break
        size -= 1
    pen.multiline_text((width / 2, height / 2), text, font=font, fill=INK, anchor="mm", align="center")
    return np.asarray(panel)
