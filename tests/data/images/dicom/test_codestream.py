"""Code streams as files hold them: in boxes, with bytes after their end, or cut off."""

import struct

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from murace.data.images.decode import read
from murace.data.images.dicom.codestream import inspect, unpack_rle
from murace.data.images.header import ImageError
from tests.data.files import dicom
from tests.data.images.dicom.test_dicom import GDCM, deep, encapsulated, recoded, write

TAILS = [b" ", b"      ", b"\0\0\0\xff", b"any\xff\xff", b"\xff\xd8\xff surplus"]


def stream_of(folder, syntax: str) -> bytes:
    plain = dicom(deep(), BitsStored=12)
    data = recoded(folder, plain, GDCM[syntax]) if syntax in GDCM else dicom(deep(), BitsStored=12, encode=syntax)
    path = write(folder, data)
    return pydicom.encaps.get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("tail", TAILS)
def test_what_comes_after_the_end_is_left_out(tmp_path, syntax, tail):
    frame = stream_of(tmp_path, syntax)
    if syntax == RLELossless:
        tail = bytes(byte for byte in tail if byte in b"\0 \xff")
    found = read(write(tmp_path, encapsulated(frame + tail, syntax, deep(), BitsStored=12)))
    assert np.array_equal(found.grey, read(write(tmp_path, dicom(deep(), BitsStored=12))).grey)
    assert found.remarks == ()


def test_more_than_filling_after_rle_is_refused():
    packed = b"\x03abcd" + b"xyz"
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + packed
    with pytest.raises(ImageError, match="another length"):
        unpack_rle(frame, pixels=4, planes=1)
    assert unpack_rle(frame[:-3] + b"\0 \0 ", pixels=4, planes=1).tobytes() == b"abcd"


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless])
def test_an_end_in_the_header_does_not_end_the_picture(tmp_path, syntax):
    """A comment may hold the two bytes of an end marker; a stream that is cut off after it has no end."""
    frame = stream_of(tmp_path, syntax).rstrip(b"\0")
    marker = b"\xff\x64" if syntax == JPEG2000Lossless else b"\xff\xfe"
    comment = marker + struct.pack(">H", 8) + b"\0\1\xff\xd9\xff\xd9"
    place = frame.index(b"\xff\x52") if syntax == JPEG2000Lossless else 2
    whole = frame[:place] + comment + frame[place:]
    size, stream = inspect(whole + b"    ")
    assert (size.width, size.height, stream) == (40, 48, whole)
    for length in (len(comment) + 200, len(whole) - 2):
        with pytest.raises(ImageError, match="truncated"):
            inspect(whole[:length])


def box(kind: bytes, body: bytes, form: str = "short") -> bytes:
    if form == "long":
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 0 if form == "rest" else 8 + len(body), kind) + body


SIGNATURE = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")


@pytest.mark.parametrize("form", ["short", "long", "rest"])
@pytest.mark.parametrize("tail", [b"", b"\0", box(b"uuid", b"x" * 20)])
def test_jpeg_2000_in_boxes_is_the_picture_inside(tmp_path, form, tail):
    frame = stream_of(tmp_path, JPEG2000Lossless)
    head = box(b"ihdr", struct.pack(">IIHBBBB", 48, 40, 1, 11, 7, 0, 0)) + box(b"colr", b"\1\0\0\0\0\0\x11")
    boxed = SIGNATURE + box(b"jp2h", head) + box(b"jp2c", frame, form) + tail
    found = read(write(tmp_path, encapsulated(boxed, JPEG2000Lossless, deep(), BitsStored=12)))
    assert np.array_equal(found.grey, read(write(tmp_path, dicom(deep(), BitsStored=12))).grey)


@pytest.mark.parametrize(
    "boxes",
    [SIGNATURE, SIGNATURE + box(b"jp2c", b""), SIGNATURE + struct.pack(">I4s", 3, b"free") + b"x" * 99,
     SIGNATURE + struct.pack(">I4s", 1, b"free"), SIGNATURE + box(b"jp2c", b"no stream")],
)  # fmt: skip
def test_boxes_without_a_picture_are_refused(boxes):
    with pytest.raises(ImageError, match="corrupt"):
        inspect(boxes)
