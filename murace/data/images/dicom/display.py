"""The DICOM display chain: modality LUT, VOI LUT or window, and inversion, from stored values to grey levels.

A pixel cell of 8 or 16 bits has at most 65,536 values. Each step is computed for all of them in float64, and the
picture is looked up at the end: exact, quick, and without a floating-point copy of the picture.

Own code: pydicom crashes on modality tables of 12 bits (its issue 2317), highdicom refuses tables of 10 and 12 bits.

Source: DICOM PS3.3, C.7.6.3.1 (stored values), C.7.5.1.1.2 (padding), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.data.images.header import ImageError

Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
LINEAR, LINEAR_EXACT, SIGMOID = FUNCTIONS = "LINEAR", "LINEAR_EXACT", "SIGMOID"
_FULL = 65535
_ROWS = 64  # looked up at a time: numpy widens every index to eight bytes


@dataclass(frozen=True)
class StoredValues:
    """How a stored value lies in its pixel cell of 8 or 16 bits; what other bits hold (old overlays) does not count."""

    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool

    def values(self) -> npt.NDArray[np.int64]:
        """The stored value of every pixel cell, int64 [2**bits_allocated]."""
        cells = np.arange(2**self.bits_allocated, dtype=np.int64)
        values = (cells >> (self.high_bit + 1 - self.bits_stored)) & (2**self.bits_stored - 1)
        return self.signed(values) if self.is_signed else values

    def signed(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Read the highest stored bit as the sign."""
        return np.asarray(
            np.where(values >= 2 ** (self.bits_stored - 1), values - 2**self.bits_stored, values), np.int64
        )


@dataclass(frozen=True)
class Lut:
    """A lookup table: `entries` from the input value `first` on, of `bits` each (PS3.3 C.11.1.1)."""

    entries: npt.NDArray[np.int64]
    first: int
    bits: int

    def apply(self, values: Floats) -> Floats:
        """Look up; what lies outside takes the first or the last entry."""
        place = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)
        return np.asarray(self.entries[place], np.float64)


@dataclass(frozen=True)
class Window:
    """A window: the part of the values that is spread over the display (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

    center: float
    width: float
    function: str = LINEAR

    @property
    def is_usable(self) -> bool:
        """Whether its function is one of the standard's, and its numbers are of those that this function takes."""
        least = 1 if self.function == LINEAR else np.nextafter(0, 1)
        is_finite = bool(np.isfinite(self.center) and np.isfinite(self.width))
        return self.function in FUNCTIONS and is_finite and self.width >= least

    def apply(self, values: Floats) -> Floats:
        """Spread to 0..1."""
        if self.function == SIGMOID:
            return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - self.center) / self.width, -700, 700))))
        center, width = self.center, self.width
        if self.function == LINEAR:
            center, width = center - 0.5, width - 1
        if width == 0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Everything between a pixel cell and the display.

    `padding` holds the lowest and highest padded value. `remarks` say where the picture is not shown as its header
    says: each a phrase such as `a window that cannot be used: the full range is shown`.
    """

    stored: StoredValues
    slope: float = 1.0
    intercept: float = 0.0
    modality: Lut | None = None
    voi: Lut | Window | None = None
    padding: tuple[int, int] | None = None
    is_inverse: bool = False
    remarks: tuple[str, ...] = ()

    def modality_values(self) -> Floats:
        """The modality value of every pixel cell.

        Raises:
            ImageError: slope or intercept lead out of the numbers.
        """
        values = self.stored.values().astype(np.float64)
        if self.modality is not None:
            return self.modality.apply(values)
        with np.errstate(all="ignore"):
            values = values * self.slope + self.intercept
        if not np.abs(values).max() < 1e15:  # not a number included
            raise ImageError("its RescaleSlope or RescaleIntercept is out of range")
        return values


def display(picture: Grey, chain: Chain) -> Grey:
    """Turn pixel cells [H, W] into the picture on a display: 0 is black, the type's full range is white.

    Without window or lookup table, values of up to 8 bits are shown as they are (uint8), as in a PNG; deeper ones are
    spread from their minimum to their maximum (uint16), padding left aside. Padding is black; inversion comes last.

    Raises:
        ImageError: the numbers of the chain are not usable, or all is padding.
    """
    values = chain.modality_values()
    padded = _padded(chain)
    is_plain = chain.voi is None and chain.stored.bits_stored <= 8
    if isinstance(chain.voi, Lut):
        shown = chain.voi.apply(values) / (2**chain.voi.bits - 1)
    elif chain.voi is not None:
        shown = chain.voi.apply(values)
    else:
        shown = _spread(values, values if is_plain else values[_occurring(picture, len(values)) & ~padded])
    if chain.is_inverse:
        shown = 1 - shown
    shown[padded] = 0
    table = np.rint(shown * 255).astype(np.uint8) if is_plain else np.rint(shown * _FULL).astype(np.uint16)
    return _looked_up(picture, table)


def _padded(chain: Chain) -> npt.NDArray[np.bool_]:
    stored = chain.stored.values()
    if chain.padding is None:
        return np.zeros(len(stored), bool)
    low, high = chain.padding
    return (stored >= low) & (stored <= high)


def _occurring(picture: Grey, count: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(count, bool)
    for row in range(0, len(picture), _ROWS):
        found[picture[row : row + _ROWS]] = True
    return found


def _spread(values: Floats, within: Floats) -> Floats:
    """To 0..1 between the extremes of `within`; 0 where they are the same."""
    if not len(within):
        raise ImageError("empty: nothing but padding")
    low, high = within.min(), within.max()
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)


def _looked_up(picture: Grey, table: Grey) -> Grey:
    shown = np.empty(picture.shape, table.dtype)
    for row in range(0, len(picture), _ROWS):
        shown[row : row + _ROWS] = table[picture[row : row + _ROWS]]
    return shown
