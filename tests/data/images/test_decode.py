import errno
import os
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.data.images.resize import resize
from murace.errors import MachineError
from murace.system.opencv import cv2
from tests.data.files import chunk, decode, exif, jpeg, picture, png, raw_png, read_grey


def write(folder: Path, data: bytes) -> Path:
    path = folder / "image.png"
    path.write_bytes(data)
    return path


def reason(folder: Path, data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        read_grey(write(folder, data))
    return str(error.value)


def test_a_grey_png_comes_back_as_it_is(tmp_path):
    image = picture()
    assert np.array_equal(read_grey(write(tmp_path, png(image))), image)


def test_a_jpeg_is_read_whatever_its_name(tmp_path):
    image = picture()
    assert np.abs(read_grey(write(tmp_path, jpeg(image))).astype(int) - image).max() < 20


def test_rgb_of_equal_channels_and_a_palette_equal_their_grey_twin(tmp_path):
    image = picture()
    palette = chunk(b"PLTE", bytes(value for shade in range(256) for value in (shade, shade, shade)))
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    indexed = raw_png(16, 24, 8, 3, palette, chunk(b"IDAT", zlib.compress(rows)))
    assert np.array_equal(read_grey(write(tmp_path, png(np.dstack([image] * 3)))), image)
    assert np.array_equal(read_grey(write(tmp_path, indexed)), image)


def large(image):
    """Every pixel eight times as large: what is smaller is refused."""
    return image.repeat(8, axis=0).repeat(8, axis=1)


def small(image):
    """The inverse of `large`."""
    assert np.array_equal(large(image[::8, ::8]), image)
    return image[::8, ::8].tolist()


def test_sixteen_bits_are_divided_by_their_full_range_and_never_clipped(tmp_path):
    deep = np.array([[0, 255, 257, 32768, 65535]], np.uint16)
    assert small(read_grey(write(tmp_path, png(large(deep))))) == [[0, 1, 1, 128, 255]]
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    shrunk = decode(write(tmp_path, png(ramp)), size=16, fit="squash")
    exact = ramp.reshape(16, 4, 16, 4).mean(axis=(1, 3)) / 257
    assert np.abs(shrunk - exact).max() <= 0.51


def test_alpha_is_composited_on_black(tmp_path):
    image = np.full((2, 2, 4), 200, np.uint8)
    image[:, :, 3] = [[255, 128], [1, 0]]
    assert small(read_grey(write(tmp_path, png(large(image))))) == [[200, 100], [1, 0]]
    deep = np.full((1, 2, 4), 65535, np.uint16)
    deep[0, :, 3] = [65535, 32768]
    assert small(read_grey(write(tmp_path, png(large(deep))))) == [[255, 128]]


# What each EXIF orientation asks for, written independently of the code (EXIF 2.32, table 6).
TURNS = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.transpose(image), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_is_applied_in_png_and_jpeg(tmp_path, orientation):
    image = picture()
    for order in "<>":
        turned = png(image, chunk(b"eXIf", exif(orientation, order)))
        assert np.array_equal(read_grey(write(tmp_path, turned)), TURNS[orientation](image))
    stored = read_grey(write(tmp_path, jpeg(image)))
    assert np.array_equal(read_grey(write(tmp_path, jpeg(image, orientation))), TURNS[orientation](stored))


def test_width_and_height_are_those_of_the_upright_original(tmp_path):
    path = write(tmp_path, jpeg(picture(), 6))
    assert read(path).grey.shape == (16, 24)
    assert decode(path, size=8, fit="squash").shape == (8, 8)


def test_the_digest_is_of_the_files_bytes(tmp_path):
    import hashlib

    data = png(picture())
    assert read(write(tmp_path, data)).sha256 == hashlib.sha256(data).hexdigest()


def test_shrinking_averages_over_areas():
    image = picture(height=64, width=96)
    exact = image.reshape(16, 4, 16, 6).mean(axis=(1, 3))
    assert np.abs(resize(image, size=16, fit="squash") - exact).max() <= 0.51


def test_where_one_side_grows_the_other_is_still_averaged():
    stripes = np.tile(np.array([0, 255], np.uint8), (4, 64))  # 4 x 128: neighbours differ by everything
    assert np.abs(resize(stripes, size=16, fit="squash").astype(int) - 128).max() <= 1


def test_pad_keeps_the_aspect_and_centres_on_black():
    padded = resize(np.full((10, 40), 9, np.uint8), size=20, fit="pad")
    assert np.array_equal(np.flatnonzero(padded.any(axis=1)), np.arange(7, 12))
    assert (padded[7:12] == 9).all()


@pytest.mark.parametrize("cut", [8, 12, 20, 60, 150, -12, -5, -1])
def test_a_truncated_png_is_refused(tmp_path, cut):
    assert "truncated" in reason(tmp_path, png(picture())[:cut])


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_jpeg_is_refused(tmp_path, share):
    data = jpeg(picture(height=64, width=64), 6)
    assert "truncated" in reason(tmp_path, data[: int(len(data) * share)])


def test_every_flipped_bit_of_a_png_is_noticed(tmp_path):
    data = png(picture(height=8, width=8))
    for place in range(8, len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        reason(tmp_path, bytes(broken))


def test_pixel_data_that_end_early_are_refused_though_every_checksum_is_right(tmp_path):
    half = zlib.compress(b"\0" * 40)
    assert "corrupt" in reason(tmp_path, raw_png(8, 16, 8, 0, chunk(b"IDAT", half)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><p>404", "not a PNG, JPEG or DICOM"),
        (b"\x1b[31m\n", "not a PNG, JPEG or DICOM"),
        (b"GIF89a....", "a GIF"),
        (b"II*\0....", "a TIFF"),
        (b"%!PS-Adobe", "PostScript"),
        (b"\0\x05\x16\x07", "sidecar"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, data, words):
    assert words in reason(tmp_path, data)


def test_an_animated_png_is_refused(tmp_path):
    assert "animated" in reason(tmp_path, png(picture(), chunk(b"acTL", b"\0\0\0\2\0\0\0\0")))


def test_a_bomb_is_refused_from_its_header(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for width, height in ((100_000, 10), (19_000, 19_000), (0, 5)):
        assert "pixels" in reason(tmp_path, raw_png(width, height, 8, 0, chunk(b"IDAT", zlib.compress(b"\0" * 9))))


def test_bytes_after_the_end_are_left_out(tmp_path):
    image = picture()
    assert np.array_equal(read_grey(write(tmp_path, png(image) + b"PK\x03\x04 a zip")), image)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path, states = write(tmp_path, png(picture())), []

    def fstat(descriptor: int) -> os.stat_result:
        states.append(path.stat())
        with path.open("ab") as file:
            file.write(b"more")
        return states[-1]

    monkeypatch.setattr("murace.data.images.decode.os.fstat", fstat)
    with pytest.raises(ImageError, match="changed while it was read"):
        read_grey(path)


def test_a_pipe_is_never_opened_and_a_missing_file_is_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name, words in (("pipe.png", "not a regular file"), ("none.png", "missing"), (".", "not a regular file")):
        with pytest.raises(ImageError, match=words):
            read_grey(tmp_path / name)


def no_room(*_: object) -> None:
    raise MemoryError


FAILURES = {
    "python": MemoryError(),
    "opencv": cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
}


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("encode", [png, jpeg])
def test_too_little_memory_is_not_the_files_fault(tmp_path, monkeypatch, kind, encode):
    def fails(*_given):
        raise FAILURES[kind]

    path = write(tmp_path, encode(picture()))
    monkeypatch.setattr(cv2, "imdecode", fails)
    with pytest.raises(MachineError, match="out of memory while a radiograph was decoded: use fewer --threads"):
        read(path)


def test_a_decoder_that_gives_nothing_is_believed_only_where_there_is_memory(tmp_path, monkeypatch):
    path = write(tmp_path, png(picture()))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(ImageError, match="corrupt"):
        read(path)
    monkeypatch.setattr(np, "empty", no_room)
    with pytest.raises(MachineError, match="out of memory"):
        read(path)


def test_a_decoders_own_error_is_the_files_fault(tmp_path, monkeypatch):
    def fails(*_given):
        raise cv2.error("OpenCV(5.0.0) error: (-215:Assertion failed)")

    path = write(tmp_path, png(picture()))
    monkeypatch.setattr(cv2, "imdecode", fails)
    with pytest.raises(ImageError, match="corrupt"):
        read(path)


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE, errno.EIO])
def test_of_what_the_system_refuses_only_the_files_own_is_a_reason(tmp_path, monkeypatch, number):
    path = write(tmp_path, png(picture()))

    def fstat(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("murace.data.images.decode.os", SimpleNamespace(fstat=fstat))
    with pytest.raises(ImageError if number == errno.EIO else OSError):
        read(path)
