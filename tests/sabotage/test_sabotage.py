"""Every recorded sabotage still fits the code, so that none is passed over when they are replayed."""

import ast
from pathlib import Path

import pytest

from tests.sabotage.__main__ import ROOT, Sabotage, sabotages

ALL = list(sabotages())


@pytest.mark.parametrize("sabotage", ALL, ids=[f"{one.row}-{number}" for number, one in enumerate(ALL)])
def test_it_fits_the_code_and_names_a_test(sabotage: Sabotage) -> None:
    text = (ROOT / sabotage.file).read_text()
    assert text.count(sabotage.find) == 1
    if sabotage.file.endswith(".py"):
        ast.parse(text.replace(sabotage.find, sabotage.replace))
    file, _, name = sabotage.test.partition("::")
    assert Path(ROOT / file).is_file()
    if name:
        assert f"def {name.partition('[')[0].rpartition('::')[2]}(" in (ROOT / file).read_text()


def test_every_row_has_one() -> None:
    assert {"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "W1", "S1", "S2", "S3"} <= {one.row for one in ALL}
