"""From the nets' probabilities to the five models of the paper: two learners' mean, and routing by group."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.metrics.scores import Probabilities
from murace.vocabulary import CALIBRATED, RESNET_DENSENET

PAIR = ("resnet", "densenet")


def models_of(learners: Sequence[str]) -> list[str]:
    """The models that these trained learners make, in the order of the tables."""
    pair = [RESNET_DENSENET] if set(PAIR) <= set(learners) else []
    return [*learners, *pair, CALIBRATED]


def combine(
    images: pd.DataFrame, learners: Mapping[str, Probabilities], members: Mapping[str, Probabilities]
) -> pd.DataFrame:
    """Add a probability column for every model.

    `resnet+densenet` is the mean of the two, so abnormal when p_r + p_d >= 1 (paper, "Ensemble of ResNet and
    DenseNet"); `calibrated` sends each image to its group's member (paper, "Calibrated ensemble model").

    Args:
        images: columns group and whatever else, [N] rows.
        learners: each learner's probabilities of all N images.
        members: each group's member's probabilities of that group's images, in the order of `images`.
    """
    columns = dict(learners)
    if set(PAIR) <= set(learners):
        columns[RESNET_DENSENET] = (learners[PAIR[0]] + learners[PAIR[1]]) / 2
    columns[CALIBRATED] = route(images["group"].to_numpy(dtype=str), members)
    return images.assign(**columns)


def route(groups: npt.NDArray[np.str_], members: Mapping[str, Probabilities]) -> Probabilities:
    """Probabilities [N] of images, each by its group's member.

    Raises:
        KeyError: a group has no member.
    """
    routed = np.full(len(groups), np.nan)
    for group in sorted(set(groups.tolist())):
        routed[groups == group] = members[group]
    return routed
