"""The gate for pictures: whatever the bytes, a radiograph or a reason; a damaged one is never another picture."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from murace.data.images.header import MAX_PIXELS, ImageError
from tests.data.files import exif, jpeg, picture, png, read_grey
from tests.properties.size import holds, sizes

HERE = picture(4, 16, 12)
SOUND = {"png": png(HERE), "deep": png(HERE.astype(np.uint16) * 257), "jpeg": jpeg(HERE, 6)}


def seen(path: Path, data: bytes) -> np.ndarray | None:
    """The picture; None where there is a reason, which must be one line."""
    path.write_bytes(data)
    try:
        image = read_grey(path)
    except ImageError as error:
        assert str(error).isprintable()  # noqa: PT017 - one of two outcomes
        return None
    assert image.dtype == np.uint8
    assert image.size <= MAX_PIXELS
    return image


@sizes()
def test_a_png_is_itself_or_refused_whatever_is_done_to_its_bytes(examples: int, tmp_path: Path) -> None:
    def law(place: int, new: bytes, cut: int, tail: bytes) -> None:
        data = SOUND["png"]
        place %= len(data)
        broken = data[:place] + new + data[place + len(new) :]
        broken = broken[: len(broken) - cut % 40] + tail
        image = seen(tmp_path / "a.png", broken)
        assert image is None or np.array_equal(image, HERE)

    holds(law, examples, st.integers(0, 5000), st.binary(max_size=4), st.integers(0, 39), st.binary(max_size=4))


@sizes()
def test_any_bytes_are_a_picture_or_have_a_reason(examples: int, tmp_path: Path) -> None:
    starts = st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\0" * 128 + b"DICM", *SOUND.values()])

    def law(start: bytes, rest: bytes) -> None:
        seen(tmp_path / "a.png", start + rest)

    holds(law, examples, starts, st.binary(max_size=200))


@sizes()
def test_a_damaged_note_about_the_camera_never_costs_the_picture(examples: int, tmp_path: Path) -> None:
    from tests.data.files import chunk

    def law(place: int, value: int) -> None:
        block = bytearray(exif(6))
        block[place % len(block)] = value
        image = seen(tmp_path / "a.png", png(HERE, chunk(b"eXIf", bytes(block))))
        assert image is not None
        assert sorted(image.shape) == sorted(HERE.shape)

    holds(law, examples, st.integers(0, 40), st.integers(0, 255))
