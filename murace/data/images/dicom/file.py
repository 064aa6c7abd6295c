"""Recognise DICOM files, and read single elements of them through pydicom.

pydicom is loaded when the first DICOM file comes. It quotes values in its warnings, its log and its errors, so none of
these leaves this package: a reason names an element, never what it holds.
"""

import importlib
import io
import logging
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO

from murace.data.images.header import ImageError
from murace.errors import MachineError
from murace.system.failures import is_out_of_memory

INSTALL = 'pip install "murace[dicom]"'
DEFLATED = "1.2.840.10008.1.2.1.99"
MAX_HEADER = 4 * 2**20  # bytes before the pixels: tables and overlays take 2 MiB at most
HEAD = 1024  # bytes of a file that tell whether it is DICOM
_MARK = b"DICM"
_SYNTAX = (0x0002, 0x0010)
_FIRST_GROUPS = (0x0002, 0x0008)
_PIXELS = 0x7FE00010
_META = 2**16  # bytes that the first group may take
_ENOUGH = 3  # elements in good order that no other file begins with
_SHORT = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
_LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
_LATE = f"DICOM whose pixels do not begin within its first {MAX_HEADER >> 20} MiB"
_HEADER = "damaged DICOM: its header cannot be read"
_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg")


def is_dicom(head: bytes) -> bool:
    """Whether a file that starts with `head` (HEAD bytes, or all it has) is DICOM, with or without preamble."""
    if head[128:132] == _MARK:
        return True
    if len(head) < 8 or struct.unpack_from("<H", head)[0] not in _FIRST_GROUPS:
        return False
    return any(_is_in_order(head, is_implicit) for is_implicit in (False, True))


def read_elements(file: BinaryIO, keywords: Sequence[str]) -> Any:
    """Read the named elements, and no other, as a pydicom dataset; reading stops after the last of them.

    Raises:
        ImageError: not readable, or compressed as a whole.
        MachineError: pydicom is missing or broken.
    """
    package = pydicom()
    tags = [package.datadict.tag_for_keyword(keyword) for keyword in keywords]
    syntax = _syntax(file.read(_META))
    if DEFLATED in syntax:  # a few bytes may hold gigabytes
        raise ImageError("DICOM compressed as a whole (deflated): save it with another transfer syntax")
    file.seek(0)
    warnings.filterwarnings("ignore", module=r"pydicom|pylibjpeg|openjpeg|gdcm|murace\.data\.images\.dicom")
    with refusing(_HEADER):
        found = package.filereader.read_partial(
            file, stop_when=lambda tag, _vr, _length: tag > max(tags), force=True, specific_tags=tags
        )
        announced = str(found.file_meta.get("TransferSyntaxUID", ""))
    if announced != syntax:
        raise ImageError(_HEADER)
    return found


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Turn whatever pydicom or a decoder raises about a file into `reason`; its own text may quote the file.

    Raises:
        ImageError: something was raised.
        MachineError: the memory did not suffice, which is not the file's fault: its size has been checked.
    """
    try:
        yield
    except (ImageError, MachineError):
        raise
    except Exception as error:  # pydicom and the decoders raise anything, each with words of its own
        if is_out_of_memory(error):
            message = "out of memory while a DICOM file was read: use fewer --threads or --jobs"
            raise MachineError(message) from error
        raise ImageError(reason) from None


def require_short_header(data: bytes) -> None:
    """Make sure that what stands before the pixels is not huge: all of it is read, whatever it is.

    Raises:
        ImageError: it is.
    """
    if len(data) <= MAX_HEADER:
        return
    reached = []

    def is_at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
        if tag >= _PIXELS:
            reached.append(tag)
        return bool(reached)

    package = pydicom()
    with refusing(_LATE):
        start = io.BytesIO(data[:MAX_HEADER])
        package.filereader.read_partial(start, stop_when=is_at_pixels, force=True, specific_tags=[_PIXELS])
    if not reached:
        raise ImageError(_LATE)


@cache
def pydicom() -> Any:
    """Load pydicom and its decoders, quietly.

    Raises:
        MachineError: it is missing, or cannot be loaded.
    """
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    hidden = "dl" not in sys.modules
    if hidden:
        sys.modules["dl"] = None  # type: ignore[assignment] # gdcm looks for it, and a user's folder may have the name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("pydicom")
            for part in ("filereader", "datadict", "uid", "pixels"):
                importlib.import_module(f"pydicom.{part}")
    except ImportError:
        raise MachineError(f"DICOM needs pydicom: {INSTALL}") from None
    except Exception as error:  # a broken decoder breaks all of pydicom, in whatever way
        raise MachineError(f"pydicom cannot be loaded ({type(error).__name__}): {INSTALL}") from error
    finally:
        if hidden:
            sys.modules.pop("dl", None)
    if "gdcm" in sys.modules:
        trace = sys.modules["gdcm"].Trace
        for silence in (trace.DebugOff, trace.WarningOff, trace.ErrorOff):
            silence()
    return package


def _is_in_order(head: bytes, is_implicit: bool) -> bool:
    """Whether the first elements are well formed and their tags rise."""
    position, last = 0, (0, -1)
    for _ in range(_ENOUGH):
        if (found := _element(head, position, is_implicit)) is None:
            return False
        tag, start, length = found
        if tag <= last or tag[0] not in _FIRST_GROUPS or length % 2 or length > HEAD:
            return False
        last, position = tag, start + length
    return True


def _element(data: bytes, position: int, is_implicit: bool) -> tuple[tuple[int, int], int, int] | None:
    """The tag, the value's place and its length of the little-endian element at `position`."""
    try:
        group, element, kind, length = struct.unpack_from("<HH2sH", data, position)
        start = position + 8
        if is_implicit:
            (length,) = struct.unpack_from("<I", data, position + 4)
        elif kind in _LONG:
            (length,) = struct.unpack_from("<I", data, start)
            start += 4
        elif kind not in _SHORT:
            return None
    except struct.error:
        return None
    return (group, element), start, length


def _syntax(head: bytes) -> str:
    """The transfer syntax that the file's first group announces; empty for a file that has no such group.

    Read here, before pydicom, which would inflate a deflated file of any size at once; strictly, so that pydicom
    cannot find another one.

    Raises:
        ImageError: the group is damaged.
    """
    position, found = 132 if head[128:132] == _MARK else 0, ""
    while (element := _element(head, position, is_implicit=False)) is not None and element[0][0] == _SYNTAX[0]:
        tag, start, length = element
        if tag == _SYNTAX:
            found = head[start : start + length].decode("ascii", "replace").rstrip(" \0")
        position = start + length
    if head[position : position + 2] == b"\2\0" or (position >= len(head) == _META):
        raise ImageError(_HEADER)
    return found
