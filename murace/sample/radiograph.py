"""Draw the synthetic radiographs of a study, view by view: vary the anatomy, pose it, add the finding, expose."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from murace.sample import findings
from murace.sample.anatomy import BODIES
from murace.sample.film import Image, Look, add_bone, expose, flesh_map
from murace.sample.findings import Mark
from murace.sample.frame import shutter, stamp
from murace.sample.plan import Finding, Purpose, Study
from murace.sample.projection import Pose, project
from murace.sample.skeleton import Array, Body, vary

LONGEST = 512  # pixels, as most of MURA
MARGIN = 2  # pixels by which the film's blur widens a finding
Box = tuple[int, int, int, int]  # x, y, width and height in whole pixels of the image


@dataclass(frozen=True, eq=False, slots=True)
class Radiograph:
    """One view: pixels uint8 [H, W], and the box of its finding (None in a normal study)."""

    pixels: NDArray[np.uint8]
    box: Box | None


def draw_study(study: Study) -> Iterator[Radiograph]:
    """Draw the views of a study, one by one."""
    body_rng = study.rng(Purpose.BODY)
    mirrored, body = bool(body_rng.integers(2)), vary(BODIES[study.region](), body_rng)
    mark = findings.draw_mark(body, study.rng(Purpose.FINDING))
    shown = findings.narrow(body) if study.finding is Finding.NARROWING else body
    for view in range(1, study.views + 1):
        pose = _pose(body, view, study.rng(Purpose.POSE, view), mirrored=mirrored)
        bone, metal, points = _bones(shown, pose, study.finding, mark)
        flesh = flesh_map(body.skin, pose) - 0.75 * flesh_map(body.lungs, pose)
        look_rng = study.rng(Purpose.LOOK, view)
        film = expose(
            flesh, bone / np.float32(body.bone_mm), metal, _look(body, look_rng), study.rng(Purpose.FILM, view)
        )
        film *= shutter(film.shape, look_rng)
        stamp(film, "R" if mirrored else "L", look_rng)
        pixels = np.clip(np.round(film * 255), 0, 255).astype(np.uint8)
        yield Radiograph(pixels, _box(points, pose))


def _pose(body: Body, view: int, rng: np.random.Generator, *, mirrored: bool) -> Pose:
    """Draw how the part lies: turn and bend of this view, tilted, nearer or further."""
    field = np.array(body.field) * rng.uniform(0.93, 1.07, 2)
    width, height = (int(side) for side in np.round(field * LONGEST / field.max()))
    scale = LONGEST / field.max() * rng.uniform(0.95, 1.06)
    tilt, mirror = np.deg2rad(rng.uniform(-9, 9)), -1.0 if mirrored else 1.0
    linear = scale * np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]) @ np.diag([mirror, 1.0])
    middle = np.array([width, height]) * (0.5 + rng.uniform(-0.03, 0.03, 2))
    matrix = np.column_stack([linear, middle - linear @ np.array(body.centre)])
    turn, bend = body.turns[view - 1] + rng.uniform(-8, 8), body.bends[view - 1] * rng.uniform(0.85, 1.1)
    return Pose(np.deg2rad(turn), np.deg2rad(bend), matrix, scale, width, height)


def _bones(body: Body, pose: Pose, finding: Finding | None, mark: Mark) -> tuple[Image, Image, Array]:
    """All bones [H, W] in mm, metal [H, W], and points [N, 2] around the finding (none in a normal study)."""
    bone, metal = (np.zeros((pose.height, pose.width), np.float32) for _ in range(2))
    points = np.empty((0, 2))
    for name, part in body.bones.items():
        outline = project(part, pose)
        if name != mark.site.bone or finding in (None, Finding.NARROWING):
            add_bone(bone, outline, pose)
            continue
        alone = np.zeros_like(bone)
        if not add_bone(alone, outline, pose):
            continue
        if finding is Finding.FRACTURE:
            alone, points = findings.fracture(alone, outline, mark, white=body.bone_mm)
        elif finding is Finding.LESION:
            alone, points = findings.lesion(alone, outline, mark, white=body.bone_mm)
        else:
            points = findings.hardware(metal, outline, mark, turn=pose.turn)
        bone += alone
    if finding is Finding.NARROWING:
        bone, points = findings.wear(bone, body, pose, mark)
    return bone, metal, points


def _box(points: Array, pose: Pose) -> Box | None:
    if not len(points):
        return None
    size = (pose.width, pose.height)
    low = np.clip(np.floor(points.min(axis=0)) - MARGIN, 0, np.array(size) - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + MARGIN, low + 1, size).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _look(body: Body, rng: np.random.Generator) -> Look:
    return Look(
        black=rng.uniform(0.015, 0.1),
        white=rng.uniform(0.8, 1.0),
        gamma=rng.uniform(0.9, 1.35),
        flesh=body.flesh * rng.uniform(0.7, 0.95),
        noise=rng.uniform(0.01, 0.022),
    )
