"""Decode DICOM pixel data to pixel cells, native or compressed; what the header declares is checked before."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from murace.data.images.dicom import file, values
from murace.data.images.dicom.codestream import inspect, unpack_rle
from murace.data.images.dicom.display import Grey, StoredValues
from murace.data.images.header import ImageError, check_size
from murace.errors import MachineError

_IMPLICIT, _EXPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_NATIVE = {_IMPLICIT, _EXPLICIT, _BIG, ""}  # nothing said: as the elements are
_RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
_EXTENDED = _JPEG + "51"
# Each with the decoder that the extra brings; never another one, which might differ.
_CORRUPT = "corrupt DICOM: the pixels cannot be decoded"
_DECODERS = {_JPEG + code: "gdcm" for code in ("50", "51", "57", "70", "80", "81")}
_DECODERS |= {_JPEG + code: "pylibjpeg" for code in ("90", "91", "201", "202", "203")}
SURPLUS = "more bytes of pixels than the header declares: the rest is left out"
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_ITEM, _NO_MORE = 0xFFFEE000, 0xFFFEE0DD
KEYWORDS = (
    "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What the header declares of the picture."""

    rows: int
    columns: int
    samples: int
    stored: StoredValues
    photometric: str
    planar: int

    @property
    def length(self) -> int:
        """Bytes of all pixel cells."""
        per_pixel = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * per_pixel * self.stored.bits_allocated // 8


