"""Random DICOM headers of the display chain, how dcmtk and pydicom show the pictures under them, and why otherwise.

Each `Kind` is something that a reader is known to read otherwise than murace, and why. It can be mended: a header that
says the same in words that this reader knows. A difference is explained where the reader agrees after that.
"""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from murace.system.opencv import cv2
from tests.data.files import dicom

SIDE = 64
DCM2PNM = shutil.which("dcm2pnm")
UNUSABLE = [(0, 0), (100, -5), (50, 0), (7, 0.4)]
VRS = ("OW16", "OW8", "OB16", "OB8", "US16", "US8", "SS16")


@dataclass(frozen=True)
class Table:
    """A lookup table as drawn: the entries that are there, what the descriptor says, and how both are written."""

    entries: np.ndarray
    count: int
    first: int
    announced: int
    vr: str
    descriptor_vr: str

    @property
    def complete(self) -> np.ndarray:
        """All entries; the last one stands for those that are missing."""
        return self.entries[np.minimum(np.arange(self.count), len(self.entries) - 1)]

    @property
    def real_bits(self) -> int:
        """As murace takes them: what the largest entry needs, where that is not the announced ones or one less."""
        needed = max(8, int(self.entries.max()).bit_length())
        return self.announced if self.announced - 1 <= needed <= self.announced else needed

    @property
    def item(self) -> Dataset:
        """The sequence's item."""
        made = Dataset()
        first = self.first % 65536
        first = first - 65536 if self.descriptor_vr == "SS" and first > 32767 else first
        descriptor = [self.count % 65536, first, self.announced]
        made.add_new("LUTDescriptor", self.descriptor_vr, descriptor)
        raw = self.entries.astype(np.uint8 if self.vr.endswith("8") else "<u2").tobytes()
        raw += b"\0" * (len(raw) % 2)
        if self.vr[0] == "O":
            made.add_new("LUTData", self.vr[:2], raw)
        else:
            made.add_new("LUTData", self.vr[:2], np.frombuffer(raw, "<i2" if self.vr[:2] == "SS" else "<u2").tolist())
        return made


@dataclass(frozen=True)
class Drawn:
    """A picture and its header; `windows` may hold some that cannot be used."""

    image: np.ndarray
    stored: int
    is_signed: bool
    is_inverse: bool
    rescale: tuple[float, float] | None = None
    modality: Table | None = None
    voi: Table | None = None
    windows: list[tuple[float, float]] = field(default_factory=list)
    function: str | None = None
    padding: tuple[int, int | None] | None = None

    @property
    def usable(self) -> int | None:
        """The place of the first window that can be used."""
        least = 1 if self.function in (None, "LINEAR") else 1e-9
        return next((place for place, (_, width) in enumerate(self.windows) if width >= least), None)

    @property
    def values(self) -> np.ndarray:
        """The modality values, float64 [H, W], then those of all other pixels that there might be."""
        lowest = -(2 ** (self.stored - 1)) if self.is_signed else 0
        values = np.concatenate([self.image.ravel(), np.arange(lowest, lowest + 2**self.stored)]).astype(float)
        if self.modality is not None:
            place = np.clip(values - self.modality.first, 0, self.modality.count - 1).astype(int)
            return self.modality.complete[place].astype(float)
        slope, intercept = self.rescale or (1, 0)
        return values * slope + intercept

    @property
    def shows_all(self) -> bool:
        """Whether neither table nor window says which values are shown."""
        return self.voi is None and self.usable is None

    @property
    def padded(self) -> np.ndarray:
        """Which pixels are padding, bool [H, W]."""
        if self.padding is None:
            return np.zeros(self.image.shape, bool)
        first, limit = self.padding
        low, high = sorted((first, first if limit is None else limit))
        return (self.image >= low) & (self.image <= high)

    @property
    def data(self) -> bytes:
        """The file."""
        made: dict[str, Any] = {
            "BitsStored": self.stored, "PixelRepresentation": int(self.is_signed),
            "PhotometricInterpretation": "MONOCHROME1" if self.is_inverse else "MONOCHROME2",
            "VOILUTFunction": self.function,
        }  # fmt: skip
        if self.rescale is not None:
            made |= {"RescaleSlope": self.rescale[0], "RescaleIntercept": self.rescale[1]}
        if self.windows:
            made |= {"WindowCenter": [center for center, _ in self.windows]}
            made |= {"WindowWidth": [width for _, width in self.windows]}
        for keyword, table in (("ModalityLUTSequence", self.modality), ("VOILUTSequence", self.voi)):
            if table is not None:
                made[keyword] = Sequence([table.item])
        if self.padding is not None:
            made["PixelPaddingValue"] = self.padding[0]
            made["PixelPaddingRangeLimit"] = self.padding[1]
        return dicom(self._cells, **made)

    @property
    def _cells(self) -> np.ndarray:
        """As stored, without what a sign extends to above the stored bits."""
        width = 8 * self.image.itemsize
        kind = f"u{width // 8}"
        return (self.image.astype(np.int64) % 2**self.stored).astype(kind)


