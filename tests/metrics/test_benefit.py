"""Net benefit by hand, and as the package dcurves gives it."""

import numpy as np
import pytest

from murace.metrics import benefit
from murace.metrics.benefit import COLUMNS, THRESHOLDS, net_benefit

# dcurves 1.1.7, dca(...)["net_benefit"] of `forty()` at these thresholds.
SOME = np.array([0.05, 0.1, 0.25, 0.4, 0.55, 0.75, 0.9])
DCURVES = {
    "fine": [0.502632, 0.483333, 0.383333, 0.291667, 0.172222, 0.150000, 0.100000],
    "coarse": [0.476316, 0.427778, 0.216667, 0.016667, -0.161111, -0.350000, -0.400000],
    "all": [0.500000, 0.472222, 0.366667, 0.208333, -0.055556, -0.900000, -3.750000],
    "none": [0.0] * 7,
}


def forty() -> tuple[np.ndarray, np.ndarray]:
    k = np.arange(40)
    fine, coarse = ((k * 37 + 11) % 97) / 97, ((k * 13 + 5) % 20) / 20
    return ((k * 29) % 40 / 40 < fine).astype(np.int64), np.stack([fine, coarse], axis=1)


def test_is_what_dcurves_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benefit, "THRESHOLDS", SOME)
    labels, probabilities = forty()
    table = net_benefit(labels, probabilities, ["fine", "coarse"])
    assert list(table.columns) == COLUMNS
    assert list(dict.fromkeys(table["model"])) == list(DCURVES)
    for model, values in DCURVES.items():
        np.testing.assert_allclose(table.loc[table["model"] == model, "net_benefit"], values, atol=1e-6)


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 0.2 a false alarm costs a quarter: 2 found and 1 false alarm of 5 cases are worth (2 - 0.25) / 5."""
    monkeypatch.setattr(benefit, "THRESHOLDS", np.array([0.2]))
    labels = np.array([1, 1, 1, 0, 0])
    table = net_benefit(labels, np.array([[0.2], [0.9], [0.1], [0.3], [0.05]]), ["one"])
    assert table["net_benefit"].tolist() == pytest.approx([0.35, (3 - 2 * 0.25) / 5, 0])


def test_thresholds_are_the_hundredths_and_a_case_at_one_reaches_it() -> None:
    table = net_benefit(np.ones(99, dtype=np.int64), np.array([[k / 100] for k in range(1, 100)]), ["one"])
    one = table[table["model"] == "one"]
    assert one["threshold"].tolist() == [float(f"0.{k:02d}") for k in range(1, 100)] == THRESHOLDS.tolist()
    np.testing.assert_allclose(one["net_benefit"] * 99, np.arange(99, 0, -1), rtol=1e-12)


def test_a_model_that_calls_every_case_abnormal_is_the_row_all() -> None:
    labels, _ = forty()
    table = net_benefit(labels, np.ones((40, 1)), ["one"])
    np.testing.assert_array_equal(
        table.loc[table["model"] == "one", "net_benefit"], table.loc[table["model"] == "all", "net_benefit"]
    )


def test_no_case_is_undefined() -> None:
    table = net_benefit(np.empty(0, dtype=np.int64), np.empty((0, 1)), ["one"])
    assert table.loc[table["model"] != "none", "net_benefit"].isna().all()


def test_what_makes_no_sense_is_refused() -> None:
    labels, probabilities = forty()
    with pytest.raises(ValueError, match="named"):
        net_benefit(labels, probabilities, ["all", "coarse"])
    with pytest.raises(ValueError, match="1 models"):
        net_benefit(labels, probabilities, ["fine"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        net_benefit(labels, probabilities + 1, ["fine", "coarse"])
