"""A small picture of a drawn view: original and overlay side by side, so small that a page holds thousands."""

import base64
from dataclasses import dataclass

import numpy as np

from murace.explain.overlays.colours import Bytes
from murace.explain.overlays.triptych import TITLES
from murace.report.drawing.sheet import BACKGROUND, panels_on
from murace.system.opencv import cv2

SIDE = 192  # pixels, of either picture at most
GAP = 4
QUALITY = 60  # of WebP: 3 kB a view, of which JPEG would make 5


@dataclass(frozen=True)
class Thumbnail:
    """A WebP picture and its size in pixels."""

    data: bytes
    width: int
    height: int

    @property
    def address(self) -> str:
        """The picture itself, as an address."""
        return f"data:image/webp;base64,{base64.b64encode(self.data).decode()}"


def thumbnail(original: Bytes, overlay: Bytes) -> Thumbnail:
    """Draw a view small.

    Args:
        original: uint8 [H, W, 3], RGB, or grey [H, W].
        overlay: uint8 [H, W, 3], RGB, the map over it.
    """
    grey = original if original.ndim == 3 else np.repeat(original[..., None], 3, axis=-1)
    left, right = _shrunk(grey), _shrunk(overlay)
    gap = np.full((left.shape[0], GAP, 3), BACKGROUND, dtype=np.uint8)
    return _encoded(np.hstack([left, gap, right]))


def thumbnail_of(sheet: Bytes) -> Thumbnail:
    """Draw small what `triptych` has drawn, uint8 [.., .., 3], RGB; a sheet of another kind as a whole."""
    panels = dict(zip(TITLES, panels_on(sheet, len(TITLES)), strict=False))
    if not panels:
        return _encoded(_shrunk(sheet, wide=2 * SIDE + GAP))
    return thumbnail(panels["original"], panels["overlay"])


def _shrunk(picture: Bytes, *, wide: int = SIDE) -> Bytes:
    height, width = picture.shape[:2]
    factor = min(wide / width, SIDE / height, 1.0)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encoded(picture: Bytes) -> Thumbnail:
    done, data = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done, "OpenCV cannot encode WebP"
    height, width = picture.shape[:2]
    return Thumbnail(data.tobytes(), width, height)