def draw(random: np.random.Generator) -> Drawn:
    """One header and picture."""
    allocated = int(random.choice([8, 16, 16, 16]))
    stored = 8 if allocated == 8 else int(random.integers(8, 17))
    is_signed = bool(random.random() < 0.4)
    lowest = -(2 ** (stored - 1)) if is_signed else 0
    highest = lowest + 2**stored - 1
    low, high = sorted(int(value) for value in random.integers(lowest, highest + 1, 2))
    low, high = (lowest, highest) if random.random() < 0.5 or high - low < 20 else (low, high)
    image = random.integers(low, high + 1, (SIDE, SIDE))
    image[0, :2] = low, high
    kind = f"{'i' if is_signed else 'u'}{allocated // 8}"
    made: dict[str, Any] = {}
    reach = (lowest, highest)  # of modality values
    if random.random() < 0.2:
        table = made["modality"] = _table(random, lowest, highest)
        reach = (0, int(table.entries.max()))
    elif random.random() < 0.6:
        slope = float(random.choice([1, 1, 0.5, 2, -1, 0.25, 1.375, 0.001]))
        intercept = float(random.choice([0, -1024, 100, -0.5, 1000, -lowest]))
        made["rescale"] = slope, intercept
        reach = tuple(sorted((lowest * slope + intercept, highest * slope + intercept)))
        least, most = int(np.floor(reach[0])), int(np.ceil(reach[1]))
        if least < -(2**15) or most >= (2**15 if least < 0 else 2**16):  # a table could not say where it begins
            del made["rescale"]
            reach = (lowest, highest)
    kind_of_voi = random.choice(["none", "table", "window", "window"])
    if kind_of_voi == "table":
        floor, ceiling = int(np.floor(reach[0])), int(np.ceil(reach[1]))
        made["voi"] = _table(random, max(floor, -32768), min(ceiling, 65535))
    if kind_of_voi == "window" or random.random() < 0.1:
        made["function"] = random.choice([None, None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
        made["windows"] = [_window(random, *reach) for _ in range(int(random.integers(1, 4)))]
    if random.random() < 0.3:
        made["padding"] = _padding(random, lowest, highest, low, is_signed=is_signed)
    return Drawn(image.astype(kind), stored, is_signed, bool(random.random() < 0.5), **made)


def _table(random: np.random.Generator, lowest: int, highest: int) -> Table:
    """For inputs from `lowest` to `highest`: all of them, or fewer, beginning anywhere; growing, falling or any."""
    vr = str(random.choice(VRS))
    announced = int(8 if vr.endswith("8") else random.choice([8, 10, 12, 14, 16, 16]))
    reach = highest - lowest + 1
    count = int(min(random.choice([reach, reach // 2, 256, 1000, 4096, 65536]), reach, 65536))
    count = max(count, 2)
    first = int(lowest if random.random() < 0.6 else random.integers(lowest, max(lowest + 1, highest - count // 2)))
    count = min(count, (2**15 if lowest < 0 else 2**16) - first)  # no input is beyond
    held = announced if random.random() < 0.6 else int(random.choice([8, 9, 10, 11, 12, announced]))
    held = 8 if vr.endswith("8") else held
    top = 2**held - 1
    curve = np.linspace(0, 1, count) ** random.choice([0.5, 1, 2])
    shape = random.choice(["growing", "falling", "any"])
    share = {"growing": curve, "falling": 1 - curve, "any": random.random(count)}[shape]
    entries = np.rint(share * top).astype(np.int64)
    entries[int(random.integers(count))] = top
    missing = int(random.choice([0, 0, 0, 1, count // 100]))
    left = entries[: count - min(missing, max(1, count // 100))] if count > 2 else entries
    if vr.endswith("8") and len(left) % 2 and len(left) < count:
        left = left[:-1] if count - len(left) < count // 100 else entries  # a byte to fill up would be an entry
    return Table(left, count, first, announced, vr, str(random.choice(["US", "SS"])))


def _window(random: np.random.Generator, low: float, high: float) -> tuple[float, float]:
    if random.random() < 0.25:
        return UNUSABLE[int(random.integers(len(UNUSABLE)))]
    width = max(1.0, (high - low) * float(random.choice([0.01, 0.1, 0.5, 1, 2])))
    center = low + (high - low) * float(random.uniform(-0.1, 1.1))
    return (round(center, 1), round(width, 1)) if random.random() < 0.5 else (round(center), max(1, round(width)))


def _padding(
    random: np.random.Generator, lowest: int, highest: int, low: int, *, is_signed: bool
) -> tuple[int, int | None]:
    least, most = (-(2**15), 2**15 - 1) if is_signed else (0, 2**16 - 1)
    value = int(random.choice([low, lowest, highest, least, most, int(random.integers(least, most + 1))]))
    limit = int(np.clip(value + random.choice([-300, -3, 3, 300]), least, most))
    return value, limit if random.random() < 0.3 else None


def dcmtk(folder: Path, drawn: Drawn) -> np.ndarray | None:
    """The picture that dcmtk shows, 0 to 1; None where it refuses.

    Asked for what murace shows: the first table, else the first usable window, else all values that occur, of 8 bits
    all that there might be. It does not make padding black.
    """
    assert DCM2PNM is not None
    given, made = folder / "in.dcm", folder / "out.png"
    given.write_bytes(drawn.data)
    made.unlink(missing_ok=True)
    if drawn.voi is not None:
        options = ["+Wl", "1"]
    elif drawn.usable is not None:
        options = ["+Wi", str(drawn.usable + 1)]
    else:
        options = ["+Wfl"] if drawn.stored == 8 else ["+Wm", "+Wfl"]
    done = subprocess.run([DCM2PNM, "-q", *options, "+on2", str(given), str(made)], check=False, capture_output=True)
    if done.returncode:
        return None
    return np.asarray(cv2.imread(str(made), cv2.IMREAD_UNCHANGED)) / 65535


def by_pydicom(_: Path, drawn: Drawn) -> np.ndarray | None:
    """The picture by pydicom's functions, 0 to 1; None where it refuses. It has none where all is shown."""
    processing = pydicom.pixels.processing
    elements = pydicom.dcmread(io.BytesIO(drawn.data))
    try:
        values = processing.apply_modality_lut(drawn.image.astype(np.int64), elements)
        if drawn.voi is not None:
            shown = processing.apply_voi(values, elements) / (2**drawn.voi.announced - 1)
        else:
            windowed = processing.apply_windowing(values, elements, index=drawn.usable)
            ends = (0, 2**drawn.modality.announced - 1) if drawn.modality else _ends(drawn)
            shown = (windowed - ends[0]) / (ends[1] - ends[0])
    except Exception:  # tables that it cannot read end in errors of any kind
        return None
    return 1 - shown if drawn.is_inverse else shown


def _ends(drawn: Drawn) -> tuple[float, float]:
    low = -(2 ** (drawn.stored - 1)) if drawn.is_signed else 0
    slope, intercept = drawn.rescale or (1, 0)
    return low * slope + intercept, (low + 2**drawn.stored - 1) * slope + intercept


@dataclass(frozen=True)
class Kind:
    """A known difference: who reads otherwise, who is right and by what, and the same in words that this one knows.

    `mend` gives None where there is nothing to mend.
    """

    name: str
    right: str
    mend: Callable[[Drawn], Drawn | None]


def _tables(drawn: Drawn, change: Callable[[Table, bool], Table]) -> Drawn | None:
    """Change the tables; `change` is told whether a table's input may be negative."""
    lowest = float(drawn.values.min())
    modality = drawn.modality and change(drawn.modality, drawn.is_signed)
    made = replace(drawn, modality=modality, voi=drawn.voi and change(drawn.voi, lowest < 0))
    same = made.modality is drawn.modality and made.voi is drawn.voi
    return None if same else made


def _as_words(table: Table, _: bool) -> Table:
    return table if table.vr == "OW16" else replace(table, vr="OW16")


def _whole(table: Table, _: bool) -> Table:
    return table if len(table.entries) == table.count else replace(table, entries=table.complete)


def _own_bits(drawn: Drawn) -> Drawn | None:
    def change(table: Table, _: bool) -> Table:
        needed = table.real_bits if table is drawn.voi else max(table.announced, int(table.entries.max()).bit_length())
        if needed == table.announced:
            return table
        if needed == 9 and table is drawn.voi:  # which the standard does not know
            return replace(table, announced=10, entries=np.rint(table.entries * (1023 / 511)).astype(np.int64))
        return replace(table, announced=needed)

    return _tables(drawn, change)


def _vr_by_sign(table: Table, is_signed: bool) -> Table:
    kind = "SS" if is_signed else "US"
    return table if table.descriptor_vr == kind else replace(table, descriptor_vr=kind)


def _sixteen_bits(table: Table, _: bool) -> Table:
    if table.announced != 8 or table.entries.max() > 255:
        return table
    return replace(table, announced=16, entries=table.entries * 257, vr="OW16")


def _modality_of_sixteen_bits(drawn: Drawn) -> Drawn | None:
    if drawn.modality is None or drawn.modality.announced in (8, 16):
        return None
    return replace(drawn, modality=replace(drawn.modality, announced=16))


def _with_linear(drawn: Drawn) -> Drawn | None:
    """LINEAR_EXACT from c - w/2 to c + w/2 is LINEAR of a center and a width that are larger by a half and by one."""
    if drawn.shows_all or drawn.voi is not None or drawn.function != "LINEAR_EXACT":
        return None
    center, width = drawn.windows[drawn.usable or 0]
    return replace(drawn, windows=[(center + 0.5, width + 1)], function="LINEAR")


def _with_whole_values(drawn: Drawn) -> Drawn | None:
    """The modality values as whole numbers: before a table rounded, else multiplied, and the window with them."""
    if drawn.rescale is None or all(float(number).is_integer() for number in drawn.rescale):
        return None
    if drawn.voi is not None:
        values = np.rint(drawn.values)
        if values.min() < -(2**15) or values.max() >= 2**16 or (values.min() < 0 and values.max() >= 2**15):
            return None
        image = values[: drawn.image.size].reshape(drawn.image.shape)
        is_signed = bool(drawn.values.min() < 0)
        kind = np.int16 if is_signed else np.uint16
        voi = _vr_by_sign(drawn.voi, is_signed)
        return replace(
            drawn, image=image.astype(kind), stored=16, is_signed=is_signed, rescale=None, voi=voi, padding=None
        )
    times = 1000 if drawn.rescale[0] == 0.001 else 8
    slope, intercept = (round(times * number) for number in drawn.rescale)
    made = replace(drawn, rescale=(slope, intercept))
    if drawn.usable is None:
        return made
    center, width = drawn.windows[drawn.usable]
    more = 0 if drawn.function in ("SIGMOID", "LINEAR_EXACT") else 1
    window = (times * (center - more / 2) + more / 2, times * (width - more) + more)
    return replace(made, windows=[window])


def _with_wide_window(drawn: Drawn) -> Drawn | None:
    """The modality values and the window a thousand times as wide; values of a table stand for the pixels."""
    if drawn.shows_all or drawn.voi is not None or drawn.function not in ("SIGMOID", "LINEAR_EXACT"):
        return None
    center, width = drawn.windows[drawn.usable or 0]
    made, (slope, intercept) = drawn, drawn.rescale or (1.0, 0.0)
    if drawn.modality is not None:
        image = drawn.values[: drawn.image.size].reshape(drawn.image.shape).astype(np.uint16)
        made = replace(drawn, image=image, stored=16, is_signed=False, modality=None, padding=None)
    rescale = (round(1000 * slope, 6), round(1000 * intercept, 6))
    return replace(made, rescale=rescale, windows=[(1000 * center, 1000 * width)]) if width < 1 else None


def _without_padding(drawn: Drawn) -> Drawn | None:
    """Something else in its place: it is not compared."""
    if not drawn.shows_all or not drawn.padded.any() or drawn.padded.all():
        return None
    return replace(drawn, image=np.where(drawn.padded, drawn.image[~drawn.padded][0], drawn.image), padding=None)


def _with_window_over_all(drawn: Drawn) -> Drawn | None:
    if not drawn.shows_all or drawn.modality is None or drawn.stored != 8:
        return None
    low, high = float(drawn.values.min()), float(drawn.values.max())
    if low == high:
        return None
    return replace(drawn, windows=[((low + high + 1) / 2, high - low + 1)], function="LINEAR")


_WORDS = Kind(
    "LUT Data of VR OB or SS, or of entries of a byte",
    "murace: descriptor and length tell 8 bits from 16, C.11.1.1; VR OB and SS are not the standard's, PS3.6",
    lambda drawn: _tables(drawn, _as_words),
)
_WHOLE = Kind(
    "a table shorter than its descriptor says",
    "nobody: C.11.1.1 forbids it; murace repeats the last entry, and remarks on it",
    lambda drawn: _tables(drawn, _whole),
)
_BITS = Kind(
    "a table that holds other bits than it announces",
    "the other, to the letter of C.11.1.1 and C.11.2.1.1; murace shows it by its own bits and remarks on it",
    _own_bits,
)
_SIGN = Kind(
    "the first value mapped has the other VR, US or SS, than its input",
    "murace: the VR follows from the pixels and the rescale, C.11.1.1 and C.11.2.1.1",
    lambda drawn: _tables(drawn, _vr_by_sign),
)
_FRACTIONS = Kind(
    "modality values with fractions are cut to whole numbers",
    "murace: m * SV + b, C.11.1.1.2; before a table it takes the nearest entry, of which nothing is said",
    _with_whole_values,
)
DCMTK = (
    Kind("a window narrower than 1 is not used", "murace: only LINEAR asks for 1, C.11.2.1.3", _with_wide_window),
    Kind("LINEAR_EXACT is read as LINEAR", "murace: C.11.2.1.3.2", _with_linear),
    _FRACTIONS,
    _WORDS,
    _BITS,
    _WHOLE,
    Kind(
        "padding counts among the values that are spread over the display",
        "murace: padding is no part of the picture, C.7.5.1.1.2",
        _without_padding,
    ),
    Kind(
        "8 bits with a modality table and no window are spread over all that its bits could hold",
        "open: without VOI the standard names no range, C.11.2; murace takes the values that the table gives",
        _with_window_over_all,
    ),
)
PYDICOM = (
    _WORDS,
    _BITS,
    _SIGN,
    _FRACTIONS,
    _WHOLE,
    Kind(
        "a modality table of 10 to 15 bits ends in an error",
        "murace: bits from 8 to 16 are allowed, C.11.1.1",
        _modality_of_sixteen_bits,
    ),
    Kind(
        "places in a table of 8 bits are counted with 8 bits, or its modality values are of no such type",
        "murace: the first descriptor value goes up to 65536 entries, C.11.1.1",
        lambda drawn: _tables(drawn, _sixteen_bits),
    ),
)


def explained(agrees: Callable[[Drawn], bool], drawn: Drawn, kinds: tuple[Kind, ...]) -> tuple[Kind, ...] | None:
    """The fewest kinds after whose mending a reader agrees; none where it does at once, None where it never does."""
    for count in range(len(kinds) + 1):
        for chosen in combinations(kinds, count):
            made: Drawn | None = drawn
            for kind in chosen:
                made = made and kind.mend(made)
            if made is not None and agrees(made):
                return chosen
    return None
