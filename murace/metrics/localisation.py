"""Localisation metrics of a map against boxes: pointing game, energy, intersection over union (IoU).

Boxes are float [K, 4]: x, y, width and height as shares (0 to 1) of the picture's width and height. A grid is float
[m, n], its cells equal shares of the picture.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Cells = npt.NDArray[np.bool_]

MARGIN = 0.08  # of the picture's width and height, by which a box is grown to each side
THRESHOLDS = tuple(step / 20 for step in range(1, 20))  # shares of the map's maximum
TIE = 1e-9  # of the map's largest value: values this near to each other are one peak
SPREAD = 0.25  # of a side: standard deviation of the centre prior


def inside(boxes: Floats, shape: tuple[int, int]) -> Cells:
    """Which cells of a grid [m, n] have their centre in a box; the nearest one for a box between all centres."""
    rows, columns = (_centres(cells) for cells in shape)
    covered = np.zeros(shape, dtype=bool)
    for x, y, width, height in boxes:
        down, across = (rows >= y) & (rows <= y + height), (columns >= x) & (columns <= x + width)
        if not down.any():
            down[np.abs(rows - (y + height / 2)).argmin()] = True
        if not across.any():
            across[np.abs(columns - (x + width / 2)).argmin()] = True
        covered |= np.outer(down, across)
    return covered


def grown(boxes: Floats, margin: float = MARGIN) -> Floats:
    """The boxes, larger by `margin` to each side; they may reach beyond the picture."""
    return np.asarray(boxes + np.array([-margin, -margin, 2 * margin, 2 * margin]), dtype=np.float64)


def pointing(grid: Floats, boxes: Floats, *, margin: float = MARGIN, inner: Floats | None = None) -> float:
    """The pointing game (Zhang et al. 2018): 1 if the map's peak lies in a box grown by `margin`, else 0.

    Several cells that share the maximum are one guess each: the share of them that hit. So a flat map scores what
    pointing blindly would.

    Args:
        grid: [m, n], finite.
        boxes: [K, 4].
        margin: in shares of the picture's sides.
        inner: [m, n], 1 where a peak may lie; default everywhere.
    """
    allowed = grid if inner is None else np.where(inner > 0, grid, -np.inf)
    peaks = allowed >= allowed.max() - TIE * np.abs(grid).max()
    return float(inside(grown(boxes, margin), (grid.shape[0], grid.shape[1]))[peaks].mean())


def energy(grid: Floats, boxes: Floats) -> float:
    """The share of the map's positive values that lies in the boxes (Wang et al. 2020); 0 where none is positive."""
    positive = np.clip(grid, 0, None)
    total = float(positive.sum())
    covered = inside(boxes, (grid.shape[0], grid.shape[1]))
    return float(positive[covered].sum()) / total if total > 0 else 0.0


def overlaps(grid: Floats, boxes: Floats) -> Floats:
    """Intersection over union of boxes and {map >= threshold x maximum} [T]; 0 where the maximum is not positive."""
    highest = float(grid.max())
    if highest <= 0:
        return np.zeros(len(THRESHOLDS))
    covered = inside(boxes, (grid.shape[0], grid.shape[1]))
    drawn = grid[None] >= np.asarray(THRESHOLDS)[:, None, None] * highest
    union = (drawn | covered).sum(axis=(1, 2))
    return np.asarray((drawn & covered).sum(axis=(1, 2)) / union, dtype=np.float64)


def chance(boxes: Floats, *, margin: float = MARGIN, side: int = 256) -> float:
    """The area of the grown boxes as a share of the picture: how often pointing blindly hits."""
    return float(inside(grown(boxes, margin), (side, side)).mean())


def centre_prior(shape: tuple[int, int]) -> Floats:
    """A Gaussian about the picture's centre, its standard deviation a quarter of each side: looks at no picture."""
    rows, columns = (np.exp(-0.5 * ((_centres(cells) - 0.5) / SPREAD) ** 2) for cells in shape)
    return np.outer(rows, columns).astype(np.float64)


def _centres(cells: int) -> Floats:
    return np.asarray((np.arange(cells) + 0.5) / cells, dtype=np.float64)
