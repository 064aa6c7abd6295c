import pandas as pd
import pytest

from murace.data.sources.duplicates import refuse_across, unite
from murace.data.sources.listing import ConflictError


def images(splits: list[str], files: str, pixels: str) -> pd.DataFrame:
    names = [chr(ord("a") + place) for place in range(len(splits))]
    return pd.DataFrame({"path": names, "split": splits, "sha256": list(files), "pixels": list(pixels)})


def test_patients_are_united_through_chains_of_identical_images():
    united = unite(["c", "b", "b", "a", "d"], ["1", "1", "2", "2", "3"])
    assert united == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_identical_pictures_on_both_sides_of_a_given_cut_stop_and_elsewhere_do_not():
    table = images(["train", "test", "train", "train", "test", "train"], "112345", "112244")
    with pytest.raises(
        ConflictError, match=r"2 times \(1 the same file, 1 only the same pixels\): a \(train\) = b"
    ) as stop:
        refuse_across(table)
    assert sorted(stop.value.culprits) == [
        ("a", "identical files in two given splits: a (train), b (test)"),
        ("b", "identical files in two given splits: a (train), b (test)"),
        ("e", "identical pixels in two given splits: e (test), f (train)"),
        ("f", "identical pixels in two given splits: e (test), f (train)"),
    ]
    refuse_across(table[2:4])


def test_the_message_names_a_few_and_the_culprits_are_all():
    table = images(["train", "test"] * 10, "a" * 20, "".join(letter * 2 for letter in "abcdefghij"))
    with pytest.raises(ConflictError, match=r"10 times.* and 5 more") as stop:
        refuse_across(table)
    assert [path for path, _ in sorted(stop.value.culprits)] == sorted(table["path"])
    assert list(stop.value.table.columns) == ["path", "reason"]
