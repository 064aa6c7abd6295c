import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.audit import near
from murace.data.audit.near import details, near_duplicates
from murace.data.images.fingerprint import TURNS, perceptual_hash, turned, turned_hashes
from murace.errors import Interrupted
from murace.system.opencv import cv2
from murace.system.progress import Reporter

SIDE = 64


def film(seed: int, side: int = SIDE, grain: int | None = None) -> np.ndarray:
    """Shapes of that seed, and details of that of `grain`, uint8 [side, side]."""
    shapes = np.random.default_rng(seed).random((12, 12)).astype(np.float32)
    fine = np.random.default_rng(1000 + (seed if grain is None else grain)).random((48, 48)).astype(np.float32)
    coarse, details = (cv2.resize(each, (side, side), interpolation=cv2.INTER_CUBIC) for each in (shapes, fine))
    return np.clip(40 + 150 * coarse + 50 * details, 0, 255).astype(np.uint8)


def blank(row: int) -> np.ndarray:
    return np.zeros((8, 8), np.uint8)


def found(squares: list[np.ndarray], splits: list[int]) -> list[near.Pair]:
    hashes = np.array([perceptual_hash(np.ascontiguousarray(square)) for square in squares], np.uint64)
    parts = [np.flatnonzero(np.array(splits) == part) for part in sorted(set(splits))]
    return near_duplicates(hashes, parts, squares.__getitem__, Reporter())


def by_hand(hashes: list[int], splits: list[int]) -> set[tuple[int, int]]:
    """Candidates in plain Python: each pair, each view of the one, each of its 64 bits."""
    pairs = set()
    views = [[int(each) for each in turned_hashes(np.array(hashes, np.uint64), view)] for view in TURNS]
    for row in range(len(hashes)):
        for other in range(row + 1, len(hashes)):
            for view in views:
                apart = bin(view[row] ^ hashes[other]).count("1")
                if splits[row] != splits[other] and min(apart, 64 - apart) <= near.DISTANCE:
                    pairs.add((row, other))
    return pairs


def rows_of(found: near._Candidates) -> list[tuple[int, int]]:
    return list(zip(found.row.tolist(), found.other.tolist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(1, 40))
def test_the_first_look_finds_exactly_what_a_slow_search_finds(seed, step, block):
    random = np.random.default_rng(seed)
    base = random.integers(0, 2**64, 4, dtype=np.uint64)
    masks = np.array(
        [sum(1 << int(bit) for bit in random.choice(64, 2 * step, replace=False)) for _ in range(24)], np.uint64
    )
    hashes = base[random.integers(0, 4, 24)] ^ masks
    hashes[::3] = ~turned_hashes(hashes[::3], TURNS[seed % 8])
    splits = random.integers(0, 3, 24)
    parts = [np.flatnonzero(splits == part) for part in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_BLOCK", block)
        patch.setattr(near, "_confirmed", lambda found, *_: [near.Pair(*both, "", 0, 1.0) for both in rows_of(found)])
        pairs = near_duplicates(hashes, parts, blank, Reporter())
    assert {tuple(sorted((pair.row, pair.other))) for pair in pairs} == by_hand(hashes.tolist(), splits.tolist())


@pytest.mark.parametrize("view", TURNS)
@pytest.mark.parametrize("inverted", [False, True])
def test_a_picture_is_found_in_every_view_and_inverted(view, inverted):
    squares = [film(seed) for seed in range(6)]
    twin = turned(squares[2], view)
    (pair,) = found([*squares, 255 - twin if inverted else twin], [0, 0, 0, 1, 1, 1, 2])
    assert (pair.row, pair.other) == (2, 6)
    assert pair.correlation == pytest.approx(1, abs=0.02)
    assert pair.distance <= 1
    assert pair.turn.endswith("inverted") == inverted


@pytest.mark.parametrize("quality", [60, 90])
def test_a_resized_and_recompressed_picture_is_found(quality):
    large = film(3, 256)
    small = cv2.resize(large, (192, 192), interpolation=cv2.INTER_AREA)
    again = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)
    twin = cv2.resize(again, (256, 256), interpolation=cv2.INTER_LINEAR)
    (pair,) = found([large, film(4, 256), twin], [0, 0, 1])
    assert (pair.row, pair.other, pair.turn) == (0, 2, "as it is")


def test_pictures_of_one_split_are_not_compared():
    assert found([film(1), film(1), film(2)], [0, 0, 1]) == []


def test_pictures_that_look_alike_at_64_bits_but_differ_in_detail_are_no_pair():
    one, other = film(5, grain=1), film(5, grain=2)
    assert (perceptual_hash(one) ^ perceptual_hash(other)).bit_count() <= near.DISTANCE
    assert found([one, other], [0, 1]) == []


@pytest.mark.parametrize("parts", [[], [np.arange(3)], [np.arange(0), np.arange(3)]])
def test_nothing_to_compare_is_no_pair(parts):
    hashes = np.zeros(3, np.uint64)
    assert near_duplicates(hashes, parts, blank, Reporter()) == []


def test_details_are_what_a_blurred_copy_lacks():
    square = film(8)
    value = details(square).astype(np.float64)
    assert value.mean() == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(value) == pytest.approx(1, abs=1e-5)
    brighter = details((square // 2 + 40).astype(np.uint8))
    assert np.sum(value * brighter) > 0.95
    assert not details(np.full((SIDE, SIDE), 9, np.uint8)).any()


def test_a_signal_stops_the_search():
    reporter = Reporter()
    reporter.signum = 15
    with pytest.raises(Interrupted):
        near_duplicates(np.zeros(4, np.uint64), [np.arange(2), np.arange(2, 4)], blank, reporter)


def test_of_a_crowd_each_picture_is_compared_with_its_nearest():
    """Forty thousand pictures that all look alike would be a thousand million pairs: time and memory have an end."""
    random = np.random.default_rng(0)
    crowd = np.array([sum(1 << int(bit) for bit in random.choice(64, 6, replace=False)) for _ in range(200)], np.uint64)
    hashes = np.concatenate([np.zeros(3, np.uint64), crowd])
    hashes[[50, 150, 202]] = 1, 2, ~np.uint64(0)  # a bit away, or inverted none
    found = near._alike(hashes, np.arange(3), np.arange(3, 203), TURNS[0])
    pairs = list(zip(found.other.tolist(), found.row.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    for picture in range(3):
        rows = [row for other, row in pairs if other == picture]
        assert len(rows) == near.MOST
        assert {50, 150, 202} <= set(rows)
    assert sorted(set(found.distance.tolist())) == [0, 1, 6]
    assert found.is_inverted[found.row == 202].all()
