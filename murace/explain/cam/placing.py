"""Where a map lies over the original, which was squashed into the net's square or padded to it."""

import numpy as np
import numpy.typing as npt

from murace.explain.cam.maps import Maps
from murace.system.opencv import cv2

GRID = 256  # cells along the square's side


def over_original(heat: Maps, *, width: int, height: int, fit: str) -> Maps:
    """The part of a map [h, w] that lies over the original, which may be cut out of the padded square.

    Args:
        heat: the map of the prepared image.
        width: of the original, in pixels.
        height: likewise.
        fit: `squash`, where the map covers the original as it is, or `pad`.

    Returns:
        Maps [h, w] for `squash`; for `pad`, one value per pixel, [height, width].
    """
    if fit == "squash":
        return heat
    side = max(width, height)
    square = cv2.resize(heat, (side, side), interpolation=cv2.INTER_LINEAR)
    top, left = (side - height) // 2, (side - width) // 2
    return np.asarray(square[top : top + height, left : left + width], dtype=np.float64)


def grid_over_original(heat: Maps, *, width: int, height: int, fit: str, side: int = GRID) -> tuple[Maps, Maps]:
    """A map on a fine grid over the original, enlarged by cubic interpolation, for measuring.

    Returns:
        The grid [m, n], m and n at most `side`, its cells equal shares of the original's height and width; and, of the
        same shape, 1 where a value is interpolated, 0 beyond the centres of the map's outermost cells, where it is
        extrapolated and has no peak of its own.
    """
    square = cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC)
    rows, columns = (_between_centres(cells, side) for cells in heat.shape)
    inner = np.outer(rows, columns).astype(np.float64)
    if fit == "squash":
        return np.asarray(square, dtype=np.float64), inner
    down, across = (max(1, round(length * side / max(width, height))) for length in (height, width))
    top, left = (side - down) // 2, (side - across) // 2
    cut = (slice(top, top + down), slice(left, left + across))
    return np.asarray(square[cut], dtype=np.float64), inner[cut]


def _between_centres(cells: int, side: int) -> npt.NDArray[np.bool_]:
    """Which of `side` grid cells lie between the centres of the first and the last of `cells`, those included."""
    first = side / (2 * cells)
    centre = np.arange(side) + 0.5
    return np.asarray((centre >= first - 0.5) & (centre <= side - first + 0.5))
