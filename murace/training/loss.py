"""The paper's weighted cross-entropy ("Customized loss function"): weights per group and class."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

from murace.errors import DataError


def group_weights(groups: Iterable[str], labels: Iterable[int]) -> dict[str, tuple[float, float]]:
    """Each group's (w0, w1), counted on training images.

    w0 = abnormal / all weighs the normal images and w1 = normal / all the abnormal ones, so that the rarer class counts
    more; elbow's w1 in the paper is 2584 / 4318.

    Args:
        groups: the group of each training image.
        labels: 0 (normal) or 1 (abnormal) of each.

    Raises:
        DataError: a group has images of one class only.
    """
    names = np.asarray(list(groups), dtype=str)
    truth = np.asarray(list(labels), dtype=np.int64)
    weights, lacking = {}, []
    for name in sorted(set(names.tolist())):
        chosen = truth[names == name]
        normal, abnormal = int((chosen == 0).sum()), int((chosen == 1).sum())
        if not normal or not abnormal:
            lacking.append(f"{name} ({normal} normal, {abnormal} abnormal)")
        else:
            weights[name] = (abnormal / len(chosen), normal / len(chosen))
    if lacking:
        raise DataError(
            f"training images of one class only: {', '.join(lacking)}; the loss weighs one class by the other. "
            "Add images of the missing class or leave the group out, then run: murace prepare SOURCE"
        )
    return weights


def image_weights(
    weights: Mapping[str, tuple[float, float]], groups: Iterable[str], labels: Iterable[int]
) -> npt.NDArray[np.float32]:
    """The weight of each image, [N]: its group's w1 where the label is 1, else its w0."""
    pairs = zip(groups, labels, strict=True)
    return np.array([weights[group][int(label)] for group, label in pairs], dtype=np.float32)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Sum of weight x cross-entropy over the images (the paper's Weighted_loss), a scalar.

    Args:
        logits: [B, 2].
        labels: int64 [B].
        weights: [B], each image's own.
    """
    return (F.cross_entropy(logits.float(), labels, reduction="none") * weights).sum()
