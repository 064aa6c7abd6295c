"""The pictures of the report: augmented images (Figure 1), activation maps (Figure 3), the most confident errors."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from murace.data.store import open_pixels, read_index
from murace.errors import UsageError
from murace.explain.cam import activation_maps
from murace.explain.overlays.triptych import triptych
from murace.metrics.scores import THRESHOLD
from murace.metrics.table import by_study
from murace.nets.weights import load_model
from murace.report.contents import Picture
from murace.report.drawing.preview import draw_figure
from murace.system.opencv import cv2
from murace.vocabulary import CALIBRATED
from murace.workspace import Record, read
from murace.workspace.paths import Workspace

ERRORS = 8  # shown of each kind
QUALITY = 85  # of JPEG; the pictures are for looking at, the numbers stand elsewhere
LEAST_SIDE = 256  # pixels


def pictures(workspace: Workspace, predictions: pd.DataFrame, trained: Sequence[Record]) -> dict[str, Any]:
    """Everything to look at in the report, by the names of `Contents`. No id stands in a picture or a caption.

    Args:
        workspace: with prepared images and members.
        predictions: test images; columns row, study, group, label and `calibrated`.
        trained: the learners' records: Figure 1 shows what the first of them saw in epoch 1.
    """
    drawer = MapDrawer(workspace)
    return {
        "maps": _maps(drawer, predictions),
        "errors": _errors(drawer, predictions),
        "augmentation": _augmentation(workspace, seed=int(trained[0].params["seed"])),
    }


class MapDrawer:
    """Draws test images with the activation map of their group's member; each member is loaded once."""

    def __init__(self, workspace: Workspace) -> None:
        self.pixels = open_pixels(workspace.prepare.pixels)
        self.member = cache(lambda group: load_model(workspace.finetune(group).model))

    def draw(self, row: int, group: str, chance: float) -> tuple[bytes, bool]:
        """The image as prepared, with its map and an overlay where the member has a map; and whether it has."""
        picture = np.array(self.pixels[row])
        batch = torch.from_numpy(picture).float().div(255)[None, None]
        try:
            maps, _ = activation_maps(self.member(group), batch)
        except UsageError:  # the fc head has none
            factor = -(-LEAST_SIDE // len(picture))
            return jpeg(np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)), False
        drawn = triptych(picture, maps[0], caption=f"p = {chance:.2f}  {group}")
        return jpeg(np.ascontiguousarray(drawn[..., ::-1])), True  # OpenCV wants BGR


def jpeg(drawn: npt.NDArray[np.uint8]) -> bytes:
    """A picture for the page, grey [h, w] or BGR [h, w, 3]."""
    done, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done, "OpenCV cannot encode JPEG"
    return data.tobytes()


def _maps(drawer: MapDrawer, predictions: pd.DataFrame) -> list[Picture]:
    """For each group, the map of the abnormal test image that the calibrated ensemble is most sure of (Fig. 3)."""
    abnormal = predictions[predictions["label"] == 1].sort_values(CALIBRATED, ascending=False, kind="stable")
    found = []
    for group, rows in abnormal.groupby("group", sort=True):
        chance = float(rows[CALIBRATED].iloc[0])
        drawn, has_map = drawer.draw(int(rows["row"].iloc[0]), str(group), chance)
        if has_map:
            caption = f"{group}: an abnormal test image, probability {chance:.2f} (image as prepared | map | overlay)"
            found.append(Picture(caption=caption, png=drawn))
    return found


def _errors(drawer: MapDrawer, predictions: pd.DataFrame) -> list[Picture]:
    """The wrong decisions about test studies of which the calibrated ensemble was most sure, by their extreme view."""
    studies = by_study(predictions, [CALIBRATED]).sort_values(CALIBRATED, kind="stable")
    decided = studies[CALIBRATED] >= THRESHOLD
    missed = studies[~decided & (studies["label"] == 1)]["study"].tolist()
    alarms = studies[decided & (studies["label"] == 0)]["study"].tolist()[::-1]
    views = dict(list(predictions.sort_values(CALIBRATED, kind="stable").groupby("study")))
    return [
        *(_error(drawer, "False negative", views[study], place=0) for study in missed[:ERRORS]),
        *(_error(drawer, "False positive", views[study], place=-1) for study in alarms[:ERRORS]),
    ]


def _error(drawer: MapDrawer, kind: str, views: pd.DataFrame, *, place: int) -> Picture:
    """A wrongly decided study, shown by the view at `place` in the order of the views' probabilities."""
    row, group = int(views["row"].iloc[place]), str(views["group"].iloc[place])
    drawn, _ = drawer.draw(row, group, float(views[CALIBRATED].iloc[place]))
    number = f"{len(views)} view{'s' if len(views) > 1 else ''}"
    mean = float(views[CALIBRATED].mean())
    caption = f"{kind}, {group}: study probability {mean:.2f} over {number}; row {row} of index.csv"
    return Picture(caption=caption, png=drawn)


def _augmentation(workspace: Workspace, *, seed: int) -> Picture:
    """Figure 1 for this data."""
    prepared = read(workspace.prepare.folder)
    assert prepared is not None
    synthetic = bool(prepared.info.get("synthetic"))
    images, pixels = read_index(workspace.prepare.index), open_pixels(workspace.prepare.pixels)
    drawn = draw_figure(images, pixels, seed=seed, synthetic=synthetic)
    caption = "Training images as prepared, and below what augmentation makes of them in the first epoch."
    return Picture(caption=caption, png=jpeg(drawn))
