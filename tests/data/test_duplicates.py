import pandas as pd
import pytest

from murace.data.duplicates import describe, refuse_across, unite
from murace.errors import DataError


def test_patients_are_united_through_chains_of_identical_images():
    united = unite(["c", "b", "b", "a", "d"], ["1", "1", "2", "2", "3"])
    assert united == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_identical_images_on_both_sides_of_a_given_cut_are_listed_and_elsewhere_are_not():
    images = pd.DataFrame({"path": list("abcd"), "split": ["train", "test", "train", "train"], "sha256": list("1122")})
    with pytest.raises(DataError, match=r"1 times: a \(train\) = b \(test\)"):
        refuse_across(images)
    refuse_across(images[2:])


def test_notes_count_files_pictures_and_contradictions_without_naming_them():
    images = pd.DataFrame({"path": ["x.png"] * 5, "sha256": list("11223"), "label": [0, 1, 1, 1, 0]})
    notes = describe(images)
    assert notes[0].startswith("4 files are byte-identical")
    assert notes[1].startswith("1 of these pictures have both labels")
    assert "x.png" not in " ".join(notes)
    assert describe(images[4:]) == []
