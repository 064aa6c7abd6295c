import numpy as np
import pytest
import torch

from murace.errors import DataError
from murace.report.sections.paper import paper_table
from murace.training.loss import group_weights, image_weights, weighted_cross_entropy

pytestmark = pytest.mark.kernels


def test_weights_of_the_paper() -> None:
    table = paper_table(1).set_index("group")
    counts = table.loc["elbow"]
    groups = ["elbow"] * int(counts["train_positive"] + counts["train_negative"])
    labels = [1] * int(counts["train_positive"]) + [0] * int(counts["train_negative"])
    assert group_weights(groups, labels) == {"elbow": (1734 / 4318, 2584 / 4318)}


def test_each_group_has_its_own_weights() -> None:
    weights = group_weights(["a", "a", "a", "b", "b"], [0, 0, 1, 1, 0])
    assert weights == {"a": (1 / 3, 2 / 3), "b": (1 / 2, 1 / 2)}
    assert image_weights(weights, ["b", "a", "a"], [1, 0, 1]).tolist() == pytest.approx([1 / 2, 1 / 3, 2 / 3])


def test_a_group_of_one_class_is_refused_with_its_counts() -> None:
    with pytest.raises(DataError, match=r"b \(2 normal, 0 abnormal\)"):
        group_weights(["a", "a", "b", "b"], [0, 1, 0, 0])


def test_loss_is_the_papers_sum() -> None:
    generator = np.random.default_rng(0)
    logits = torch.from_numpy(generator.normal(size=(7, 2)))
    labels = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    weights = torch.from_numpy(generator.uniform(0.1, 0.9, 7))
    p = torch.softmax(logits, dim=1).numpy()
    expected = -sum(w * np.log(p[i, y]) for i, (w, y) in enumerate(zip(weights.numpy(), labels.numpy(), strict=True)))
    assert float(weighted_cross_entropy(logits, labels, weights)) == pytest.approx(expected, rel=1e-6)
