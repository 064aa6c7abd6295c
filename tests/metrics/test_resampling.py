from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from murace.config import Bootstrap
from murace.metrics import paired
from murace.metrics.reliability import wilson
from murace.metrics.resampling import estimate, interval, resamples
from murace.metrics.scores import score
from murace.vocabulary import MEASURES

MODELS = ["a", "b"]


def cases(generator: np.random.Generator, patients: int, most: int = 1) -> pd.DataFrame:
    """Up to `most` studies a patient; two models that know something."""
    owner = np.repeat(np.arange(patients), generator.integers(1, most + 1, patients))
    label = generator.integers(0, 2, len(owner))
    chance = 1 / (1 + np.exp(-generator.normal(1.2 * (2 * label[:, None] - 1), 1.0, (len(owner), 2))))
    frame = pd.DataFrame(chance, columns=MODELS)
    return frame.assign(patient=[f"p{number}" for number in owner], label=label)


def test_a_resample_draws_whole_patients() -> None:
    frame = cases(np.random.default_rng(0), 40, most=4)
    weights = np.concatenate(list(resamples(frame["patient"], Bootstrap(resamples=300))))
    assert weights.shape == (300, len(frame))
    each = pd.DataFrame(weights.T).groupby(frame["patient"]).agg(["min", "max"])
    assert (each.xs("min", axis=1, level=1) == each.xs("max", axis=1, level=1)).all(axis=None)
    assert (each.xs("min", axis=1, level=1).sum() == 40).all()


def test_every_resample_is_measured_as_if_its_patients_were_the_data() -> None:
    frame = cases(np.random.default_rng(1), 25, most=3)
    bootstrap = Bootstrap(resamples=100)
    found = estimate(frame, MODELS, bootstrap)
    weights = np.concatenate(list(resamples(frame["patient"], bootstrap))).astype(int)
    for row in (0, 50, 99):
        drawn = frame.loc[frame.index.repeat(weights[row])]
        again = score(drawn["label"].to_numpy(), drawn["b"].to_numpy())
        for name in set(MEASURES) - {"ece"}:
            assert found.resampled[name][row, 1] == pytest.approx(again[name], nan_ok=True)


def test_the_same_seed_draws_the_same_whatever_is_measured() -> None:
    frame = cases(np.random.default_rng(2), 30)
    first, second = (estimate(frame, models, Bootstrap(resamples=200, seed=7)) for models in (MODELS, ["b"]))
    assert np.array_equal(first.resampled["auc"][:, 1], second.resampled["auc"][:, 0], equal_nan=True)
    other = estimate(frame, MODELS, Bootstrap(resamples=200, seed=8))
    assert not np.array_equal(first.resampled["accuracy"], other.resampled["accuracy"])
    shuffled = frame.sample(frac=1, random_state=1)
    assert np.array_equal(
        estimate(shuffled, MODELS, Bootstrap(resamples=200, seed=7)).resampled["kappa"], first.resampled["kappa"]
    )


def test_undefined_resamples_are_counted_and_left_out() -> None:
    low, high, undefined = interval(np.array([[0.1, np.nan], [0.3, 0.5], [np.nan, np.nan]]))
    assert undefined.tolist() == [1, 2]  # less than half of the second is left: no interval
    assert low[0] == pytest.approx(0.105)
    assert high[0] == pytest.approx(0.295)
    assert np.isnan([low[1], high[1]]).all()


def test_few_abnormal_patients_leave_undefined_resamples_not_zeros() -> None:
    frame = pd.DataFrame(
        {"patient": [f"p{n}" for n in range(6)], "label": [1, 0, 0, 0, 0, 0], "a": np.linspace(0.9, 0.1, 6)}
    )
    found = estimate(frame, ["a"], Bootstrap(resamples=1000))
    low, high, undefined = interval(found.resampled["recall"])
    assert undefined[0] == 1000  # a single abnormal patient is drawn as it is, or not at all
    assert np.isnan([low[0], high[0]]).all()
    assert not np.isnan(found.resampled["accuracy"]).any()
    two = estimate(frame.assign(label=[1, 1, 0, 0, 0, 0]), ["a"], Bootstrap(resamples=1000))
    _, _, undefined = interval(two.resampled["recall"])
    assert undefined[0] == pytest.approx(1000 * (4 / 6) ** 6, abs=40)  # none of the two was drawn
    assert (two.resampled["recall"][~np.isnan(two.resampled["recall"])] == 1).all()


def test_a_single_patient_has_no_interval() -> None:
    frame = pd.DataFrame({"patient": ["p"] * 4, "label": [0, 1, 0, 1], "a": [0.1, 0.9, 0.6, 0.4]})
    low, high, _ = interval(estimate(frame, ["a"], Bootstrap()).resampled["accuracy"])
    assert np.isnan([low[0], high[0]]).all()


def test_for_independent_cases_it_agrees_with_delong_and_wilson() -> None:
    frame = cases(np.random.default_rng(4), 400)
    found = estimate(frame, MODELS, Bootstrap(resamples=2000))
    low, high, _ = interval(found.resampled["auc"])
    area, covariance = paired._moments(*paired._placements(frame["label"].to_numpy(), frame[MODELS].to_numpy()))
    margin = NormalDist().inv_cdf(0.975) * np.sqrt(np.diag(covariance))
    assert low == pytest.approx(area - margin, abs=0.008)
    assert high == pytest.approx(area + margin, abs=0.008)
    for name, base in (("accuracy", 400), ("recall", int(frame["label"].sum()))):
        low, high, _ = interval(found.resampled[name])
        bounds = wilson(found.value[name] * base, np.array([base, base]))
        assert np.stack([low, high]) == pytest.approx(np.stack(bounds), abs=0.012)


def test_intervals_over_patients_cover_and_those_over_rows_do_not() -> None:
    """Patients with several correlated studies: accuracy is a patient's own, drawn around 0.75."""
    generator = np.random.default_rng(5)
    bootstrap, inside = Bootstrap(resamples=300), {"patient": 0, "row": 0}
    rounds = 600
    for _ in range(rounds):
        owner = np.repeat(np.arange(120), generator.integers(2, 7, 120))
        right = generator.random(len(owner)) < generator.beta(1.5, 0.5, 120)[owner]
        label = generator.integers(0, 2, len(owner))
        frame = pd.DataFrame({"label": label, "a": np.where(right, label, 1 - label).astype(float)})
        for kind, names in (("patient", owner), ("row", np.arange(len(owner)))):
            weights = np.concatenate(list(resamples(pd.Series(names), bootstrap)))
            drawn = (weights @ right) / weights.sum(axis=1)
            low, high, _ = interval(drawn[:, None])
            inside[kind] += bool(low[0] <= 0.75 <= high[0])
        assert score(frame["label"].to_numpy(), frame["a"].to_numpy())["accuracy"] == pytest.approx(right.mean())
    assert 0.93 <= inside["patient"] / rounds <= 0.97
    assert inside["row"] / rounds < 0.90
