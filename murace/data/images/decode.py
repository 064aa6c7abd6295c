"""Decode image files (PNG, JPEG, DICOM) to upright grey pixels; the only place where image files are opened.

`prepare` decodes through it in its processes and `cam` for the radiograph it draws on, so both see the same picture.
Only numpy and OpenCV are imported here: a reading process starts in a fraction of a second. pydicom is loaded when the
first DICOM file comes.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from murace.data.images import jpeg, png
from murace.data.images.dicom import radiograph
from murace.data.images.dicom.display import Grey as Grey  # the type of what is read
from murace.data.images.dicom.file import HEAD, is_dicom
from murace.data.images.header import Header, ImageError
from murace.errors import MachineError
from murace.system.failures import is_out_of_memory
from murace.system.opencv import cv2

MAX_FILE = 512 * 2**20  # bytes
NO_MEMORY = "out of memory while a radiograph was decoded: use fewer --threads or --jobs"

_WORKING_ROOM = 4  # bytes of memory that a decoder may want for a pixel
_TOO_MANY = (errno.EMFILE, errno.ENFILE)  # open files
MISSING = "missing"
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"PK": "a zip archive: unpack it",
    b"RIFF": "a RIFF file (WebP?)",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"\0\x05\x16\x07": "a macOS sidecar file",
}
# Orientation -> the steps in which rows and columns are walked; from 5 on after they have been exchanged.
_TURNS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}


@dataclass(frozen=True)
class Radiograph:
    """One file's picture at its own resolution, upright, uint8 or uint16 [H, W]; the file's bytes and time (ns).

    `colour` is the largest difference between two colour channels of a pixel, in 1/255 of the range; of PNG and JPEG.
    `remarks` say where a DICOM picture is not shown as its header says: phrases that follow `has` or `have`.
    """

    grey: Grey
    sha256: str
    length: int
    modified: int
    colour: int = 0
    remarks: tuple[str, ...] = ()


def read_drawn(path: Path) -> npt.NDArray[np.uint8]:
    """Read a picture that murace has drawn, or that lies where it had: a PNG in colour, uint8 [H, W, 3], RGB.

    Raises:
        ImageError: the file is no such picture.
    """
    data, _ = _bytes(path)
    if not data.startswith(png.SIGNATURE):
        raise ImageError("not a PNG")
    image = _pixels(png.inspect(data))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError("not a PNG in colour with eight bits")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read(path: Path) -> Radiograph:
    """Read a radiograph at its own resolution and depth.

    Raises:
        ImageError: the file is no usable radiograph.
        MachineError: too little memory; or it is DICOM, and pydicom or a decoder is missing.
    """
    data, status = _bytes(path)
    colour = 0
    remarks: tuple[str, ...] = ()
    if is_dicom(data[:HEAD]):
        grey, remarks = radiograph.read_grey(data)
    else:
        header = _inspect(data)
        image = _pixels(header)
        grey, colour = _upright(_grey(image), header.orientation), _colour(image)
    return Radiograph(grey, hashlib.sha256(data).hexdigest(), status.st_size, status.st_mtime_ns, colour, remarks)


def _bytes(path: Path) -> tuple[bytes, os.stat_result]:
    """A regular file's content and its status, which must be the same before and after reading."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device is never opened: it might never answer
            raise ImageError("not a regular file")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size > MAX_FILE:
                raise ImageError(f"too large: the file has more than {MAX_FILE >> 20} MiB")
            data = file.read(before.st_size + 1)  # no more: room for MAX_FILE would be taken and given back each time
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise ImageError(MISSING) from None
    except OSError as error:
        if is_out_of_memory(error) or error.errno in _TOO_MANY:
            raise  # not this file's fault
        raise ImageError(f"cannot be read: {error.strerror}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise ImageError("changed while it was read")
    return data, after


def _inspect(data: bytes) -> Header:
    """Choose by the first bytes, never by the file's name."""
    if not data:
        raise ImageError("empty file")
    if data.startswith(png.SIGNATURE):
        return png.inspect(data)
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.inspect(data)
    for start, name in _OTHERS.items():
        if data.startswith(start):
            raise ImageError(f"not a PNG, JPEG or DICOM: {name}")
    raise ImageError("not a PNG, JPEG or DICOM")  # its bytes are not quoted: they may be a patient's name


def _pixels(header: Header) -> Grey:
    """Decode to the values as stored, uint8 or uint16, [H, W] or [H, W, 3 or 4]: blue, green, red, alpha.

    Raises:
        ImageError: the pixels cannot be decoded.
        MachineError: too little memory, which is not the file's fault: its size has been checked.
    """
    try:
        # Unchanged: 16 bits and alpha stay, and orientation is left to us, whatever OpenCV's version.
        image = cv2.imdecode(np.frombuffer(header.data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError) as error:
        if is_out_of_memory(error):
            raise MachineError(NO_MEMORY) from error
        image = None
    if image is None:
        _require_room(header)
    if image is None or image.dtype not in (np.uint8, np.uint16) or image.shape[:2] != (header.height, header.width):
        raise ImageError("corrupt: the pixels cannot be decoded")
    return cast(Grey, image)


def _grey(image: Grey) -> Grey:
    """One grey channel, [H, W]."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 3:
        return cast(Grey, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    return _over_black(cast(Grey, cv2.cvtColor(image, cv2.COLOR_BGRA2GRAY)), image[:, :, 3])


def _colour(image: Grey) -> int:
    """The largest difference between two colour channels of a pixel, in 1/255 of the range."""
    if image.ndim == 2:
        return 0
    blue, green, red = cv2.split(image)[:3]
    apart = max(cv2.norm(*both, cv2.NORM_INF) for both in ((blue, green), (green, red), (red, blue)))
    return round(apart / (1 if image.dtype == np.uint8 else 257))


def _require_room(header: Header) -> None:
    """Ask for the memory of a picture that was not decoded: OpenCV does not say what its decoders have wanted.

    Raises:
        MachineError: it is not there, so the file need not be corrupt.
    """
    try:
        np.empty(header.width * header.height * _WORKING_ROOM, np.uint8)
    except MemoryError as error:
        raise MachineError(NO_MEMORY) from error


def _over_black(grey: Grey, alpha: Grey) -> Grey:
    """Composite on black, rounded; the product of two full ranges fits the next wider integer."""
    if grey.dtype == np.uint8:
        return ((grey.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
    return ((grey.astype(np.uint32) * alpha + 32767) // 65535).astype(np.uint16)


def _upright(grey: Grey, orientation: int) -> Grey:
    """Undo the camera's turn (EXIF 2.32, tag 0x0112)."""
    if orientation >= 5:
        grey = grey.T
    rows, columns = _TURNS[orientation]
    return cast(Grey, np.ascontiguousarray(grey[::rows, ::columns]))
