import numpy as np
import pandas as pd
import pytest

from murace.inference.combine import combine, models_of, route

IMAGES = pd.DataFrame({"group": ["b", "a", "b", "a"]})


def test_the_pair_is_the_mean_and_each_group_asks_its_member() -> None:
    learners = {"resnet": np.array([0.1, 0.2, 0.3, 0.4]), "densenet": np.array([0.3, 0.8, 0.3, 0.0])}
    members = {"a": np.array([0.9, 0.8]), "b": np.array([0.5, 0.6])}
    table = combine(IMAGES, learners, members)
    assert list(table.columns[1:]) == models_of(["resnet", "densenet"])
    assert table["resnet+densenet"].tolist() == pytest.approx([0.2, 0.5, 0.3, 0.2])
    assert table["calibrated"].tolist() == [0.5, 0.9, 0.6, 0.8]


def test_without_both_there_is_no_pair() -> None:
    assert models_of(["convnet", "resnet"]) == ["convnet", "resnet", "calibrated"]


def test_a_group_without_a_member_is_an_error() -> None:
    with pytest.raises(KeyError):
        route(np.array(["a", "c"]), {"a": np.array([0.5])})
