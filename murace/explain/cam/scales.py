"""Maps at several input sizes, brought to the finest grid and averaged: a net of convolutions answers at any size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from murace.data.images.views import Views
from murace.data.studies.batches import by_study
from murace.explain.cam.maps import Bytes, Floats, Maps
from murace.explain.cam.method import MAP_FUNCTIONS, MapMethod
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.opencv import cv2


def look_at_studies(
    net: Learner, trained: TrainedNet, studies: Sequence[Views], *, map_method: MapMethod
) -> list[tuple[Maps, Floats]]:
    """The maps and log-odds of each of several studies that go through the net together, as `look` makes them.

    The larger pictures come from the originals, not from the prepared ones: those, enlarged, were measured to point
    worse.

    Args:
        net: `trained.net()`, or another of its form.
        trained: see `look`.
        studies: with at least one view that could be read, and `map_method.scales[1:]` as further scales.
        map_method: method and scales.
    """
    prepared, counts = np.concatenate([one.prepared for one in studies]), [len(one.prepared) for one in studies]
    larger = {scale: np.concatenate([one.larger[scale] for one in studies]) for scale in map_method.scales[1:]}
    maps, log_odds = look(net, trained, prepared, larger=larger, map_method=map_method)
    return list(zip(by_study(maps, counts), by_study(log_odds, counts), strict=True))


def look(
    net: Learner, trained: TrainedNet, prepared: Bytes, *, larger: Mapping[int, Bytes], map_method: MapMethod
) -> tuple[Maps, Floats]:
    """The maps and log-odds of V prepared pictures.

    The log-odds are always those of the net's own input size. With several scales each map is brought bilinearly to the
    grid of the largest and all are averaged. Maps in logits are then shifted to the mean of the map at the net's own
    size, so that mean(map) + bias is still the log-odds; maps without unit are divided by their maximum.

    Args:
        net: `trained.net()`, or another of its form, in its place.
        trained: bounds how many pictures, fewer of the larger ones, go through the net at once.
        prepared: uint8 [V, size, size].
        larger: for each further scale, the same pictures at that multiple: uint8 [V, scale * size, scale * size].
        map_method: method and scales.

    Returns:
        Maps [V, h, w], in logits or in shares of their maximum (`MapMethod.is_signed`), and log-odds [V].

    Raises:
        UsageError: the head has no such maps.
    """
    method = partial(MAP_FUNCTIONS[map_method.method], net)
    own, log_odds = trained.ask(method, prepared)
    if len(map_method.scales) == 1:
        return own, log_odds
    maps = [own]
    for scale in map_method.scales[1:]:
        maps.append(replace(trained, size=scale * trained.size).ask(method, larger[scale])[0])
    mean: Maps = np.mean([_enlarged(at, maps[-1].shape[1:]) for at in maps], axis=0)
    return _levelled(mean, own, map_method), log_odds


def _enlarged(maps: Maps, shape: tuple[int, ...]) -> Maps:
    height, width = shape
    return np.stack([cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR) for heat in maps])


def _levelled(mean: Maps, own: Maps, map_method: MapMethod) -> Maps:
    if map_method.is_signed:
        level: Floats = own.mean(axis=(1, 2)) - mean.mean(axis=(1, 2))
        return mean + level[:, None, None]
    highest = mean.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(mean, highest, out=np.zeros_like(mean), where=highest != 0), dtype=np.float64)
