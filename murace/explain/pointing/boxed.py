"""An image with boxes around its findings, and the same image read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.data.images.header import ImageError
from murace.data.images.views import read_views
from murace.data.tables.boxes import NUMBERS, orientation_of, upright_shares
from murace.data.tables.paths import locate
from murace.explain.cam import MapMethod, larger
from murace.nets.trained import TrainedNet

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BoxedImage:
    """An image, its group and patient, its boxes [K, 4] in pixels as stored, and its SHA-256 where it is known."""

    root: Path
    path: str
    group: str
    patient: str
    boxes: Floats
    sha256: str | None = None


@dataclass(frozen=True)
class Opened:
    """A finding's picture as the nets see it, its own size, and the boxes in shares of it; or why it is no good."""

    image: BoxedImage
    prepared: Bytes | None = None
    larger: Mapping[int, Bytes] | None = None
    width: int = 0
    height: int = 0
    boxes: Floats | None = None
    fault: str | None = None

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        pictures = [] if self.prepared is None else [self.prepared, *(self.larger or {}).values()]
        return sum(picture.nbytes for picture in pictures)


def boxed_images(boxes: pd.DataFrame, root: Path) -> list[BoxedImage]:
    """One finding per image, sorted by path.

    Args:
        boxes: `Matched.boxes`: path, x, y, width, height, group, patient and sha256, a row per box.
        root: the folder that the paths are relative to, the csv's.
    """
    return [
        BoxedImage(
            root=root.resolve(),
            path=str(path),
            group=str(rows["group"].iloc[0]),
            patient=str(rows["patient"].iloc[0]),
            boxes=rows[NUMBERS].to_numpy(dtype=np.float64),
            sha256=str(rows["sha256"].iloc[0]),
        )
        for path, rows in boxes.groupby("path", sort=True)
    ]


def open_boxed(image: BoxedImage, member: TrainedNet, map_method: MapMethod) -> Opened:
    """Read a finding's picture; a fault is said, not raised."""
    place = image.root / image.path
    try:
        place = locate(image.root, image.path)
        views = read_views([place], size=member.size, fit=member.fit)
        if image.sha256 not in (None, views.sha256[0]):
            return Opened(image, fault="not the file that was prepared: its SHA-256 differs")
        height, width = views.originals[0].shape
        orientation = orientation_of(place)
        stored = (height, width) if orientation >= 5 else (width, height)
        boxes = upright_shares(image.boxes, width=stored[0], height=stored[1], orientation=orientation)
    except ImageError as error:
        return Opened(image, fault=str(error).removeprefix(f"{place}: "))
    bigger = larger(views.originals, size=member.size, fit=member.fit, map_method=map_method)
    return Opened(image, views.prepared, bigger, width, height, boxes)
