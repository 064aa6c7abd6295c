"""Pictures that lie where `cam` has drawn go through the same gate as radiographs: PNG alone, sizes from the header."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from murace.data.images import decode
from murace.data.images.header import ImageError
from tests.data.files import chunk, jpeg, picture, png, raw_png

COLOUR = np.dstack([picture(0), picture(1), picture(2)])


def encoded(ending: str) -> bytes:
    return cv2.imencode(ending, COLOUR)[1].tobytes()


FOREIGN = {
    "jpeg": jpeg(picture()),
    "tiff": encoded(".tiff"),
    "webp": encoded(".webp"),
    "bmp": encoded(".bmp"),
    "grey": png(picture()),
    "transparent": png(np.dstack([COLOUR, picture(3)])),
    "deep": png(COLOUR.astype(np.uint16)),
    "cut": png(COLOUR)[:-20],
    "a flipped bit": png(COLOUR)[:-30] + bytes([png(COLOUR)[-30] ^ 1]) + png(COLOUR)[-29:],
    "a bomb": raw_png(19_000, 19_000, 8, 2, chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "nothing": b"",
    "a pickle": b"\x80\x04K\x01.",
}


def test_what_was_drawn_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(COLOUR, chunk(b"tEXt", b"Comment\0x")))
    assert np.array_equal(decode.read_drawn(tmp_path / "a.png"), COLOUR[..., ::-1])


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_any_other_picture_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError):
        decode.read_drawn(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode.cv2, "imdecode", lambda *rest: pytest.fail("it was decoded"))
    (tmp_path / "a.png").write_bytes(FOREIGN["a bomb"])
    for read in (decode.read, decode.read_drawn):
        with pytest.raises(ImageError, match="too large"):
            read(tmp_path / "a.png")
    assert struct.unpack(">II", FOREIGN["a bomb"][16:24]) == (19_000, 19_000)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="not a regular file"):
        decode.read_drawn(tmp_path / "a.png")
