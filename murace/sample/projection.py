"""Pose a body part and project it onto the film along parallel rays."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from murace.sample.skeleton import CAP, Array, Shaft

SAMPLES = 48  # points on the smooth curve of a shaft


@dataclass(frozen=True, eq=False, slots=True)
class Pose:
    """How the part lies on the film: turned and bent (radians), then `matrix` [2, 3] from mm to pixels."""

    turn: float
    bend: float
    matrix: Array
    scale: float  # pixels per millimetre
    width: int
    height: int


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """A shaft on the film.

    Attributes:
        line: the centre line [N, 2] (pixels); place: how far along the shaft each point is [N], 0 to 1.
        across: unit vectors [N, 2] at right angles to the line.
        half: half the width [N] (pixels); depth: half the thickness along the ray [N] (mm).
        contour: closed [M, 2] (pixels).
        shaft: what is projected.
    """

    line: Array
    place: Array
    across: Array
    half: Array
    depth: Array
    contour: Array
    shaft: Shaft

    def at(self, fraction: float | Array) -> tuple[Array, Array]:
        """Points [..., 2] and unit vectors across [..., 2] at fractions of the length."""
        columns = np.column_stack([self.line, self.across]).T
        found = np.stack([np.interp(fraction, self.place, column) for column in columns], axis=-1)
        return found[..., :2], found[..., 2:]

    def width_at(self, fraction: float) -> float:
        """Half the width there (pixels)."""
        return float(np.interp(fraction, self.place, self.half))


@cache
def spline(points: int) -> Array:
    """Weights [SAMPLES, points] of the Catmull-Rom curve through `points` control points, ends repeated."""
    position = np.linspace(0, points - 1, SAMPLES)
    left = np.minimum(position.astype(int), points - 2)
    t = (position - left)[:, None]
    weights = 0.5 * np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2])
    matrix = np.zeros((SAMPLES, points))
    for offset in range(4):
        column = np.clip(left + offset - 1, 0, points - 1)
        np.add.at(matrix, (np.arange(SAMPLES), column), weights[:, offset])
    return matrix


def onto_film(points: Array, pose: Pose, *, hinged: bool) -> Array:
    """Project points [N, 3] (mm) to pixels [N, 2]."""
    x, y, z = points.T
    if hinged:
        y, z = y * np.cos(pose.bend) - z * np.sin(pose.bend), y * np.sin(pose.bend) + z * np.cos(pose.bend)
    flat = np.stack([x * np.cos(pose.turn) + z * np.sin(pose.turn), y], axis=1)
    projected: Array = flat @ pose.matrix[:, :2].T + pose.matrix[:, 2]
    return projected


def project(part: Shaft, pose: Pose) -> Outline:
    """The outline of a shaft on the film."""
    samples = spline(len(part.path)) @ part.path
    line = onto_film(samples[:, :3], pose, hinged=part.hinged)
    cos, sin = np.cos(pose.turn), np.sin(pose.turn)
    half = np.hypot(samples[:, 3] * cos, samples[:, 4] * sin) * pose.scale
    depth = np.hypot(samples[:, 3] * sin, samples[:, 4] * cos)
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    steps = np.linalg.norm(np.diff(samples[:, :3], axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return Outline(line, place, across, half, depth, _contour(line, across, half), part)


def _contour(line: Array, across: Array, half: Array) -> Array:
    """The closed contour of a line with half widths; its ends are half ellipses."""
    along = np.stack([across[:, 1], -across[:, 0]], axis=1)
    angle = np.linspace(np.pi / 2, -np.pi / 2, 9)[1:-1, None]
    cap_end = line[-1] + half[-1] * (np.sin(angle) * across[-1] + CAP * np.cos(angle) * along[-1])
    cap_start = line[0] + half[0] * (-np.sin(angle) * across[0] - CAP * np.cos(angle) * along[0])
    edge = half[:, None] * across
    return np.vstack([line + edge, cap_end, (line - edge)[::-1], cap_start])
