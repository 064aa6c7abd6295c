"""Splits: every image in exactly one, patients never parted, the same for any order of rows, given ones untouched."""

import random
from collections import defaultdict
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from murace.data.sources.duplicates import unite
from murace.data.sources.split import assign
from murace.vocabulary import Split
from tests.properties.size import holds, sizes

CUTS = {Split.TEST: 0.15, Split.VALIDATION: 0.127}
images = st.lists(
    st.tuples(
        st.integers(0, 15).map("p{}".format),  # patient
        st.sampled_from("abc"),  # group
        st.integers(0, 1),  # label
        st.integers(0, 200).map(str),  # digest of its bytes: some are shared
        st.sampled_from([*["train"] * 9, "test"]),
    ),
    min_size=4,
    max_size=50,
)
seeds = st.integers(0, 2**63 - 1)


def frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """The images with their units; a unit, as `prepare` sees to it, has one given split."""
    table = pd.DataFrame(rows, columns=["patient", "group", "label", "sha256", "split"])
    united = unite(table["patient"], table["sha256"])
    table["unit"] = table["patient"].map(united)
    table["split"] = table.groupby("unit")["split"].transform("first")
    return table


@sizes()
def test_every_image_has_one_split_and_no_patient_and_no_picture_has_two(examples: int) -> None:
    def law(rows: list[tuple[Any, ...]], seed: int) -> None:
        table = frame(rows)
        split = assign(table, CUTS, seed=seed)
        assert split.index.equals(table.index)
        assert set(split) <= {"train", "validation", "test"}
        sides = defaultdict(set)
        for row, side in zip(rows, split, strict=True):
            sides["patient", row[0]].add(side)
            sides["picture", row[3]].add(side)
        assert [key for key, found in sides.items() if len(found) > 1] == []
        given = table["split"] == "test"
        assert (split[given] == "test").all()

    holds(law, examples, images, seeds)


@sizes()
def test_the_order_of_the_rows_and_the_names_of_their_index_do_not_matter(examples: int) -> None:
    def law(rows: list[tuple[Any, ...]], seed: int, order: random.Random) -> None:
        table = frame(rows)
        shuffled = table.sample(frac=1, random_state=order.randrange(2**32))
        assert assign(shuffled, CUTS, seed=seed).sort_index().equals(assign(table, CUTS, seed=seed))

    holds(law, examples, images, seeds, st.randoms(use_true_random=False))