def shape_of(elements: Any) -> Shape:
    """Read and check what the header declares.

    Raises:
        ImageError: incomplete, contradictory, of several frames or too large.
    """
    frames = values.integer(elements, "NumberOfFrames")
    if frames not in (None, 0, 1):
        raise ImageError(f"multi-frame DICOM ({frames} frames): save the one that counts as a file of its own")
    rows, columns, allocated = (_required(elements, name) for name in ("Rows", "Columns", "BitsAllocated"))
    samples = values.integer(elements, "SamplesPerPixel") or 1
    stored = values.integer(elements, "BitsStored") or allocated
    high = values.integer(elements, "HighBit")
    high = stored - 1 if high is None else high
    if allocated not in (8, 16) or not 2 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise ImageError(f"DICOM with {stored} bits in {allocated}: 2 to 16 bits in 8 or 16 can be read")
    photometric = values.code_string(elements, "PhotometricInterpretation")
    if photometric == "PALETTE COLOR":
        raise ImageError("DICOM in palette colours: no plain radiograph")
    if samples != (3 if photometric in _COLOURS else 1) or (samples == 3 and (allocated, stored) != (8, 8)):
        raise ImageError("DICOM whose samples per pixel and PhotometricInterpretation cannot be read together")
    check_size(columns, rows, samples * allocated // 8)
    layout = StoredValues(allocated, stored, high, values.integer(elements, "PixelRepresentation") == 1)
    return Shape(rows, columns, samples, layout, photometric, values.integer(elements, "PlanarConfiguration") or 0)


def read_pixel_cells(elements: Any, shape: Shape) -> Grey:
    """Decode to pixel cells, uint8 or uint16 [H, W]; uint8 [H, W, 3] in RGB for colour.

    Raises:
        ImageError: the pixels are missing, truncated, corrupt, or in a form that cannot be read.
        MachineError: the decoder is not installed.
    """
    data = values.value(elements, "PixelData")
    if not isinstance(data, bytes):
        raise ImageError("DICOM without pixels")
    syntax = str(elements.file_meta.get("TransferSyntaxUID", ""))
    if syntax == _BIG and shape.stored.bits_allocated == 8 and elements["PixelData"].VR == "OW":
        data = _swapped(data)
    if syntax in _NATIVE:
        return _native(data, shape, is_big=syntax == _BIG)
    if syntax != _RLE and syntax not in _DECODERS:
        raise ImageError(f"DICOM in a transfer syntax that cannot be read: {values.uid_name(syntax)}")
    frame = b"".join(list(_fragments(data))[1:])  # the first item is a table of offsets
    if syntax == _RLE:
        return _from_rle(frame, shape)
    return _decoded(frame, shape, syntax)


def has_surplus(elements: Any, shape: Shape) -> bool:
    """Whether uncompressed pixels are more than the header declares; one byte may fill up to an even length."""
    is_native = str(elements.file_meta.get("TransferSyntaxUID", "")) in _NATIVE
    return is_native and len(values.value(elements, "PixelData")) > shape.length + 1


def _required(elements: Any, keyword: str) -> int:
    found = values.integer(elements, keyword)
    if found is None:
        raise ImageError(f"damaged DICOM: {keyword} is missing")
    return found


def _native(data: bytes, shape: Shape, *, is_big: bool) -> Grey:
    if len(data) < shape.length:
        raise ImageError(f"truncated DICOM: {len(data)} bytes of pixels, its header declares {shape.length}")
    if len(data) - shape.length >= shape.length // shape.rows:  # a row: with another width or frames it might fit
        raise ImageError(f"contradictory DICOM: {len(data)} bytes of pixels, its header declares {shape.length}")
    if shape.samples == 3:
        return _array(data[: shape.length] + b"\0" * (shape.length % 2), shape, _EXPLICIT)
    kind = np.dtype(np.uint8 if shape.stored.bits_allocated == 8 else ">u2" if is_big else "<u2")
    cells = np.frombuffer(data, kind, count=shape.rows * shape.columns).reshape(shape.rows, shape.columns)
    return cast(Grey, cells.astype(kind.newbyteorder("="), copy=False))


def _swapped(data: bytes) -> bytes:
    """Bytes that were written as big-endian words, in their own order (PS3.5 8.1.1)."""
    return np.frombuffer(data[: len(data) // 2 * 2], np.uint16).byteswap().tobytes() + data[len(data) // 2 * 2 :]


def _from_rle(frame: bytes, shape: Shape) -> Grey:
    depth = shape.stored.bits_allocated // 8
    planes = unpack_rle(frame, pixels=shape.rows * shape.columns, planes=shape.samples * depth)
    if shape.samples == 3:
        return _in_rgb(np.ascontiguousarray(planes.T).reshape(shape.rows, shape.columns, 3), shape)
    cells = planes[0] if depth == 1 else (planes[0].astype(np.uint16) << 8) | planes[1]  # high bytes come first
    return cast(Grey, cells.reshape(shape.rows, shape.columns))


def _decoded(frame: bytes, shape: Shape, syntax: str) -> Grey:
    size, frame = inspect(frame)
    if (size.width, size.height, size.samples) != (shape.columns, shape.rows, shape.samples):
        raise ImageError(
            f"damaged DICOM: its compressed picture has {size.width} x {size.height} pixels of {size.samples} samples, "
            f"its header declares {shape.columns} x {shape.rows} of {shape.samples}"
        )
    if size.bits > shape.stored.bits_allocated:
        raise ImageError(f"damaged DICOM: its compressed picture has {size.bits} bits in {shape.stored.bits_allocated}")
    if syntax == _EXTENDED and size.bits != 8:
        raise ImageError("DICOM in JPEG Extended of 12 bits, which cannot be read: save it as JPEG Lossless")
    encapsulate = file.pydicom().encaps.encapsulate
    return _array(encapsulate([frame], has_bot=False), shape, syntax)


def _array(data: bytes, shape: Shape, syntax: str) -> Grey:
    """Decode through pydicom with what was checked, never with what else the file says."""
    decoder = file.pydicom().pixels.get_decoder(syntax)
    plugin = _DECODERS.get(syntax, "")
    if plugin and plugin not in decoder.available_plugins:
        raise MachineError(f"DICOM in {values.uid_name(syntax)} needs {plugin}: {file.INSTALL}")
    layout = shape.stored
    with file.refusing(_CORRUPT):
        array, meta = decoder.as_array(
            data,
            index=0,
            raw=True,
            decoding_plugin=plugin,
            rows=shape.rows,
            columns=shape.columns,
            samples_per_pixel=shape.samples,
            number_of_frames=1,
            bits_allocated=layout.bits_allocated,
            bits_stored=layout.bits_stored,
            photometric_interpretation=shape.photometric or "MONOCHROME2",
            pixel_representation=int(layout.is_signed),
            planar_configuration=shape.planar,
            pixel_keyword="PixelData",
            pixel_vr="OW" if layout.bits_allocated == 16 else "OB",
        )
    if array.shape[:2] != (shape.rows, shape.columns) or array.dtype.itemsize != layout.bits_allocated // 8:
        raise ImageError(_CORRUPT)
    if shape.samples == 3:
        return _in_rgb(array, shape, str(meta["photometric_interpretation"]))
    return cast(Grey, array.view(np.uint8 if layout.bits_allocated == 8 else np.uint16))


def _in_rgb(array: npt.NDArray[np.uint8], shape: Shape, photometric: str = "") -> Grey:
    """Colours as red, green, blue; what a decoder has turned already it says."""
    photometric = photometric or shape.photometric
    if photometric == "RGB":
        return array
    convert = file.pydicom().pixels.processing.convert_color_space
    with file.refusing("DICOM in colours that cannot be read"):
        return cast(Grey, convert(array, photometric, "RGB"))


def _fragments(data: bytes) -> Iterator[bytes]:
    """The items of an encapsulated picture (PS3.5 A.4)."""
    position = 0
    while position < len(data):
        try:
            group, element, length = struct.unpack_from("<HHI", data, position)
        except struct.error:
            raise ImageError("truncated DICOM: its compressed picture ends early") from None
        if (group << 16 | element) == _NO_MORE:
            return
        if (group << 16 | element) != _ITEM:
            raise ImageError("corrupt DICOM: its compressed picture is not in items")
        position += 8
        if position + length > len(data):
            raise ImageError("truncated DICOM: its compressed picture ends early")
        yield data[position : position + length]
        position += length
