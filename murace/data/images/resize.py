"""Resize a radiograph of any size and bit depth to the uint8 square that nets take."""

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from murace.data.images.dicom.display import Grey
from murace.system.opencv import cv2

RESIZER = "cv2 INTER_AREA"


def resize(grey: Grey, *, size: int, fit: str) -> npt.NDArray[np.uint8]:
    """Bring a grey picture to uint8 [size, size].

    `squash` fills the square as the paper does; `pad` keeps the aspect and centres the picture on black.
    """
    height, width = grey.shape
    inside = _inside(width, height, size=size, fit=fit)
    canvas = np.zeros((size, size), np.uint8)
    part = canvas[inside]
    part[:] = to_eight_bits(cast(Grey, scaled(grey, *part.shape)))
    return canvas


def unpadded(square: npt.NDArray[np.uint8], *, width: int, height: int, fit: str) -> npt.NDArray[np.uint8]:
    """The part of a prepared picture, uint8 [size, size], that is not padding; `width` and `height` are its file's."""
    return square[_inside(width, height, size=len(square), fit=fit)]


def scaled(picture: npt.NDArray[Any], down: int, across: int) -> npt.NDArray[Any]:
    """Bring a picture [H, W] to [down, across].

    Shrinking averages over areas. Where a side grows it is interpolated linearly instead, in a second pass: OpenCV's
    area method repeats pixels when it enlarges, and averages nothing at all when only one of the two sides shrinks.
    """
    height, width = picture.shape
    smaller = cv2.resize(picture, (min(across, width), min(down, height)), interpolation=cv2.INTER_AREA)
    if smaller.shape != (down, across):
        smaller = cv2.resize(smaller, (across, down), interpolation=cv2.INTER_LINEAR)
    return smaller


def _inside(width: int, height: int, *, size: int, fit: str) -> tuple[slice, slice]:
    """The rows and columns of a square that a picture fills."""
    across = down = size
    if fit == "pad":
        across, down = (max(1, round(side * size / max(width, height))) for side in (width, height))
    top, left = (size - down) // 2, (size - across) // 2
    return slice(top, top + down), slice(left, left + across)


def to_eight_bits(grey: Grey) -> npt.NDArray[np.uint8]:
    """uint16 divided by its full range, 65535, and rounded to eight bits; uint8 as it is. Nothing is clipped."""
    if grey.dtype == np.uint8:
        return grey.astype(np.uint8, copy=False)
    return ((grey.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
