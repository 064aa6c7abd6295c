"""Draw the four findings (fracture, lesion, hardware, joint narrowing) into one view, each with its box.

All chance is drawn once per study (`Mark`), so that the views of a study show the same finding from other sides.
"""

from dataclasses import dataclass, replace

import numpy as np

from murace.sample.film import Image, fill
from murace.sample.projection import Outline, Pose, onto_film
from murace.sample.skeleton import Array, Body, Site
from murace.system.opencv import cv2

WIDEST = 1.25  # findings grow with the bone up to this many of its median half widths
SMALLEST = 0.03  # radius of the smallest lesion by the film's longer side: some 4 pixels of 128
Points = Array  # [N, 2]: pixels whose bounding box is the finding's


@dataclass(frozen=True, eq=False, slots=True)
class Mark:
    """A finding's place and manner, drawn once per study; each number means what its finding makes of it."""

    site: Site
    at: float  # fraction of the bone's length
    side: int  # -1 or 1
    size: float  # 0 to 1
    slant: float  # -1 to 1
    waves: Array  # [4] irregularity, -1 to 1


def draw_mark(body: Body, rng: np.random.Generator) -> Mark:
    """Choose where and how."""
    site = body.sites[int(rng.integers(len(body.sites)))]
    at, size, slant = rng.uniform(site.start, site.end), rng.random(), rng.uniform(-1, 1)
    return Mark(site, at, int(rng.choice([-1, 1])), size, slant, rng.uniform(-1, 1, 4))


def fracture(bone: Image, outline: Outline, mark: Mark, *, white: float) -> tuple[Image, Points]:
    """Break one bone [H, W]: a slanting, jagged gap, the far fragment stepped aside and tilted, a little callus."""
    point, across, half = _place(outline, mark)
    along = np.array([across[1], -across[0]])
    rows, columns = (axis.astype(np.float32) for axis in np.indices(bone.shape))
    forward = (columns - point[0]) * along[0] + (rows - point[1]) * along[1]
    aside = ((columns - point[0]) * across[0] + (rows - point[1]) * across[1]) / half
    slant = 0.7 * mark.slant
    waves = [0.1 * wave * np.sin((2 + 2 * k) * aside + 6 * wave) for k, wave in enumerate(mark.waves)]
    cut = forward - half * (slant * aside + np.sum(waves, axis=0))
    near, far = (np.clip(0.5 - sign * cut, 0, 1).astype(np.float32) for sign in (1, -1))
    least = SMALLEST * max(bone.shape)
    step = mark.side * max(half * (0.6 + 0.6 * mark.size), 0.7 * least)
    gap = max(half * (0.4 + 0.4 * mark.size), 0.5 * least)
    beyond = float(np.hypot(*(outline.line[-1] - point)))
    tilt = np.degrees(mark.side * (0.05 + 0.6 * half / (beyond + half) * mark.size))
    turn = cv2.getRotationMatrix2D((float(point[0]), float(point[1])), -float(tilt), 1.0)
    matrix = np.asarray(turn, np.float64)
    matrix[:, 2] += step * across + gap * along
    moved = cv2.warpAffine(bone * far, matrix, bone.shape[::-1], flags=cv2.INTER_LINEAR)
    reach, width = half * (abs(slant) + 0.5) + gap, 1.3 * half
    corners = [(a, b) for a in (-reach, reach + gap) for b in (-width, width, step - width, step + width)]
    healing = white * (0.2 + 0.3 * mark.size) * _callus(bone.shape, point + 0.5 * step * across, along, half)
    return bone * near + moved + healing, np.array([point + a * along + b * across for a, b in corners])


def lesion(bone: Image, outline: Outline, mark: Mark, *, white: float) -> tuple[Image, Points]:
    """Put a blob into one bone: eaten away with a dense rim, or dense itself; `white` mm of bone look white."""
    point, across, half = _place(outline, mark)
    along = np.array([across[1], -across[0]])
    centre = point + 0.3 * mark.slant * half * across
    radius = max(half * (0.95 + 0.4 * mark.size), SMALLEST * max(bone.shape))
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = [0.09 * wave * np.sin((2 + k) * angle + 6 * wave) for k, wave in enumerate(mark.waves)]
    shape = (
        radius
        * (1 + np.sum(waves, axis=0))[:, None]
        * (1.25 * np.cos(angle)[:, None] * along + np.sin(angle)[:, None] * across)
    )
    outer, inner = (_blob(bone.shape, centre + scale * shape, radius) for scale in (1.0, 0.78))
    if mark.side > 0:
        changed = bone * (1 - 0.95 * inner) + 0.4 * white * (outer - inner).clip(0, 1)
    else:
        changed = bone + 0.9 * white * (0.4 * outer + 0.6 * inner)
    return changed.astype(np.float32), centre + 1.1 * shape


