"""The collimator's edge and the lead side marker (L or R) of a synthetic radiograph."""

import numpy as np

from murace.sample.film import SHIFT, Image, fill, fixed
from murace.system.opencv import cv2

CLOSED = 0.12  # of the light leaks through
LEAD = 0.92  # grey level of the letter
LETTERS: dict[str, list[list[tuple[float, float]]]] = {  # strokes in a unit square
    "L": [[(0.15, 0), (0.15, 1), (0.8, 1)]],
    "R": [
        [(0.15, 1), (0.15, 0), (0.6, 0), (0.8, 0.12), (0.8, 0.4), (0.6, 0.52), (0.15, 0.52)],
        [(0.45, 0.52), (0.85, 1)],
    ],
}


def shutter(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """How much light the collimator lets through [H, W]: 1 inside a slightly askew frame, if there is one."""
    light = np.ones(shape, np.float32)
    inset, askew, closed = rng.uniform(0.0, 0.045, 4), rng.uniform(-0.012, 0.012, 4), rng.random() < 0.55
    if not closed:
        return light
    left, top, right, bottom = inset
    corners = [(left, top), (1 - right, top), (1 - right, 1 - bottom), (left, 1 - bottom)]
    frame = (np.array(corners) + askew[:, None]) * np.array(shape[::-1])
    light[:] = CLOSED
    fill(light, frame, 1.0)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 1.5), np.float32)


def stamp(film: Image, letter: str, rng: np.random.Generator) -> None:
    """Perhaps put the lead letter, L or R, into a corner of the film [H, W]."""
    present, size = rng.random() < 0.6, rng.uniform(0.035, 0.06) * max(film.shape)
    corner, inset = rng.integers(0, 2, 2), rng.uniform(0.09, 0.15, 2)
    angle = np.deg2rad(rng.uniform(-20, 20))
    if not present:
        return
    centre = np.where(corner, 1 - inset, inset) * film.shape[::-1]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    strokes = [fixed((np.array(stroke) - 0.5) * (0.75 * size, size) @ turn + centre) for stroke in LETTERS[letter]]
    # Drawn as strokes, because the letters of cv2.putText differ between the versions of OpenCV.
    cv2.polylines(film, strokes, False, (LEAD,), max(round(size / 7), 2), cv2.LINE_AA, SHIFT)
