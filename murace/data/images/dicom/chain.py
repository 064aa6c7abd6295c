"""Read the display chain from a DICOM header: modality LUT or rescale, VOI LUT or window, inversion and padding."""

from typing import Any

import numpy as np

from murace.data.images.dicom.display import FUNCTIONS, LINEAR, Chain, Lut, StoredValues, Window
from murace.data.images.dicom.values import code_string, integer, number, value, values
from murace.data.images.header import ImageError

KEYWORDS = (
    "PhotometricInterpretation", "PresentationLUTShape", "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence",
)  # fmt: skip
_LUT_BITS = (8, *range(10, 17))


def chain_of(elements: Any, stored: StoredValues) -> Chain:
    """Read the steps from stored values to the display: modality, then VOI table or window, then inversion.

    Raises:
        ImageError: a step is damaged, or not one of the standard's.
    """
    modality = _lut(elements, "ModalityLUTSequence", is_signed=stored.is_signed)
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
    voi = _lut(elements, "VOILUTSequence", is_signed=is_signed) or _window(elements)
    return Chain(**{**vars(chain), "voi": voi})


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


def _window(elements: Any) -> Window | None:
    """The first window."""
    center, width = number(elements, "WindowCenter"), number(elements, "WindowWidth")
    if center is None or width is None:
        return None
    function = code_string(elements, "VOILUTFunction") or LINEAR
    if function not in FUNCTIONS:
        raise ImageError(f"DICOM with a VOILUTFunction that is none of {', '.join(FUNCTIONS)}")
    return Window(center, width, function)


def _lut(elements: Any, keyword: str, *, is_signed: bool) -> Lut | None:
    """The first lookup table of a sequence; `is_signed` says whether its input may be negative."""
    items = values(elements, keyword)
    if not items or value(items[0], "LUTDescriptor") is None:
        return None
    broken = ImageError(f"damaged DICOM: the table in {keyword} cannot be read")
    descriptor = values(items[0], "LUTDescriptor")
    if len(descriptor) != 3 or not all(isinstance(part, int) for part in descriptor):
        raise broken
    count, first, bits = descriptor
    count = count % 2**16 or 2**16
    first = first - 2**16 if is_signed and first >= 2**15 else first
    if bits not in _LUT_BITS:
        raise broken
    data = values(items[0], "LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        order = ">" if elements.original_encoding[1] is False else "<"
        wide = len(data[0]) >= 2 * count
        entries = np.frombuffer(data[0][: len(data[0]) // 2 * 2], f"{order}u2" if wide else np.uint8)
    elif all(isinstance(part, int) for part in data):
        entries = np.array(data)
    else:
        raise broken
    if len(entries) < count:
        raise broken
    kept = entries[:count].astype(np.int64) % 2**16
    return Lut(kept, first, max(bits, int(kept.max()).bit_length()))


def _padding(elements: Any, stored: StoredValues) -> tuple[int, int] | None:
    """The lowest and the highest stored value of the padding, which is no part of the picture."""
    first = integer(elements, "PixelPaddingValue")
    if first is None:
        return None
    limit = integer(elements, "PixelPaddingRangeLimit")
    ends = np.array([end % 2**stored.bits_stored for end in (first, first if limit is None else limit)], np.int64)
    low, high = sorted((stored.signed(ends) if stored.is_signed else ends).tolist())
    return low, high
