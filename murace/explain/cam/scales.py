"""Maps at several input sizes, brought to the finest grid and averaged: a net of convolutions answers at any size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from murace.data.images.resize import resize
from murace.explain.cam.maps import Bytes, Floats, Maps
from murace.explain.cam.method import METHODS, MapMethod
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.opencv import cv2


def larger(originals: Sequence[Bytes], *, size: int, fit: str, map_method: MapMethod) -> dict[int, Bytes]:
    """The originals once more, at the other multiples of `size` that `way` asks for: multiple -> [V, side, side].

    From the originals, not from the prepared pictures: enlarging those adds no detail, and measured points worse.
    """
    return {
        scale: np.stack([resize(original, size=scale * size, fit=fit) for original in originals])
        for scale in map_method.scales[1:]
    }


def look(
    net: Learner, member: TrainedNet, prepared: Bytes, *, larger: Mapping[int, Bytes], map_method: MapMethod
) -> tuple[Maps, Floats]:
    """The maps and log-odds of V prepared pictures.

    The log-odds are always those of the net's own input size. With several scales each map is brought bilinearly to the
    grid of the largest and all are averaged. Maps in logits are then shifted to the mean of the map at the net's own
    size, so that mean(map) + bias is still the log-odds; maps without unit are divided by their maximum.

    Args:
        net: the member's, in its place.
        member: bounds how many pictures, fewer of the larger ones, go through the net at once.
        prepared: uint8 [V, size, size].
        larger: what the function of that name returns.
        map_method: method and scales.

    Returns:
        Maps [V, h, w], in logits or in shares of their maximum (`MapMethod.is_signed`), and log-odds [V].

    Raises:
        UsageError: the head has no such maps.
    """
    method = partial(METHODS[map_method.method], net)
    own, log_odds = member.ask(method, prepared)
    if len(map_method.scales) == 1:
        return own, log_odds
    maps = [own]
    for scale in map_method.scales[1:]:
        maps.append(replace(member, size=scale * member.size).ask(method, larger[scale])[0])
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
