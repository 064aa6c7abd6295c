"""A made-up panel: nets with fresh weights, and a recogniser that goes by brightness."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from murace.inference.operating_points import Readout
from murace.inference.recogniser.model import Recognition
from murace.nets import Learner, create
from murace.nets.trained import Bytes, Floats, TrainedNet
from murace.system.device import Place

SIZE = 64
GROUPS = ("elbow", "wrist")


def net(seed: int, bias: float = 0.0) -> Learner:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = create("convnet", width=0.1, size=SIZE)
    made.head.bias.data = torch.tensor([0.0, bias])
    return made


def member(seed: int, bias: float = 0.0) -> TrainedNet:
    place = Place(torch.device("cpu"), "fp32")
    return TrainedNet("convnet", partial(net, seed, bias), f"{seed:064}", place, SIZE, "squash")


@dataclass
class ByBrightness:
    """Dark pictures are elbows, bright ones wrists, grey ones none; it counts the views that it is shown."""

    trained: TrainedNet = field(default_factory=lambda: member(9))
    shown: list[int] = field(default_factory=list)

    def features(self, net: object, prepared: Bytes) -> Floats:
        self.shown.append(len(prepared))
        return prepared.reshape(len(prepared), -1).mean(axis=1, keepdims=True) / 255

    def recognise(self, features: Floats) -> Recognition:
        bright = float(1 / (1 + np.exp(-30 * (features.mean() - 0.5))))
        shares: Mapping[str, float] = {"elbow": 1 - bright, "wrist": bright}
        likeliest = max(shares, key=shares.__getitem__)
        group = likeliest if shares[likeliest] > 0.9 else None
        return Recognition(
            group=group, likeliest=likeliest, confidence=shares[likeliest], shares=shares, is_typical=group is not None
        )


@dataclass
class MadeUpEnsemble:
    """Two groups; wrist's member is all but sure that everything is abnormal."""

    recognises: ByBrightness | None = field(default_factory=ByBrightness)
    groups: tuple[str, ...] = GROUPS
    identity: str = "0" * 64
    temperatures: Mapping[str, float] = field(default_factory=lambda: {"elbow": 2.0, "wrist": 0.5})

    def member(self, group: str) -> TrainedNet:
        return member(GROUPS.index(group), bias=4.0 * GROUPS.index(group))

    def readout(self) -> Readout:
        points = {"half": 0.5, "youden": 0.6, "sensitivity_90": float("nan"), "sensitivity_95": 0.1}
        return Readout(temperature=1.0, groups=self.temperatures, points=points, studies=9, weights={})

    def recogniser(self) -> ByBrightness | None:
        return self.recognises


def picture(path: Path, level: int, seed: int = 0) -> Path:
    """A noisy picture of about that brightness, as a PNG of other proportions than the nets want."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-9, 10, (90, 70))
    cv2.imwrite(str(path), np.clip(level + noise, 0, 255).astype(np.uint8))
    return path
