import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.images.decode import read
from murace.data.images.fingerprint import TURN_NAMES, TURNS, perceptual_hash, pixel_digest, turned, turned_hashes
from murace.system.opencv import cv2
from tests.data.files import chunk, jpeg, picture, png, raw_png


def bits_by_hand(square: np.ndarray) -> int:
    """The hash by the definition of the transform (DCT-II, orthonormal), in plain Python over a 32 x 32 picture."""
    side, value = 32, 0
    wave = [[math.cos(math.pi * (2 * x + 1) * u / (2 * side)) for x in range(side)] for u in range(9)]
    for u in range(1, 9):
        for v in range(1, 9):
            total = sum(wave[u][y] * wave[v][x] * float(square[y, x]) for y in range(side) for x in range(side))
            value = 2 * value + (total > 0)
    return value


@pytest.mark.parametrize("seed", range(3))
def test_the_hash_is_the_signs_of_the_cosine_transform_by_its_definition(seed):
    square = picture(seed, 32, 32)
    assert perceptual_hash(square) == bits_by_hand(square)


@pytest.mark.parametrize("view", TURNS)
def test_the_hash_of_a_turned_picture_follows_from_the_hash(view):
    squares = np.stack([picture(seed, 64, 64) for seed in range(20)])
    hashes = np.array([perceptual_hash(square) for square in squares], np.uint64)
    expected = [perceptual_hash(np.ascontiguousarray(square)) for square in turned(squares, view)]
    distances = np.bitwise_count(turned_hashes(hashes, view) ^ np.array(expected, np.uint64))
    assert distances.max() <= 1, "rounding may turn the sign of a coefficient next to 0"
    assert np.median(distances) == 0


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        ("as it is", lambda square: square),
        ("mirrored", np.fliplr),
        ("upside down and mirrored", np.flipud),
        ("upside down", lambda square: np.rot90(square, 2)),
        ("turned a quarter", lambda square: np.rot90(square, 1)),
        ("turned a quarter", lambda square: np.rot90(square, 3)),
        ("turned a quarter and mirrored", lambda square: square.T),
        ("turned a quarter and mirrored", lambda square: np.rot90(square, 2).T),
    ],
)
def test_a_view_is_called_what_it_is(name, turn):
    square = picture(1, 16, 16)
    assert name in [TURN_NAMES[view] for view in TURNS if np.array_equal(turned(square, view), turn(square))]


def test_the_views_are_all_eight_and_different():
    square = picture(2, 16, 16)
    assert len({turned(square, view).tobytes() for view in TURNS}) == 8


def test_an_inverted_picture_has_every_bit_turned():
    square = picture(3, 64, 64)
    assert perceptual_hash(square) ^ perceptual_hash(255 - square) == 2**64 - 1


@pytest.mark.parametrize("size", [8, 31, 32, 100, 256])
def test_pictures_of_every_size_have_a_hash_and_resizing_hardly_changes_it(size):
    shapes = np.random.default_rng(4).integers(0, 256, (12, 12), dtype=np.uint8)
    large = cv2.resize(shapes, (512, 512), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA)
    assert (perceptual_hash(small) ^ perceptual_hash(large)).bit_count() <= (16 if size < 32 else 2)


def filtered_png(image: np.ndarray, kind: int) -> bytes:
    """The same picture compressed in another way: another filter on each line (PNG specification, 9.2: 0 and 1)."""
    import zlib

    rows = []
    for row in image:
        values = row.tolist()
        changes = [values[0], *((after - before) % 256 for before, after in pairwise(values))] if kind else values
        rows.append(bytes([kind, *changes]))
    height, width = image.shape
    return raw_png(width, height, 8, 0, chunk(b"IDAT", zlib.compress(b"".join(rows), 9)))


def digest(folder, data: bytes) -> str:
    path = folder / "image.png"
    path.write_bytes(data)
    return pixel_digest(read(path).grey)


def test_recompression_and_equal_channels_do_not_change_the_digest(tmp_path):
    image = np.arange(256, dtype=np.uint8).reshape(8, 32)  # every shade
    alpha = np.dstack([image, image, image, np.full_like(image, 255)])
    files = [png(image), filtered_png(image, 0), filtered_png(image, 1), png(np.dstack([image] * 3)), png(alpha)]
    assert len(set(files)) == len(files)
    assert len({digest(tmp_path, data) for data in files}) == 1


def test_a_turned_camera_has_the_digest_of_its_upright_picture(tmp_path):
    lying, upright = jpeg(picture(5, 16, 16), orientation=6), read_jpeg(tmp_path)
    assert digest(tmp_path, lying) == pixel_digest(np.ascontiguousarray(np.rot90(upright, -1)))


def read_jpeg(folder):
    path = folder / "plain.jpg"
    path.write_bytes(jpeg(picture(5, 16, 16)))
    return read(path).grey


def test_shape_and_depth_belong_to_the_digest():
    flat = np.full((10, 20), 7, np.uint8)
    wide = np.frombuffer(flat.tobytes(), np.uint16).reshape(10, 10)
    assert len({pixel_digest(each) for each in (flat, flat.T, flat.reshape(5, 40), wide)}) == 4


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_any_changed_pixel_changes_the_digest(height, width, data):
    image = np.array(data.draw(st.lists(st.integers(0, 255), min_size=height * width, max_size=height * width)))
    image = image.astype(np.uint8).reshape(height, width)
    other = image.copy()
    other[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] ^= 1
    assert pixel_digest(image) != pixel_digest(other)
    assert pixel_digest(image) == pixel_digest(np.asfortranarray(image))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("apart", [0, 9, 200])
def test_colour_is_the_largest_difference_between_two_channels(tmp_path, depth, apart):
    image = np.dstack([picture(6) // 4] * 3)
    image[3, 5, 1] += apart // 2  # the largest difference is between green and blue or red
    image[4, 4] = (0, apart, 0)
    scaled = image if depth == np.uint8 else image.astype(np.uint16) * 257
    (tmp_path / "image.png").write_bytes(png(scaled))
    assert read(tmp_path / "image.png").colour == apart


def test_grey_pictures_have_no_colour(tmp_path):
    for data in (png(picture(7)), jpeg(picture(7)), png(picture(7).astype(np.uint16) * 257)):
        (tmp_path / "image").write_bytes(data)
        assert read(tmp_path / "image").colour == 0
