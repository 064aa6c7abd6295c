"""How the group model is made: clouds from training images, every limit from validation images."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.covariance import ledoit_wolf

from murace.inference.recogniser.model import Floats, GroupModel, Support, judge, log_shares
from murace.vocabulary import OVERALL, Level

# Whose features, the first that is trained: resnet's refused strangers (a chest, black, noise) most surely on drawn and
# real radiographs, and are the fewest (1,008 at full width: a file of 8 MB); convnet is quicker, but let them pass.
PREFERRED = ("resnet", "densenet", "convnet")
CONFIDENCE = 0.6  # share of the likeliest group below which nothing is named
REFUSED = 0.02  # share of pictures of known groups that may look like none
TOO_FEW = 2.0  # times the largest distance, where there are too few to know so high a quantile
LEAST_SPREAD = 1e-3  # of the most varied feature's: one that hardly varies is not trusted to a thousandth of that
RIDGE = 1e-6  # beside 1: keeps the covariance of very few images invertible
TEMPERATURES = np.geomspace(1, 1000, 601)
Names = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images with the features [N, C] that a learner sees in them, and their groups and studies [N]."""

    features: Floats
    groups: Names
    studies: Names


def chosen_learner(trained: Sequence[str]) -> str:
    """The learner whose features are used, of those that are trained."""
    return next(learner for learner in PREFERRED if learner in trained)


def drawn(images: pd.DataFrame, *, most: int, seed: int) -> pd.DataFrame:
    """At most `most` images of each group, in the order of `row`; whole studies, but perhaps for the last.

    The draw is by a key of seed and study alone: the order of the images, and which others there are, does not matter.

    Args:
        images: columns row, group, study and path.
        most: images of a group.
        seed: another draws others.
    """
    key = images["study"].map(lambda study: hashlib.sha256(f"{seed} {study}".encode()).hexdigest())
    ordered = images.assign(key=key).sort_values(["group", "key", "path"])
    return ordered.groupby("group", sort=True).head(most).drop(columns="key").sort_values("row")


def fit_group_model(training: Labelled, validation: Labelled, *, learner: str, weights_sha256: str) -> GroupModel:
    """Fit the groups' means and their one covariance on training images; freeze the rest on validation images.

    The covariance within the groups, of standardised features, is shrunk as Ledoit and Wolf (2004) do. The temperature
    makes the shares as good as they can be on validation (negative log-likelihood); below 1 it is not sought, since
    that would only make sure what is sure. A validation image of a group without training images is left out.

    Raises:
        ValueError: fewer than two groups have training images, or a feature is not finite.
    """
    groups = tuple(sorted(set(training.groups.tolist())))
    if len(groups) < 2 or not (np.isfinite(training.features).all() and np.isfinite(validation.features).all()):
        raise ValueError("a group recogniser needs two groups with training images, and finite features")
    known = np.isin(validation.groups, groups)
    validation = Labelled(validation.features[known], validation.groups[known], validation.studies[known])
    means = np.stack([training.features[training.groups == group].mean(axis=0) for group in groups])
    centred = training.features - means[np.searchsorted(groups, training.groups)]
    model = GroupModel(
        groups=groups,
        learner=learner,
        weights_sha256=weights_sha256,
        means=means,
        whitening=_whitening(centred),
        distance_limit=1.0,
        temperature=1.0,
        confidence=CONFIDENCE,
        accuracy={},
    )
    distances = model.distances(validation.features)
    limit = _limit(distances.min(axis=1) if len(distances) else model.distances(training.features).min(axis=1))
    truth = np.searchsorted(groups, validation.groups)
    model = replace(model, distance_limit=limit, temperature=_temperature(distances, truth))
    return replace(model, accuracy=_accuracy(model, validation, distances))


def _whitening(centred: Floats) -> Floats:
    """[C, C] for residuals [N, C]: the inverse root of their shrunk covariance."""
    spread = centred.std(axis=0)
    spread = np.maximum(spread, LEAST_SPREAD * spread.max())
    spread = np.where(spread > 0, spread, 1.0)
    covariance, _ = ledoit_wolf(centred / spread, assume_centered=True)
    lower = np.linalg.cholesky(covariance + RIDGE * np.eye(len(covariance)))
    whitening: Floats = np.linalg.inv(lower).T / spread[:, None]
    return whitening


def _limit(distances: Floats) -> float:
    """What one more such picture stays below with probability 1 - REFUSED (split conformal, Vovk et al. 2005)."""
    rank = math.ceil((len(distances) + 1) * (1 - REFUSED))
    within = np.sort(distances)
    found = within[rank - 1] if rank <= len(within) else TOO_FEW * within[-1]
    return max(float(found), np.finfo(np.float64).tiny)


def _temperature(distances: Floats, truth: npt.NDArray[np.intp]) -> float:
    """The temperature with the smallest negative log-likelihood of the right groups [N]; 1 where there is none."""
    if not len(truth):
        return 1.0
    rows = np.arange(len(truth))
    costs = [-float(log_shares(distances, float(heat))[rows, truth].mean()) for heat in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(costs))])


def _accuracy(model: GroupModel, images: Labelled, distances: Floats) -> dict[str, dict[str, Support]]:
    """What the model says of the images it was not fitted to, by image and by study."""
    cases = {Level.IMAGE: np.arange(len(distances)), Level.STUDY: pd.factorize(images.studies)[0]}
    return {str(level): _counted(model, images.groups, distances, codes) for level, codes in cases.items()}


def _counted(model: GroupModel, groups: Names, distances: Floats, codes: npt.NDArray[np.intp]) -> dict[str, Support]:
    found = {group: [0, 0, 0] for group in (OVERALL, *model.groups)}
    for _, rows in pd.Series(codes).groupby(codes).groups.items():
        part = np.asarray(rows)
        seen, group = judge(model, distances[part]), str(groups[part[0]])
        for counts in (found[OVERALL], found[group]):
            counts[0] += 1
            counts[1] += seen.likeliest == group
            counts[2] += seen.group is None
    return {group: Support(*counts) for group, counts in found.items()}
