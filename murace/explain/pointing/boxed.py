"""An image with boxes around what is abnormal in it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.data.images.header import ImageError
from murace.data.studies.find import StudyFiles
from murace.data.studies.open import OpenedStudy, RequestedStudy
from murace.data.tables.boxes import NUMBERS, orientation_of, upright_shares
from murace.data.tables.paths import locate

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
    follow_links: bool = False


def boxed_images(boxes: pd.DataFrame, root: Path, *, follow_links: bool = False) -> list[BoxedImage]:
    """The images that have boxes, sorted by path.

    Args:
        boxes: `Matched.boxes`: path, x, y, width, height, group, patient and sha256, a row per box.
        root: the folder that the paths are relative to, the csv's.
        follow_links: whether links may lead out of it.
    """
    return [
        BoxedImage(
            root=root.resolve(),
            path=str(path),
            group=str(rows["group"].iloc[0]),
            patient=str(rows["patient"].iloc[0]),
            boxes=rows[NUMBERS].to_numpy(dtype=np.float64),
            sha256=str(rows["sha256"].iloc[0]),
            follow_links=follow_links,
        )
        for path, rows in boxes.groupby("path", sort=True)
    ]


def request_image(image: BoxedImage, number: int) -> RequestedStudy:
    """The image as a study of one view, to be opened.

    Raises:
        ImageError: its path leads out of the folder.
    """
    place = locate(image.root, image.path, follow_links=image.follow_links)
    return RequestedStudy(number, StudyFiles(image.path, place, (place,), None), image.group, "")


def boxes_over(image: BoxedImage, opened: OpenedStudy) -> Floats:
    """The image's boxes [K, 4] as shares of the upright picture's width and height.

    Raises:
        ImageError: the file could not be read, is not the one that was prepared, or a box reaches outside it.
    """
    (place,), views = opened.request.files.views, opened.views
    if views.faults[0]:
        raise ImageError(views.faults[0])
    if image.sha256 not in (None, views.sha256[0]):
        raise ImageError("not the file that was prepared: its SHA-256 differs")
    orientation = orientation_of(place)
    width, height = views.shapes[0] if orientation >= 5 else views.shapes[0][::-1]  # as stored
    return upright_shares(image.boxes, width=width, height=height, orientation=orientation)
