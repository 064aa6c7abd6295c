import pytest

from murace.report.text import formats

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9251, "0.925"),
        (-0.04, f"{formats.MINUS}0.040"),
        (0.0, "0.000"),
        (-0.0001, "0.000"),
        (NAN, formats.DASH),
        (None, formats.DASH),
    ],
)
def test_score(value: float, text: str) -> None:
    assert formats.score(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0568, "+5.7%"),
        (-0.012, f"{formats.MINUS}1.2%"),
        (0.0, "±0.0%"),
        (-0.0001, "±0.0%"),
        (NAN, ""),
        (None, ""),
        (float("inf"), ""),
    ],
)
def test_change(value: float, text: str) -> None:
    assert formats.change(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12.0 h"), (0.5, "30.0 min"), (0.004, "14 s"), (0, "0 s"), (NAN, formats.DASH)]
)
def test_hours(value: float, text: str) -> None:
    assert formats.hours(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (None, formats.DASH),
        (1e-4, "0.0001"),
        (["auc", "kappa"], "auc, kappa"),
        ({"torch": 2}, "torch 2"),
        (0, "0"),
    ],
)
def test_plain(value: object, text: str) -> None:
    assert formats.plain(value) == text


def test_listing() -> None:
    assert formats.listing(["a"]) == "a"
    assert formats.listing(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0121, "+0.012"), (-0.0121, f"{formats.MINUS}0.012"), (-0.0001, "±0.000"), (NAN, formats.DASH)],
)
def test_difference(value: float, text: str) -> None:
    assert formats.difference(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0421, "p = 0.042"), (0.0004, "p < 0.001"), (0.9999, "p > 0.999"), (1.0, "p > 0.999"), (NAN, ""), (None, "")],
)
def test_p_value(value: float, text: str) -> None:
    assert formats.p_value(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.58, "58%"), (0.0, "0%"), (0.001, "<1%"), (1.0, "100%"), (NAN, "–")])  # noqa: RUF001
def test_share(value: float, text: str) -> None:
    assert formats.share(value) == text


@pytest.mark.parametrize(("low", "high", "text"), [(0.8, 0.9, "0.800 to 0.900"), (NAN, 0.9, ""), (0.8, None, "")])
def test_interval(low: float, high: float, text: str) -> None:
    assert formats.interval(low, high) == text


def test_metric_names_within_a_sentence() -> None:
    assert [formats.metric_inside(name) for name in ("auc", "kappa", "accuracy", "brier", "ece")] == [
        "AUC", "Cohen's kappa", "accuracy", "Brier score", "expected calibration error"]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (1.6e-8, "<0.001"), (0.99999, ">0.999"), (0.0, "0.000"), (1.0, "1.000"), (None, formats.DASH)],
)
def test_a_threshold_is_never_rounded_to_a_decision_it_does_not_make(value: float | None, text: str) -> None:
    assert formats.threshold(value) == text
