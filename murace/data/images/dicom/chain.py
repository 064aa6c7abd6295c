"""Read the display chain from a DICOM header: modality LUT or rescale, VOI LUT or window, inversion and padding."""

from typing import Any

import numpy as np
import numpy.typing as npt

from murace.data.images.dicom.display import LINEAR, Chain, Lut, StoredValues, Window
from murace.data.images.dicom.values import code_string, integer, number, numbers, value, values
from murace.data.images.header import ImageError

KEYWORDS = (
    "PhotometricInterpretation", "PresentationLUTShape", "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence",
)  # fmt: skip
_LUT_BITS = (8, *range(10, 17))
_WORD = 2**16
_FEW = 4  # entries: a packed table as short as this may have zeros at every second place
OTHER_BITS = "a VOI table that announces other bits than it holds: its real bits are used"
SHORT_TABLE = "a lookup table that is shorter than it announces: its last entry is repeated"
NEXT_WINDOW = "a window that cannot be used: the next one is"
NO_WINDOW = "a window that cannot be used: the full range is shown"


def chain_of(elements: Any, stored: StoredValues) -> Chain:
    """Read the steps from stored values to the display: modality, then VOI table or window, then inversion.

    A window that cannot be used, or a table whose descriptor is somewhat wrong, is remarked on and never refused.

    Raises:
        ImageError: another step is damaged, or not one of the standard's.
    """
    remarks: list[str] = []
    modality = _lut(elements, "ModalityLUTSequence", remarks, is_signed=stored.is_signed)
    slope, intercept = number(elements, "RescaleSlope"), number(elements, "RescaleIntercept")
    chain = Chain(
        stored=stored,
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        modality=modality,
        padding=_padding(elements, stored),
        is_inverse=_is_inverse(elements),
    )
    if chain.slope == 0:
        raise ImageError("its RescaleSlope or RescaleIntercept is out of range")
    is_signed = bool(chain.modality_values().min() < 0)
    voi = _voi_lut(elements, remarks, is_signed=is_signed) or _window(elements, remarks)
    return Chain(**{**vars(chain), "voi": voi, "remarks": tuple(dict.fromkeys(remarks))})


def _is_inverse(elements: Any) -> bool:
    """Whether the lowest value is to be shown white.

    PhotometricInterpretation decides; some machines write a wrong PresentationLUTShape, so that counts without it only.
    """
    photometric = code_string(elements, "PhotometricInterpretation")
    if photometric.startswith("MONOCHROME"):
        return photometric == "MONOCHROME1"
    shape = code_string(elements, "PresentationLUTShape")
    if not photometric and shape not in ("IDENTITY", "INVERSE"):
        raise ImageError("DICOM that does not say whether low values are black or white (PhotometricInterpretation)")
    return shape == "INVERSE"


def _window(elements: Any, remarks: list[str]) -> Window | None:
    """The first window that can be used; none where there is none."""
    centers, widths = (numbers(elements, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if not centers and not widths:
        return None
    function = code_string(elements, "VOILUTFunction") or LINEAR
    for place, (center, width) in enumerate(zip(centers, widths, strict=False)):
        window = Window(center, width, function)
        if window.is_usable:
            remarks += [NEXT_WINDOW] if place else []
            return window
    remarks.append(NO_WINDOW)
    return None


def _voi_lut(elements: Any, remarks: list[str], *, is_signed: bool) -> Lut | None:
    """The first VOI lookup table, with the bits that its entries need where these are others than it announces.

    Many tables announce 16 bits and hold 12, 10 or 8: to the letter they would be shown nearly black. One bit less may
    be a table that does not reach white; fewer than 8 the standard does not know.
    """
    lut = _lut(elements, "VOILUTSequence", remarks, is_signed=is_signed)
    if lut is None:
        return None
    needed = max(8, int(lut.entries.max()).bit_length())
    if lut.bits - 1 <= needed <= lut.bits:
        return lut
    remarks.append(OTHER_BITS)
    return Lut(lut.entries, lut.first, needed)


def _lut(elements: Any, keyword: str, remarks: list[str], *, is_signed: bool) -> Lut | None:
    """The first lookup table of a sequence; `is_signed` says whether its input may be negative."""
    items = values(elements, keyword)
    if not items or value(items[0], "LUTDescriptor") is None:
        return None
    broken = ImageError(f"damaged DICOM: the table in {keyword} cannot be read")
    descriptor = values(items[0], "LUTDescriptor")
    if len(descriptor) != 3 or not all(isinstance(part, int) for part in descriptor):
        raise broken
    count, first, bits = (part % _WORD for part in descriptor)
    count = count or _WORD
    if bits not in _LUT_BITS:
        raise broken
    entries = _entries(items[0], count, bits, is_big=elements.original_encoding[1] is False)
    if entries is None:
        raise broken
    missing = count - len(entries)
    if missing > max(1, count // 100) or not len(entries):
        raise ImageError(f"damaged DICOM: the table in {keyword} has {len(entries)} of its {count} entries")
    if missing > 0:
        remarks.append(SHORT_TABLE)
        entries = np.append(entries, np.repeat(entries[-1:], missing))
    return Lut(entries[:count].astype(np.int64), _with_sign(first, is_signed=is_signed), bits)


def _entries(item: Any, count: int, bits: int, *, is_big: bool) -> npt.NDArray[np.integer[Any]] | None:
    """All entries of a table; None where they are no numbers.

    Of 16 bits each; or of 8, where so many are announced and the bytes are nearer to one for each entry than to two
    (PS3.3 C.11.1.1). OW and US are words, of which the low byte is the first of two entries. Words without a high byte
    are entries of 16 bits, of which half is missing; only a table of few entries may be packed and look so.
    """
    data = values(item, "LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        whole = data[0] + b"\0" * (len(data[0]) % 2)
        words = np.frombuffer(whole, ">u2" if is_big else "<u2")
        packed = np.frombuffer(whole, np.uint8) if item["LUTData"].VR == "OB" else words.astype("<u2").view(np.uint8)
        length = len(data[0])
    elif data and all(isinstance(part, int) for part in data):
        words = np.array([part % _WORD for part in data], "<u2")
        packed, length = words.view(np.uint8), 2 * len(data)
    else:
        return None
    is_packed = bits == 8 and (length <= count + 1 or 2 * length < 3 * count)
    is_half = count > _FEW and words.any() and words.max() < 2**8
    return packed[:length] if is_packed and not is_half else words[: length // 2]


def _padding(elements: Any, stored: StoredValues) -> tuple[int, int] | None:
    """The lowest and the highest value of the padding, which is no part of the picture; it may be one of no pixel."""
    first = integer(elements, "PixelPaddingValue")
    if first is None:
        return None
    limit = integer(elements, "PixelPaddingRangeLimit")
    ends = (first, first if limit is None else limit)
    low, high = sorted(_with_sign(end % _WORD, is_signed=stored.is_signed) for end in ends)
    return low, high


def _with_sign(word: int, *, is_signed: bool) -> int:
    """A word of 16 bits as what it describes has its sign: files write it with either VR, US or SS."""
    return word - _WORD if is_signed and word >= _WORD // 2 else word
