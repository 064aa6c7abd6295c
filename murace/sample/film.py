"""Expose a synthetic film: the bone and soft tissue that each ray crosses, and the detector's response."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from murace.sample.projection import Outline, Pose, project
from murace.sample.skeleton import Array, Shaft
from murace.system.opencv import cv2

Image = NDArray[np.float32]
Canvas = NDArray[np.float32] | NDArray[np.uint8]

SHIFT = 4  # OpenCV takes polygons in sixteenths of a pixel
PAD = 3  # pixels around a bone's patch


@dataclass(frozen=True, slots=True)
class Look:
    """How one film was exposed and shown; drawn without knowing whether there is a finding."""

    black: float
    white: float
    gamma: float
    flesh: float
    noise: float


def fill(canvas: Canvas, contour: Array, value: float, line: int = cv2.LINE_8) -> None:
    """Fill a closed contour [M, 2] given in fractions of a pixel."""
    cv2.fillPoly(canvas, [fixed(contour)], (value,), line, SHIFT)


def fixed(points: Array) -> NDArray[np.int32]:
    """Points in OpenCV's fixed-point pixels."""
    pixels: NDArray[np.int32] = np.round(points * 2**SHIFT).astype(np.int32)
    return pixels


def add_bone(film: Image, outline: Outline, pose: Pose) -> bool:
    """Add a bone's millimetres along each ray to the film [H, W], if it lies there; returns whether it does.

    It is an elliptical tube with a dense wall.

    At relative depth u from the edge of an ellipse of half depth D, a ray crosses 2 D sqrt(1 - (1 - u)^2); the emptier
    inside is the same ellipse less the wall. Hence the two bright lines of a shaft.
    """
    low = np.maximum(np.floor(outline.contour.min(axis=0)).astype(int) - PAD, 0)
    high = np.minimum(np.ceil(outline.contour.max(axis=0)).astype(int) + PAD, (pose.width, pose.height))
    if (high - low < 2).any():
        return False
    mask = np.zeros((high - low)[::-1], np.uint8)
    fill(mask, outline.contour - low, 255)
    edge = _distance(mask) / np.float32(pose.scale)
    half, depth = _sizes(outline, pose, low, mask.shape)
    wall = outline.shaft.cortex * np.sqrt(np.float32(outline.half.min() / pose.scale) / half)
    wall = np.minimum(wall, 0.6 * half)
    inner = np.maximum(depth - wall, 0) * _ellipse((edge - wall) / (half - wall))
    thickness = 2 * (depth * _ellipse(edge / half) - np.float32(outline.shaft.marrow) * inner)
    film[low[1] : high[1], low[0] : high[0]] += thickness.astype(np.float32)
    return True


def flesh_map(parts: Iterable[Shaft], pose: Pose) -> Image:
    """The relative thickness of soft tissue [H, W], 0 to 1: the union of its parts, thin at the rim."""
    mask = np.zeros((pose.height // 2 + 1, pose.width // 2 + 1), np.uint8)  # half size: it is smooth anyway
    for part in parts:
        fill(mask, project(part, pose).contour / 2, 255)
    if not mask.any():
        return np.zeros((pose.height, pose.width), np.float32)
    edge = _distance(mask)
    thickness = _ellipse(edge / np.float32(max(0.75 * min(edge.max(), 90.0), 1.0)))
    large = cv2.resize(cv2.GaussianBlur(thickness, (0, 0), 1.2), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(large[: pose.height, : pose.width], np.float32)


def expose(flesh: Image, bone: Image, metal: Image, look: Look, rng: np.random.Generator) -> Image:
    """The film [H, W], 0 to 1, from soft tissue, bone (both in units of white) and metal (0 or 1).

    Beer and Lambert: what a ray loses adds up. Then the film's curve, scattered light, quantum noise and blur.
    """
    muscle = 0.09 * _cloud(flesh.shape, 7, rng) + 0.05 * _cloud(flesh.shape, 22, rng)
    spongy = 0.09 * _cloud(flesh.shape, 150, rng) + 0.06 * _cloud(flesh.shape, 40, rng)
    loss = look.flesh * flesh * (1 + muscle) + bone * (1 + spongy) + 2.5 * metal
    shown = (1.18 * (1 - np.exp(-1.5 * loss.clip(0)))) ** np.float32(look.gamma)
    small = cv2.resize(shown, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    scatter = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4), shown.shape[::-1], interpolation=cv2.INTER_LINEAR)
    grain = rng.standard_normal(shown.shape, np.float32)
    shown = 0.9 * shown + 0.1 * scatter + look.noise * (0.5 + shown) * grain
    film: Image = look.black + (look.white - look.black) * cv2.GaussianBlur(shown, (0, 0), 0.75)
    return film


def _distance(mask: NDArray[np.uint8]) -> Image:
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _ellipse(relative: Image) -> Image:
    inside = np.clip(relative, 0, 1)
    return np.asarray(np.sqrt(inside * (2 - inside)), np.float32)


def _cloud(shape: tuple[int, ...], cells: int, rng: np.random.Generator) -> Image:
    """Smooth noise [H, W] with about `cells` bumps along the longer side."""
    rows, columns = (max(round(cells * side / max(shape)), 2) for side in shape)
    coarse = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _sizes(outline: Outline, pose: Pose, low: NDArray[np.int_], shape: tuple[int, ...]) -> tuple[Image, Image]:
    """Half width and half depth of the tube (mm) at each pixel of a patch: bands across the shaft, smoothed."""
    line, across, width = outline.line[::3] - low, outline.across[::3], outline.half[::3, None]
    beyond = line[-1:] + width[-1] * np.stack([across[-1:, 1], -across[-1:, 0]], axis=1)
    reach = across * (1.3 * width + PAD)
    edges = fixed(np.stack([line - reach, line + reach], axis=1))
    end = fixed(np.stack([beyond - reach[-1:], beyond + reach[-1:]], axis=1))
    edges = np.concatenate([edges, end])
    values = np.column_stack([width[:, 0] / pose.scale, outline.depth[::3]])
    sizes = np.empty((*shape, 2), np.float32)
    sizes[:] = values[0]
    for start, value in enumerate(values):
        band = np.concatenate([edges[start], edges[start + 1, ::-1]])
        cv2.fillConvexPoly(sizes, band, tuple(value), cv2.LINE_8, SHIFT)
    smooth = np.asarray(cv2.blur(sizes, (7, 7)), np.float32)
    return smooth[..., 0], smooth[..., 1]
