"""The display chain against dcmtk and pydicom, on random headers: equal within a grey level, or known why not."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from murace.data.images.decode import read
from murace.data.images.dicom.chain import NEXT_WINDOW, NO_WINDOW, OTHER_BITS, SHORT_TABLE
from tests.data.images.dicom.drawn import DCM2PNM, DCMTK, PYDICOM, Drawn, Kind, by_pydicom, dcmtk, draw, explained

EQUAL, NO_READING = "equal", "no reading: all is shown, which pydicom leaves to others"
LEVEL = 1.01  # of 255
FEW, MANY = 100, 2500
THREADS = 4
Reading = Callable[[Path, Drawn], np.ndarray | None]

# How many of MANY draws fell where; one that two kinds explain together counts for both. dcmtk 3.6.7, pydicom 3.0.
FELL: dict[str, dict[str, int]] = {
    "dcmtk": {
        EQUAL: 1570,
        "LUT Data of VR OB or SS, or of entries of a byte": 535,
        "modality values with fractions are cut to whole numbers": 349,
        "a table that holds other bits than it announces": 108,
        "LINEAR_EXACT is read as LINEAR": 43,
        "a window narrower than 1 is not used": 39,
        "8 bits with a modality table and no window are spread over all that its bits could hold": 21,
        "padding counts among the values that are spread over the display": 5,
        "a table shorter than its descriptor says": 1,
    },
    "by_pydicom": {
        EQUAL: 1038,
        NO_READING: 684,
        "LUT Data of VR OB or SS, or of entries of a byte": 425,
        "a table shorter than its descriptor says": 318,
        "places in a table of 8 bits are counted with 8 bits, or its modality values are of no such type": 180,
        "a modality table of 10 to 15 bits ends in an error": 131,
        "the first value mapped has the other VR, US or SS, than its input": 128,
        "modality values with fractions are cut to whole numbers": 113,
        "a table that holds other bits than it announces": 100,
    },
}


def differences(folder: Path, reading: Reading, kinds: tuple[Kind, ...], count: int) -> Counter[str]:
    """How many draws were equal, and how many fell on each kind."""
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(
            name for names in pool.map(partial(_difference, folder, reading, kinds), range(count)) for name in names
        )


def _difference(folder: Path, reading: Reading, kinds: tuple[Kind, ...], number: int) -> list[str]:
    drawn = draw(np.random.default_rng([2026, number]))
    own = folder / str(number)
    own.mkdir()
    (own / "IM1").write_bytes(drawn.data)
    made = read(own / "IM1")
    shown = made.grey / np.iinfo(made.grey.dtype).max
    assert (set(made.remarks), shown[drawn.padded].any()) == (_remarks(drawn), False), (number, drawn)
    if reading is by_pydicom and drawn.shows_all:
        return [NO_READING]

    def agrees(other: Drawn) -> bool:
        theirs = reading(own, other)
        return theirs is not None and bool((255 * np.abs(shown - theirs)[~drawn.padded] <= LEVEL).all())

    found = explained(agrees, drawn, kinds)
    assert found is not None, f"unexplained: {number} {drawn}"
    return [kind.name for kind in found] or [EQUAL]


def _remarks(drawn: Drawn) -> set[str]:
    """What murace must remark on."""
    tables = [table for table in (drawn.modality, drawn.voi) if table is not None]
    found = {SHORT_TABLE for table in tables if len(table.entries) < table.count}
    if drawn.voi is not None:
        return found | ({OTHER_BITS} if drawn.voi.real_bits != drawn.voi.announced else set())
    if drawn.windows and drawn.usable != 0:
        found |= {NO_WINDOW if drawn.usable is None else NEXT_WINDOW}
    return found


READERS = [
    pytest.param(dcmtk, DCMTK, marks=pytest.mark.skipif(DCM2PNM is None, reason="dcmtk's dcm2pnm is not installed")),
    pytest.param(by_pydicom, PYDICOM),
]


@pytest.mark.parametrize(("reading", "kinds"), READERS)
def test_pictures_are_those_of_other_readers_or_it_is_known_why_not(tmp_path, reading, kinds):
    fell = differences(tmp_path, reading, kinds, FEW)
    assert fell[EQUAL] > FEW / 4


@pytest.mark.slow
@pytest.mark.parametrize(("reading", "kinds"), READERS)
def test_thousands_of_pictures_are_those_of_other_readers_or_it_is_known_why_not(tmp_path, reading, kinds):
    fell = differences(tmp_path, reading, kinds, MANY)
    known = FELL[reading.__name__]
    assert set(fell) == set(known)
    assert all(count / 2 <= fell[name] <= 2 * count for name, count in known.items()), fell
