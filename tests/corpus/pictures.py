"""Cases 1 to 22 as cases: a picture of the table beside the carrier's, and what must come of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.corpus.case import CARRIED, MADE, REFUSED, Case, carrier, prepare, rejected
from tests.corpus.images import CALM, PICTURES, Picture

ODD = "odd.png"
REMARKS = "single shade|12 bits"  # what `prepare` remarks of pictures that it takes all the same


def case_of(item: Picture) -> Case:
    """The carrier with that file."""

    def build(folder: Path) -> Sequence[object]:
        manifest = carrier(folder, f"{ODD},1,train")
        (folder / "source" / ODD).write_bytes(item.data())
        return prepare(manifest)

    def refused(folder: Path, answer: dict[str, Any]) -> None:
        ((path, reason),) = rejected(folder)
        assert path == ODD
        assert re.search(item.reason, reason), reason

    def accepted(folder: Path, answer: dict[str, Any]) -> None:
        pixels = np.load(folder / "workspace/prepare/pixels.npy")
        notes = [note for note in answer["notes"] if re.search(REMARKS, note)]
        assert (answer["rejected"], len(pixels)) == (0, CARRIED + 1)
        assert notes == [] if item.note == CALM else re.search(item.note, *notes), notes
        line = (folder / "workspace/prepare/index.csv").read_text().splitlines()[-1].split(",")
        assert (line[1], line[7], line[8]) == (ODD, *map(str, item.size))
        if item.pixels is not None:
            assert np.abs(pixels[-1].astype(int) - item.pixels()).max() <= item.off

    if item.reason:
        says = f"1 of {CARRIED + 1} radiographs cannot be used, more than 1%.*--accept-rejects 1"
        return Case(number=item.number, name=item.name, build=build, says=says, leaves=REFUSED, check=refused)
    return Case(number=item.number, name=item.name, build=build, exit_code=0, leaves=MADE, check=accepted)


CASES = [case_of(item) for item in PICTURES]
