"""The geometry of synthetic anatomy, in millimetres: shafts, joints, and sites of findings.

Axes: x to the side, y along the limb (downwards on the film), z towards the viewer; the origin is the hinge.
A shaft is a tapered tube along a smooth curve; bones, skin and lungs are all shafts.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CAP = 0.3  # how far an end bulges, in half widths


@dataclass(frozen=True, eq=False, slots=True)
class Shaft:
    """A tapered tube.

    Attributes:
        path: control points [P, 5]: x, y, z, half width seen from the front, half width seen from the side (mm).
        cortex: thickness of the dense wall (mm).
        marrow: how empty the inside is, 0 (solid) to 1 (hollow).
        hinged: whether it moves when the joint at the origin bends.
    """

    path: Array
    cortex: float = 2.0
    marrow: float = 0.86
    hinged: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Joint:
    """A joint that may narrow: `axis` (unit vector) points from the still bone to those in `moving`.

    `half_widths` are seen from the front and from the side, `cartilage` is what it may lose (mm).
    """

    at: Array
    axis: Array
    half_widths: tuple[float, float]
    cartilage: float
    moving: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """Where findings may sit: a stretch of one bone, as fractions of its length."""

    bone: str
    start: float
    end: float


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """One region's anatomy.

    Attributes:
        bones: by name, back to front.
        skin: the outline of the soft tissue.
        lungs: air inside the soft tissue.
        joints: those that narrow together.
        sites: where fractures, plates and lesions may sit.
        centre: of the film (mm); field: its width and height (mm).
        turns: about the limb's axis, first view, second view, ... (degrees); bends: of the hinge, likewise.
        bone_mm: the thickness of bone that looks fully white.
        flesh: grey level of the soft tissue, 0 to 1.
    """

    bones: dict[str, Shaft]
    skin: tuple[Shaft, ...]
    sites: tuple[Site, ...]
    centre: tuple[float, float]
    field: tuple[float, float]
    turns: tuple[float, float, float, float]
    bone_mm: float
    joints: tuple[Joint, ...] = ()
    lungs: tuple[Shaft, ...] = ()
    bends: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    flesh: float = 0.34


def shaft(*rows: tuple[float, ...], cortex: float = 2.0, marrow: float = 0.86, hinged: bool = False) -> Shaft:
    """A shaft from its control points, each (x, y, z, half width) or (x, y, z, front half width, side half width)."""
    path = np.array([row if len(row) == 5 else (*row, row[3]) for row in rows], np.float64)
    return Shaft(path, cortex, marrow, hinged)


def vary(body: Body, rng: np.random.Generator) -> Body:
    """The same anatomy in another person: thinner or thicker bones and soft tissue, slightly other shapes."""
    girth, fat = rng.uniform(0.92, 1.08), rng.uniform(0.9, 1.15)
    bones = {name: _reshape(bone, girth, rng) for name, bone in body.bones.items()}
    return replace(body, bones=bones, skin=tuple(_reshape(part, fat, rng) for part in body.skin))


def _reshape(part: Shaft, girth: float, rng: np.random.Generator) -> Shaft:
    path = part.path.copy()
    path[:, 3:] *= girth * rng.uniform(0.97, 1.03, (len(path), 1))
    along = np.linspace(0, np.pi, len(path))
    path[:, 0] += rng.normal(0, 0.006) * float(np.hypot(*(path[-1, :2] - path[0, :2]))) * np.sin(along)  # bowed
    return replace(part, path=path, cortex=part.cortex * rng.uniform(0.85, 1.15))
