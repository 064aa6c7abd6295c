"""Headers as machines write them: tables, windows and padding that are not quite what the standard asks for."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from murace.data.images.decode import read
from murace.data.images.dicom.chain import NEXT_WINDOW, NO_WINDOW, OTHER_BITS, SHORT_TABLE
from murace.data.images.dicom.pixels import SURPLUS
from murace.data.images.header import ImageError
from tests.data.files import dicom

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SQUARE = (np.arange(4096) / 4095) ** 2  # what the tables below show, 0 to 1
VOI, MODALITY = "VOILUTSequence", "ModalityLUTSequence"


def shown(folder: Path, data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    """The display picture, 0 to 1, and the remarks."""
    path = folder / "IM1"
    path.write_bytes(data)
    made = read(path)
    return made.grey / np.iinfo(made.grey.dtype).max, made.remarks


def item(entries: np.ndarray, descriptor: tuple[int, int, int], *, data: str, kind: str = "US") -> Dataset:
    """A lookup table; `data` is its VR, with `8` for packed bytes and `16` for words, such as `OB16`."""
    made, (count, first, bits) = Dataset(), descriptor
    parts = [count % 65536, first % 65536, bits]
    made.add_new("LUTDescriptor", kind, [part - 65536 if kind == "SS" and part > 32767 else part for part in parts])
    vr, width = data[:2], data[2:]
    if vr in ("OW", "OB"):
        raw = entries.astype(np.uint8 if width == "8" else "<u2").tobytes()
        made.add_new("LUTData", vr, raw + b"\0" * (len(raw) % 2))
    else:
        words = entries.astype("<u2")
        if width == "8":
            words = np.frombuffer(entries.astype(np.uint8).tobytes() + b"\0" * (len(entries) % 2), "<u2")
        made.add_new("LUTData", vr, (words.astype(np.int16) if vr == "SS" else words).tolist())
    return made


def with_table(keyword: str, table: Dataset, image: np.ndarray = RAMP, **more: Any) -> bytes:
    return dicom(image, **{"BitsStored": 12, keyword: Sequence([table]), **more})


@pytest.mark.parametrize("keyword", [VOI, MODALITY])
@pytest.mark.parametrize(
    ("data", "bits"),
    [("OW16", 12), ("OW16", 16), ("OW16", 8), ("OB16", 12), ("US16", 12), ("US16", 8), ("SS16", 16), ("OW8", 8),
     ("OB8", 8), ("US8", 8), ("OW16", 10)],
)  # fmt: skip
@pytest.mark.parametrize("missing", [0, 1, 40, 43])
def test_a_table_that_ends_early_repeats_its_last_entry_or_is_refused(tmp_path, keyword, data, bits, missing):
    """Up to 1 % of the table; and never are words taken for bytes."""
    entries = np.rint(SQUARE * (2**bits - 1)).astype(int)
    left = entries[: 4096 - missing]
    packed = data.endswith("8")
    if packed and missing == 1:  # a byte fills up to an even length, and is as good as an entry
        left = entries
    made = with_table(keyword, item(left, (4096, 0, bits), data=data))
    if missing == 43:
        with pytest.raises(ImageError, match=f"the table in {keyword} has 405[34] of its 4096 entries"):
            shown(tmp_path, made)
        return
    grey, remarks = shown(tmp_path, made)
    expected = entries[np.minimum(np.arange(4096), len(left) - 1)] / entries[: len(left)].max()
    if keyword == VOI:
        expected = expected * entries[: len(left)].max() / (2**bits - 1)
    assert np.abs(grey.ravel() - expected).max() < 1e-4
    assert remarks == ((SHORT_TABLE,) if len(left) < 4096 else ())


@pytest.mark.parametrize("count", [1, 2, 3, 7, 255])
@pytest.mark.parametrize("data", ["OW8", "OB8", "US8", "OW16", "OB16", "US16"])
def test_short_tables_of_eight_bits_are_of_the_width_that_their_length_tells(tmp_path, count, data):
    entries = 255 - np.arange(count)
    grey, remarks = shown(tmp_path, with_table(VOI, item(entries, (count, 0, 8), data=data)))
    expected = entries[np.minimum(np.arange(4096), count - 1)] / 255
    assert np.abs(grey.ravel() - expected).max() < 1e-4
    assert remarks == ()


@pytest.mark.parametrize("data", ["OB8", "OW8", "US8"])
@pytest.mark.parametrize("surplus", [2, 3, 64])
def test_packed_tables_with_bytes_after_them_are_read(tmp_path, data, surplus):
    entries = np.rint(SQUARE * 255).astype(int)
    table = item(np.append(entries, np.zeros(surplus, int)), (4096, 0, 8), data=data)
    grey, remarks = shown(tmp_path, with_table(VOI, table))
    assert np.abs(grey.ravel() - entries / 255).max() < 1e-4
    assert remarks == ()


@pytest.mark.parametrize("data", ["OB16", "OW16", "US16"])
@pytest.mark.parametrize("held", [2048, 1500])
def test_words_of_which_half_is_missing_are_never_read_as_bytes(tmp_path, data, held):
    entries = np.rint(SQUARE * 255).astype(int)[:held]
    with pytest.raises(ImageError, match=f"has {held} of its 4096 entries"):
        shown(tmp_path, with_table(VOI, item(entries, (4096, 0, 8), data=data)))


def test_a_packed_table_of_zeros_is_black(tmp_path):
    grey, remarks = shown(tmp_path, with_table(VOI, item(np.zeros(4096), (4096, 0, 8), data="OB8")))
    assert (grey.max(), remarks) == (0, ())


def test_a_table_of_one_entry_that_has_none_is_refused(tmp_path):
    table = item(np.arange(1), (1, 0, 16), data="OW16")
    table["LUTData"].value = b""
    with pytest.raises(ImageError, match="VOILUTSequence"):
        shown(tmp_path, with_table(VOI, table))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(("data", "bits"), [("OW16", 12), ("US16", 12), ("OB8", 8), ("US8", 8)])
def test_tables_are_the_same_in_every_byte_order(tmp_path, syntax, data, bits):
    entries = np.rint(SQUARE * (2**bits - 1)).astype(int)
    table = item(entries, (4096, 0, bits), data=data)
    if syntax == ExplicitVRBigEndian and data == "OW16":
        table["LUTData"].value = entries.astype(">u2").tobytes()
    grey, remarks = shown(tmp_path, with_table(VOI, table, syntax=syntax))
    assert np.abs(grey.ravel() - entries / (2**bits - 1)).max() < 1e-4
    assert remarks == ()


@pytest.mark.parametrize("keyword", [VOI, MODALITY])
@pytest.mark.parametrize("kind", ["US", "SS"])
@pytest.mark.parametrize(("signed", "first"), [(False, 40_000), (True, -20_000)])
def test_the_first_value_of_a_table_has_the_sign_of_the_pixels(tmp_path, keyword, kind, signed, first):
    image = (np.arange(4096) * 4 + first).reshape(64, 64).astype(np.int16 if signed else np.uint16)
    entries = np.rint(np.linspace(0, 1, 16384) ** 2 * 65535).astype(int)
    table = item(entries, (16384, first, 16), data="OW16", kind=kind)
    grey, _ = shown(tmp_path, with_table(keyword, table, image, BitsStored=16))
    assert np.abs(grey.ravel() - entries[::4] / (entries[::4].max() if keyword == MODALITY else 65535)).max() < 1e-4


@pytest.mark.parametrize("announced", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("held", [6, 8, 9, 10, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("data", ["OW16", "US16"])
def test_a_table_that_holds_other_bits_than_it_announces_is_shown_by_its_own(tmp_path, announced, held, data):
    entries = np.rint(SQUARE * (2**held - 1)).astype(int)
    grey, remarks = shown(tmp_path, with_table(VOI, item(entries, (4096, 0, announced), data=data)))
    real = max(held, 8)
    bits = announced if real in (announced, announced - 1) else real
    assert np.abs(grey.ravel() - entries / (2**bits - 1)).max() < 1e-4
    assert remarks == (() if bits == announced else (OTHER_BITS,))


def test_a_table_of_zeros_is_black(tmp_path):
    grey, remarks = shown(tmp_path, with_table(VOI, item(np.zeros(4096), (4096, 0, 16), data="OW16")))
    assert (grey.max(), remarks) == (0, (OTHER_BITS,))


FULL = RAMP / 4095
HALF = np.clip((RAMP - 2047.5) / 1999 + 0.5, 0, 1)
UNUSABLE = [
    ("0", "0"),
    ("5", "-3"),
    ("", "7"),
    ("7", ""),
    ("abc", "7"),
    ("7", "a,b"),
    ("nan", "7"),
    ("7", "inf"),
    ("9", "0.4"),
]


def with_windows(
    center: str, width: str, function: str | None = None, image: np.ndarray = RAMP, bits: int = 12
) -> bytes:
    """A file with windows as text, whatever they are."""
    made = pydicom.dcmread(io.BytesIO(dicom(image, BitsStored=bits, VOILUTFunction=function)))
    for keyword, text in (("WindowCenter", center), ("WindowWidth", width)):
        tag = pydicom.tag.Tag(keyword)
        raw = text.encode() + b" " * (len(text) % 2)
        made._dict[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(raw), raw, 0, False, True)
    file = io.BytesIO()
    made.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize(("center", "width"), UNUSABLE)
def test_a_window_that_cannot_be_used_leaves_the_full_range(tmp_path, center, width):
    grey, remarks = shown(tmp_path, with_windows(center, width))
    assert np.abs(grey - FULL).max() < 1e-4
    assert remarks == (NO_WINDOW,)


@pytest.mark.parametrize(("center", "width"), UNUSABLE)
def test_the_next_window_that_can_be_used_takes_its_place(tmp_path, center, width):
    for more in ("", "\\5"):  # a third one, which is not reached
        grey, remarks = shown(tmp_path, with_windows(f"{center}\\2048{more}", f"{width}\\2000{more}"))
        assert np.abs(grey - HALF).max() < 1e-4
        assert remarks == (NEXT_WINDOW,)
    grey, remarks = shown(tmp_path, with_windows(f"2048\\{center}", f"2000\\{width}"))
    assert np.abs(grey - HALF).max() < 1e-4
    assert remarks == ()


def test_windows_of_unequal_number_and_unknown_functions(tmp_path):
    grey, remarks = shown(tmp_path, with_windows("0\\2048", "0"))
    assert (np.abs(grey - FULL).max() < 1e-4, remarks) == (True, (NO_WINDOW,))
    grey, remarks = shown(tmp_path, with_windows("2048", "2000", "CUBIC"))
    assert (np.abs(grey - FULL).max() < 1e-4, remarks) == (True, (NO_WINDOW,))
    grey, remarks = shown(tmp_path, with_windows("", ""))  # none at all
    assert (np.abs(grey - FULL).max() < 1e-4, remarks) == (True, ())
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16) // 2
    grey, remarks = shown(tmp_path, with_windows("0", "0", image=eight, bits=8))
    assert (np.array_equal(np.rint(grey * 255), eight), remarks) == (True, (NO_WINDOW,))


def test_a_table_spares_the_window(tmp_path):
    table = item(np.arange(4096), (4096, 0, 12), data="OW16")
    _, remarks = shown(tmp_path, with_table(VOI, table, WindowCenter=0, WindowWidth=0))
    assert remarks == ()


@pytest.mark.parametrize(
    ("kind", "stored", "value", "padded"),
    [("u2", 12, ("US", 65535), 0), ("u2", 12, ("US", 4096), 0), ("u2", 12, ("SS", -1), 0), ("u2", 12, ("US", 5), 1),
     ("i2", 12, ("SS", -3000), 0), ("i2", 12, ("US", 2048), 0), ("i2", 12, ("SS", -5), 1), ("i2", 12, ("US", 65531), 1),
     ("u2", 16, ("SS", -1), 1)],
)  # fmt: skip
def test_a_padding_that_no_pixel_can_have_pads_nothing(tmp_path, kind, stored, value, padded):
    numbers = np.arange(4096) - (2048 if kind == "i2" else 0)
    numbers[-1] = 65535 if stored == 16 else numbers[-1]
    image = numbers.astype(kind).reshape(64, 64)
    made = pydicom.dcmread(io.BytesIO(dicom(image, BitsStored=stored, WindowCenter=-10_000, WindowWidth=2)))
    made.add_new("PixelPaddingValue", *value)
    file = io.BytesIO()
    made.save_as(file)
    grey, remarks = shown(tmp_path, file.getvalue())
    assert ((grey == 0).sum(), remarks) == (padded, ())  # all else is white


def test_of_a_range_of_padding_what_pixels_can_have_is_padded(tmp_path):
    made = dicom(RAMP, BitsStored=12, PixelPaddingValue=4000, PixelPaddingRangeLimit=60_000)
    grey, _ = shown(tmp_path, made)
    assert np.array_equal(grey == 0, (RAMP == 0) | (RAMP >= 4000))


@pytest.mark.parametrize("surplus", [2, 3, 100, 126])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_bytes_after_the_pixels_are_left_out(tmp_path, surplus, syntax):
    whole = dicom(RAMP, BitsStored=12, syntax=syntax)
    made = pydicom.dcmread(io.BytesIO(whole))
    made.PixelData += b" " * surplus
    file = io.BytesIO()
    made.save_as(file)
    before, after = shown(tmp_path, whole), shown(tmp_path, file.getvalue())
    assert np.array_equal(before[0], after[0])
    assert (before[1], after[1]) == ((), (SURPLUS,))


@pytest.mark.parametrize("surplus", [128, 300, 8192, 16384])  # a row, more than two, a second and a third picture
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_row_and_more_after_the_pixels_is_a_wrong_header(tmp_path, surplus, syntax):
    made = pydicom.dcmread(io.BytesIO(dicom(RAMP, BitsStored=12, syntax=syntax)))
    made.PixelData += b" " * surplus
    file = io.BytesIO()
    made.save_as(file)
    with pytest.raises(ImageError, match=f"{8192 + surplus} bytes of pixels, its header declares 8192"):
        shown(tmp_path, file.getvalue())


def test_bytes_after_coloured_and_odd_pixels_are_left_out(tmp_path):
    for image in (np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3), np.arange(81, dtype=np.uint8).reshape(9, 9)):
        made = pydicom.dcmread(io.BytesIO(dicom(image)))
        before = shown(tmp_path, dicom(image))
        made.PixelData += b"  "
        file = io.BytesIO()
        made.save_as(file)
        after = shown(tmp_path, file.getvalue())
        assert np.array_equal(before[0], after[0])
        assert (before[1], after[1]) == ((), (SURPLUS,))


CASES = Path(os.environ.get("MURACE_CASES", "none"))
MEANS = {
    "short_by_1": 43.3, "us_data_short1": 43.3, "us_data": 43.3, "ow12": 43.3, "B_ss_first": 65.5,
    "B_ok_us_first": 65.5, "A_voi16_holds12": 43.3, "A_ok_voi16": 43.2, "D_ww0": 65.5, "D_ww0_second_ok": 65.5,
    "P_pad_out_of_range": 65.2, "S_two_more_bytes": 65.2,
}  # fmt: skip


@pytest.mark.skipif(not CASES.is_dir(), reason="MURACE_CASES does not name a folder of cases")
@pytest.mark.parametrize("name", MEANS)
def test_the_cases_are_shown_as_dcmtk_shows_them(tmp_path, name):
    """dcmtk cuts fractions off where murace rounds: half a grey level darker."""
    grey, _ = shown(tmp_path, (CASES / "display" / f"{name}.dcm").read_bytes())
    assert 0 < 255 * grey.mean() - MEANS[name] < 0.6
