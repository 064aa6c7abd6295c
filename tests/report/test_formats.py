import pytest

from murace.report import formats

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9251, "0.925"), (-0.04, f"{formats.MINUS}0.040"), (0.0, "0.000"), (NAN, formats.DASH), (None, formats.DASH)],
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