def hardware(metal: Image, outline: Outline, mark: Mark, *, turn: float) -> Points:
    """Screw a plate onto one bone, into `metal` [H, W]; `turn` (radians) shows its face or its edge."""
    _, _, half = _place(outline, mark)
    length = (5.5 + 2.5 * mark.size) * half
    total = float(np.hypot(*np.diff(outline.line, axis=0).T).sum())
    low, high = (float(np.clip(mark.at + sign * length / (2 * total), 0.06, 0.94)) for sign in (-1, 1))
    fractions = np.linspace(low, high, 24)
    line, across = outline.at(fractions)
    flat = abs(np.cos(turn)) > 0.75
    offset = half * (0.25 * mark.slant if flat else 0.95 * mark.side)
    thick = max(half * (0.36 if flat else 0.17), 1.6)
    plate = np.vstack([line + (offset + thick) * across, (line + (offset - thick) * across)[::-1]])
    fill(metal, plate, 0.45, cv2.LINE_AA)
    parts = [plate]
    for number in range(4 + round(2 * mark.size)):
        index = 1 + round(number * 21 / (3 + round(2 * mark.size)))
        parts.append(_screw(line[index], across[index], half, offset, mark.side, flat=flat))
        fill(metal, parts[-1], 1.0, cv2.LINE_AA)
    return np.vstack(parts)


def narrow(body: Body) -> Body:
    """Close the joints: the bones beyond each move up to the bone before it."""
    bones = dict(body.bones)
    for joint in body.joints:
        for name in joint.moving:
            path = bones[name].path.copy()
            path[:, :3] -= 0.9 * joint.cartilage * joint.axis
            bones[name] = replace(bones[name], path=path)
    return replace(body, bones=bones)


def wear(bone: Image, body: Body, pose: Pose, mark: Mark) -> tuple[Image, Points]:
    """Show what narrowing does to the bones [H, W] around: dense joint surfaces, and spurs at their rims."""
    points: list[Array] = []
    dense, spurs = np.zeros_like(bone), np.zeros_like(bone)
    for joint in body.joints:
        ends = onto_film(np.stack([joint.at, joint.at + joint.axis]), pose, hinged=False)
        along = (ends[1] - ends[0]) / max(float(np.hypot(*(ends[1] - ends[0]))), 1e-6)
        across = np.array([-along[1], along[0]])
        front, side = joint.half_widths
        width = pose.scale * float(np.hypot(front * np.cos(pose.turn), side * np.sin(pose.turn)))
        thick = max(joint.cartilage, 0.2 * front) * pose.scale
        points.append(ends[0] + _circle(1.0) @ np.stack([width * across, thick * along]))
        fill(dense, points[-1], 0.4, cv2.LINE_AA)
        for rim in (-1, 1):
            points.append(ends[0] + rim * 1.05 * width * across + _circle(thick * (0.7 + 0.4 * mark.size)))
            fill(spurs, points[-1], 0.4, cv2.LINE_AA)
    white = np.float32(body.bone_mm)
    dense = cv2.GaussianBlur(dense, (0, 0), 1.5 * pose.scale**0.5) * np.clip(bone / (0.3 * white), 0.1, 1)
    return bone + white * (dense + cv2.GaussianBlur(spurs, (0, 0), 0.8 * pose.scale**0.5)), np.vstack(points)


def _place(outline: Outline, mark: Mark) -> tuple[Array, Array, float]:
    """The point, the unit vector across, and a finding's size there (pixels): half the width, less at a flare."""
    point, across = outline.at(mark.at)
    return point, across, min(outline.width_at(mark.at), WIDEST * float(np.median(outline.half)))


def _blob(shape: tuple[int, ...], contour: Array, radius: float) -> Image:
    mask = np.zeros(shape, np.float32)
    fill(mask, contour, 1.0, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.08 * radius, 0.8)), np.float32)


def _screw(point: Array, across: Array, half: float, offset: float, side: int, *, flat: bool) -> Array:
    """A screw's contour: its head from above, or its shank through the bone."""
    if flat:
        return point + offset * across + _circle(max(0.27 * half, 1.8))
    along = np.array([across[1], -across[0]])
    thick = max(0.13 * half, 1.2)
    start, end = offset + 0.3 * side * half, offset - 1.9 * side * half
    corners = [(start, -thick), (start, thick), (end, thick), (end, -thick)]
    return np.array([point + a * across + b * along for a, b in corners])


def _callus(shape: tuple[int, ...], point: Array, along: Array, half: float) -> Image:
    """New bone, a soft cuff [H, W] on both sides of a fracture, 0 to 1."""
    across = np.array([-along[1], along[0]])
    cuff = np.zeros(shape, np.float32)
    for side in (-1, 1):
        fill(cuff, point + 1.15 * side * half * across + _circle(half) @ np.stack([along, 0.45 * across]), 1.0)
    return np.asarray(cv2.GaussianBlur(cuff, (0, 0), max(0.22 * half, 1.0)), np.float32)


def _circle(radius: float) -> Array:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])
