"""What a study's folder says of its maps, and what is drawn where a map means nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from murace.data.images.header import ImageError
from murace.data.studies.find import StudyFiles
from murace.data.studies.open import RequestedStudy, open_studies
from murace.explain.cam import MAP_FUNCTIONS, MapMethod
from murace.explain.overlays.draw import draw_all
from murace.explain.overlays.folder import drawn_before
from murace.explain.overlays.folders import StudyToDraw
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.device import Place
from murace.system.opencv import cv2
from murace.system.progress import Reporter


class Tiny(Learner):
    """Cells of 8 x 8 pixels; `gain` of zero makes a flat map."""

    def __init__(self, *, gain: float = 8.0, bias: float = 0.0) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(1, 1, 8, stride=8, bias=False)
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.trunk.weight.fill_(1 / 64)
            self.head.weight.copy_(torch.tensor([[0.0], [gain]]))
            self.head.bias.copy_(torch.tensor([0.0, bias]))

    def features(self, x: Tensor) -> Tensor:
        return self.trunk(x)


def study(root: Path, name: str = "one") -> StudyToDraw:
    views = []
    for number in range(2):
        path = root / name / f"image{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(number).integers(0, 255, (300, 280), dtype=np.uint8))
        views.append(path)
    return StudyToDraw(tuple(views), "hand", "stated", root / "out" / name)


def member(net: Learner) -> TrainedNet:
    place = Place(torch.device("cpu"), "fp32")
    return TrainedNet(learner="x", load=lambda: net, sha256="0" * 64, place=place, size=64, fit="squash")


def draw(
    given: list[StudyToDraw],
    net: Learner,
    map_method: MapMethod = MapMethod("cam", (1,)),  # noqa: B008 - frozen
) -> list[dict[str, Any] | ImageError]:
    """What became of each."""
    files = [StudyFiles(study.folder.name, study.folder, study.views, None) for study in given]
    requests = [RequestedStudy(number, one, "hand", "stated") for number, one in enumerate(files)]
    scales, how = map_method.scales[1:], {"threads": 1, "reporter": Reporter()}
    with open_studies(requests, size=64, fit="squash", scales=scales, keep_originals=True, **how) as opened:
        pairs = zip(given, opened, strict=True)
        drawn = list(draw_all(pairs, lambda _: member(net), map_method=map_method, at_once=32, **how))
    return [outcome for _, outcome in sorted(drawn, key=lambda one: one[0])]


def record(one: StudyToDraw) -> dict:
    return json.loads((one.folder / "study.json").read_text())


def picture(one: StudyToDraw, view: int = 0) -> np.ndarray:
    return cv2.imread(str(one.folder / f"image{view}.png"))[..., ::-1].astype(int)


def colourful(sheet: np.ndarray) -> int:
    """How many pixels left of the colour bar have a colour."""
    left = sheet[:, : 3 * 280]
    return int((np.ptp(left, axis=-1) > 40).sum())


def test_the_record_says_how_the_map_was_made_and_that_it_was_drawn(tmp_path: Path) -> None:
    one = study(tmp_path)
    draw([one], Tiny(), MapMethod("gradcam", (1, 2)))
    said = record(one)
    assert (said["method"], said["scales"]) == ("gradcam", [1, 2])
    assert [(view["map"], view.get("remark")) for view in said["views"]] == [("drawn", None)] * 2
    assert colourful(picture(one)) > 10_000


def test_a_flat_map_is_said_to_be_flat_and_not_drawn(tmp_path: Path) -> None:
    one = study(tmp_path)
    drawn = draw([one], Tiny(gain=0.0, bias=6.0))  # sure of itself, for no reason in the picture
    said = record(one)
    assert [one["views"] for one in drawn if not isinstance(one, ImageError)] == [said["views"]]
    assert [view["map"] for view in said["views"]] == ["flat", "flat"]
    assert "points nowhere" in said["views"][0]["remark"]
    assert said["probability"] == pytest.approx(1 / (1 + np.exp(-6.0)))
    sheet = picture(one)
    assert colourful(sheet) == 0
    original = cv2.imread(str(one.views[0]), cv2.IMREAD_GRAYSCALE).astype(int)
    corner = np.argwhere(sheet[:, :, 0] == original[0, 0])
    assert any(
        np.array_equal(sheet[y : y + 300, x : x + 280, 0], original)
        for y, x in corner.tolist()
        if y + 300 <= sheet.shape[0] and x + 280 <= sheet.shape[1]
    )  # the radiograph itself is there, pixel for pixel


def test_a_map_that_is_not_finite_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(net: Learner, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        maps = np.zeros((len(images), 8, 8))
        maps[0, 3, 3] = np.nan
        maps[1, 3, 3] = 5.0
        return maps, np.zeros(len(images))

    monkeypatch.setitem(MAP_FUNCTIONS, "cam", broken)
    one = study(tmp_path)
    draw([one], Tiny())
    assert [view["map"] for view in record(one)["views"]] == ["not finite", "drawn"]
    assert colourful(picture(one, 0)) == 0
    assert colourful(picture(one, 1)) > 100


def test_an_answer_that_is_no_number_is_the_models_fault_and_the_study_is_named(tmp_path: Path) -> None:
    given = [study(tmp_path, "one"), study(tmp_path, "two")]
    drawn = draw(given, Tiny(bias=float("nan")))
    assert [type(one) for one in drawn] == [ImageError, ImageError]
    assert str(given[1].views[0].parent) in str(drawn[1])
    assert "not a finite number: its weights are damaged" in str(drawn[1])
    assert not (tmp_path / "out").exists()


def test_another_way_is_drawn_anew_and_the_same_is_not(tmp_path: Path) -> None:
    one = study(tmp_path)
    ways = [MapMethod("cam", (1, 2)), MapMethod("cam", (1,)), MapMethod("gradcam++", (1,))]
    for map_method in ways:
        assert drawn_before(one, member(Tiny()), map_method) is None
        draw([one], Tiny(), map_method)
        assert [drawn_before(one, member(Tiny()), other) is not None for other in ways] == [
            other == map_method for other in ways
        ]
    said = record(one)
    assert said["method"] == "gradcam++"
    for digests, known in ((said["views_sha256"], True), (["0" * 64] * 2, False)):
        assert (drawn_before(one, member(Tiny()), map_method, digests=digests) is not None) is known


def test_a_map_without_unit_is_as_bright_as_the_probability(tmp_path: Path) -> None:
    sure, unsure = study(tmp_path, "one"), study(tmp_path, "two")
    draw([sure], Tiny(bias=4.0), MapMethod("gradcam++", (1,)))
    draw([unsure], Tiny(bias=-9.0), MapMethod("gradcam++", (1,)))
    assert colourful(picture(sure)) > 10 * colourful(picture(unsure))
