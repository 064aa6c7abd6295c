"""The colours of a map over a radiograph: orange towards abnormal, blue towards normal, on one fixed scale of logits.

The same value has the same colour in every picture: nothing is stretched per image, so a picture without evidence stays
grey. The two hues can be told apart with every common kind of colour vision, and both brighten with the value.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from murace.system.opencv import cv2

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Heat = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]
LIMIT = 8.0  # logits: odds of about 3000 to 1; what lies beyond is drawn as the limit
OPACITY = 0.75  # of the overlay at the limit
RAMP = 0.5  # opacity grows as |logit|^RAMP: weak evidence is seen, and order is kept
TOWARDS_ABNORMAL = ((240, 112, 8), (255, 228, 146))  # from zero to the limit
TOWARDS_NORMAL = ((18, 126, 222), (168, 230, 255))
STEPS = 32_767  # of colour between zero and the limit
STRIP = 2**15  # pixels drawn at a time


def upsample(heat: Heat, shape: tuple[int, ...]) -> Floats:
    """Enlarge a map to [H, W] by cubic interpolation, kept within the map's own extremes (cubics overshoot)."""
    height, width = shape
    large = cv2.resize(np.asarray(heat, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    clipped: Floats = np.clip(large, heat.min(), heat.max()).astype(np.float32)
    return clipped


def colours(heat: Heat, *, limit: float = LIMIT) -> Bytes:
    """The map alone: [H, W] logits to RGB on black; zero is black."""
    return _table().alone.take(_steps(heat, limit), axis=0)


def painted(grey: Bytes, heat: Heat, limit: float) -> tuple[Bytes, Bytes]:
    """The map alone and the map over the image, which shows less where the logit is further from zero.

    Drawn in strips of rows, whose intermediate results stay in the cache.
    """
    spread = upsample(heat, grey.shape)
    table = _table()
    alone, over = (np.empty((*grey.shape, 3), dtype=np.uint8) for _ in range(2))
    rows = max(1, STRIP // grey.shape[1])
    for top in range(0, grey.shape[0], rows):
        strip = slice(top, top + rows)
        steps = _steps(spread[strip], limit)
        alone[strip] = table.alone.take(steps, axis=0)
        mixed = table.kept.take(steps) * grey[strip]
        over[strip] = cv2.add(cv2.merge([mixed] * 3), table.added.take(steps, axis=0), dtype=cv2.CV_8U)
    return alone, over


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
