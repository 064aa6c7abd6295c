import numpy as np
import pytest
import torch

from murace.data.images.resize import resize
from murace.errors import UsageError
from murace.explain.cam import MAP_FUNCTIONS, MapMethod, activation_maps, flaw, look
from murace.nets import Learner, create
from murace.nets.trained import TrainedNet
from murace.system.device import Place
from tests.explain.cam.test_activation import CLOSE

SIZE = 64
pytestmark = [pytest.mark.kernels, pytest.mark.usefixtures("float64")]


def member(net: Learner, **others: object) -> TrainedNet:
    place = Place(torch.device("cpu"), "fp32")
    return TrainedNet(learner="resnet", load=lambda: net, sha256="", place=place, size=SIZE, fit="squash", **others)


def pictures(count: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(seed).integers(0, 256, (150, 190), dtype=np.uint8) for seed in range(count)]


def asked(
    map_method: MapMethod, name: str = "resnet", count: int = 3
) -> tuple[np.ndarray, np.ndarray, Learner, np.ndarray]:
    torch.manual_seed(0)
    net = create(name, width=0.2, size=SIZE).eval()
    originals = pictures(count)
    prepared = np.stack([resize(one, size=SIZE, fit="squash") for one in originals])
    bigger = {
        scale: np.stack([resize(one, size=scale * SIZE, fit="squash") for one in originals])
        for scale in map_method.scales[1:]
    }
    return *look(net, member(net), prepared, larger=bigger, map_method=map_method), net, prepared


def tensor(prepared: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(prepared).float().div(255)[:, None]


@pytest.mark.parametrize("scales", [(1,), (1, 2), (1, 2, 3)])
def test_the_maps_mean_and_the_heads_bias_are_the_log_odds_at_any_scales(scales: tuple[int, ...]) -> None:
    maps, log_odds, net, prepared = asked(MapMethod("cam", scales))
    own, expected = activation_maps(net, tensor(prepared))
    assert np.allclose(log_odds, expected, **CLOSE)  # whatever the other sizes say
    bias = float((net.head.bias[1] - net.head.bias[0]).detach())
    assert np.allclose(maps.mean(axis=(1, 2)) + bias, log_odds, **CLOSE)
    assert maps.shape[1] == scales[-1] * own.shape[1]


def test_two_scales_are_the_average_of_both_on_the_finer_grid() -> None:
    maps, _, net, prepared = asked(MapMethod("cam", (1, 2)))
    finer = np.stack([resize(one, size=2 * SIZE, fit="squash") for one in pictures()])
    small, _ = activation_maps(net, tensor(prepared))
    large, _ = activation_maps(net, tensor(finer))
    spread = torch.nn.functional.interpolate(
        torch.from_numpy(small)[:, None], size=large.shape[1:], mode="bilinear", align_corners=False
    )[:, 0].numpy()
    mean = (spread + large) / 2
    expected = mean - mean.mean(axis=(1, 2), keepdims=True) + small.mean(axis=(1, 2), keepdims=True)
    assert np.allclose(maps, expected, **CLOSE)


def test_fewer_of_the_larger_pictures_go_through_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def counted(net: Learner, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        seen.append((len(images), images.shape[-1]))
        return activation_maps(net, images)

    monkeypatch.setitem(MAP_FUNCTIONS, "cam", counted)
    monkeypatch.setattr("murace.nets.forward.REFERENCE", SIZE * SIZE)
    asked(MapMethod("cam", (1, 2)), count=9)
    assert seen == [(9, SIZE), (8, 2 * SIZE), (1, 2 * SIZE)]


def test_maps_without_unit_are_shares_of_their_maximum() -> None:
    maps, _, _, _ = asked(MapMethod("gradcam++", (1, 2)))
    assert np.allclose(maps.max(axis=(1, 2)), 1, **CLOSE)
    assert maps.min() >= 0


def test_only_ways_that_exist_are_taken() -> None:
    assert MapMethod.of("gradcam++", "1,2,3") == MapMethod("gradcam++", (1, 2, 3))
    assert MapMethod.of("cam", "1,2").name == "cam 1x+2x"
    with pytest.raises(UsageError, match="unknown method 'gradcam2'; did you mean 'gradcam'"):
        MapMethod.of("gradcam2", "1")
    for scales in ("", "2", "1,1", "1,3,2", "1,5", "1,x", "1,,2", "0,1", "1,2.5", "-1", "1,99999999999999999999999"):
        with pytest.raises(UsageError, match="--scales must be"):
            MapMethod.of("cam", scales)


def test_the_fc_head_has_gradient_maps_at_its_own_size_alone() -> None:
    MapMethod("gradcam", (1,)).require("fc", who="x")
    MapMethod("cam", (1, 2)).require("gap", who="x")
    with pytest.raises(UsageError, match=r"no class activation map.*the member for elbow.*--method gradcam --scales 1"):
        MapMethod("cam", (1,)).require("fc", who="the member for elbow")
    with pytest.raises(UsageError, match="take --scales 1"):
        MapMethod("gradcam", (1, 2)).require("fc", who="the member for elbow")


def test_a_map_without_variation_or_with_a_number_that_is_none_is_flawed() -> None:
    heat = np.linspace(-1, 1, 16).reshape(4, 4)
    assert flaw(heat) is None
    assert flaw(heat * 1e-4) == "flat"
    assert flaw(np.full((1, 1), 7.0)) == "flat"
    for value in (np.nan, np.inf, -np.inf):
        broken = heat.copy()
        broken[2, 1] = value
        assert flaw(broken) == "not finite"
