import pandas as pd
import pytest

from murace.errors import DataError, UsageError
from murace.metrics.slices import is_small, with_slices


def images(**columns: list[object]) -> pd.DataFrame:
    studies = ["a", "a", "b", "c", "c", "c", "d", "d", "d", "d", "d"]
    return pd.DataFrame({"study": studies, **columns})


def parts(frame: pd.DataFrame, name: str) -> dict[str, str]:
    assert (frame.groupby("study")[name].nunique() == 1).all()  # a study is in one part
    return {study: str(part) for study, part in frame.groupby("study")[name].first().items()}


def test_the_number_of_views_is_a_slice_by_itself() -> None:
    frame, names = with_slices(images(), [])
    assert names == ["views"]
    assert parts(frame, "views") == {"a": "2", "b": "1", "c": "3", "d": "4 or more"}
    alone, none = with_slices(pd.DataFrame({"study": ["a", "b"]}), [])
    assert none == []  # one view everywhere parts nothing
    assert list(alone.columns) == ["study"]


def test_the_size_is_that_of_the_largest_image_in_thirds_of_the_studies() -> None:
    frame, names = with_slices(images(width=[100, 500, 1000, *[2000] * 3, *[3000] * 5], height=[1000] * 11), [])
    assert names == ["views", "image size"]
    assert parts(frame, "image size") == {
        "a": "up to 1 megapixels",
        "b": "up to 1 megapixels",
        "c": "1 to 2 megapixels",
        "d": "over 2 megapixels",
    }
    assert next(str(part) for part, _ in frame.groupby("image size", observed=True)).startswith("up to")


def test_a_named_column_is_taken_as_it_is_and_a_study_that_differs_is_mixed() -> None:
    frame, names = with_slices(images(hardware=["yes", "no", "", *["no"] * 8]), ["hardware"])
    assert names == ["hardware", "views"]
    assert parts(frame, "hardware") == {"a": "mixed", "b": "(none)", "c": "no", "d": "no"}


def test_many_numbers_are_cut_into_thirds() -> None:
    frame = pd.DataFrame({"study": [f"s{n}" for n in range(30)], "age": [str(n) for n in range(30)]})
    found, _ = with_slices(frame, ["age"])
    assert found["age"].value_counts().to_dict() == {"up to 9": 10, "9 to 19": 10, "over 19": 10}


def test_what_is_no_slice_is_refused() -> None:
    with pytest.raises(UsageError, match="the data have no column 'hardware'"):
        with_slices(images(), ["hardware"])
    with pytest.raises(DataError, match="--slice hardware: a value begins with"):
        with_slices(images(hardware=["=1+1"] * 11), ["hardware"])
    with_slices(images(hardware=["-1"] * 11), ["hardware"])  # a number is no formula
    many = pd.DataFrame({"study": [f"s{n}" for n in range(30)], "site": [f"site {n}" for n in range(30)]})
    with pytest.raises(UsageError, match="--slice site: 30 different values"):
        with_slices(many, ["site"])


@pytest.mark.parametrize(
    ("patients", "abnormal", "small"), [(29, 14, True), (30, 9, True), (30, 10, False), (30, 20, False), (30, 21, True)]
)
def test_small_is_under_thirty_patients_or_under_ten_of_a_class(patients: int, abnormal: int, small: bool) -> None:
    cases = pd.DataFrame({"patient": range(patients), "label": [number < abnormal for number in range(patients)]})
    assert is_small(cases.astype({"label": int})) == small
    assert is_small(pd.concat([cases.assign(patient=0)] * 3).astype({"label": int}))  # many cases of one patient


def test_thirds_of_large_numbers_keep_different_names() -> None:
    frame = pd.DataFrame({"study": [f"s{n}" for n in range(12)], "dose": [f"{1000 + n / 10}" for n in range(12)]})
    found, _ = with_slices(frame, ["dose"])
    assert found["dose"].nunique() == 3
    assert set(found["dose"]) == {"up to 1000.3", "1000.3 to 1000.7", "over 1000.7"}
