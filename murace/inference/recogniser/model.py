"""The model of the groups, and what it says of a study."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MEND = "Run: murace calibrate --fresh"
SURE, TINY = 0.9, 0.01  # a stated group is contradicted from this confidence on, where its own share is below that
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Support:
    """How many were looked at, of how many the likeliest group was the right one, and how many would be refused."""

    count: int
    right: int
    refused: int


@dataclass(frozen=True, eq=False)
class GroupModel:
    """Gaussian groups with one covariance, on the features of one learner's very weights; limits frozen on validation.

    Attributes:
        groups: sorted.
        learner: whose features.
        weights_sha256: of its weights file.
        means: of the groups, [G, C].
        whitening: [C, C]; features times it have the unit covariance within a group.
        distance_limit: the squared distance to the nearest mean beyond which a picture looks like no group.
        temperature: what distances are divided by; 1 or more.
        confidence: the share of the likeliest group below which nothing is named.
        accuracy: level -> group or `overall` -> what was counted on validation.
    """

    groups: tuple[str, ...]
    learner: str
    weights_sha256: str
    means: Floats
    whitening: Floats
    distance_limit: float
    temperature: float
    confidence: float
    accuracy: Mapping[str, Mapping[str, Support]]

    def distances(self, features: Floats) -> Floats:
        """Squared Mahalanobis distances [V, G] of features [V, C] to the groups' means."""
        gaps = (features @ self.whitening)[:, None] - (self.means @ self.whitening)[None]
        squares: Floats = (gaps**2).sum(axis=2)
        return squares


@dataclass(frozen=True)
class Recognition:
    """What a study looks like: `group` is None where it looks like none, or not clearly like one."""

    group: str | None
    likeliest: str
    confidence: float
    shares: Mapping[str, float]
    is_typical: bool


def log_shares(distances: Floats, temperature: float) -> Floats:
    """The logarithm of each group's posterior, [V, G], from squared distances [V, G]; before, all are as likely."""
    scores = -distances / (2 * temperature)
    scores = scores - scores.max(axis=1, keepdims=True)
    logarithms: Floats = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return logarithms


def judge(model: GroupModel, distances: Floats) -> Recognition:
    """What one study looks like, from the distances [V, G] of its views, V at least 1.

    The views' log posteriors are averaged, not added: views of one patient are no independent witnesses. As the model
    is linear, these are the shares of the mean features. The typical distance is the mean of the views', since that
    of the mean features would shrink with the number of views. Features that are not finite look like nothing.
    """
    if not np.isfinite(distances).all():
        distances = np.full(distances.shape, np.finfo(np.float64).max / 4)
    logarithms = log_shares(distances, model.temperature).mean(axis=0)
    chances = np.exp(logarithms - logarithms.max())
    chances = chances / chances.sum()
    best = int(chances.argmax())
    likeliest, confidence = model.groups[best], float(chances[best])
    is_typical = bool(distances.min(axis=1).mean() <= model.distance_limit)
    return Recognition(
        group=likeliest if is_typical and confidence >= model.confidence else None,
        likeliest=likeliest,
        confidence=confidence,
        shares=dict(zip(model.groups, chances.tolist(), strict=True)),
        is_typical=is_typical,
    )


def contradicts(recognition: Recognition, stated: str) -> bool:
    """Whether the pictures clearly show another group than the one that is stated; never where that one is unknown."""
    is_other = recognition.group is not None and recognition.group != stated
    return is_other and recognition.confidence >= SURE and recognition.shares.get(stated, 1.0) < TINY
