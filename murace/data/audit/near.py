"""Near-duplicates: pairs of images in different splits that show the same radiograph, resized, turned or inverted.

Two stages. The perceptual hashes of every two pictures, in 8 turns and inverted, name candidates: quick, but all hands
look alike to them. Then the details of two candidates are correlated: a picture of 64 x 64 less its blurred copy. Of
FracAtlas' 2.4 million pairs the first stage lets 570 through, the second five, all of them real; of 958 drawn
radiographs none (tests/benchmarks/RESULTS.md). Of many that are all alike each is compared with its nearest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from murace.data.images.fingerprint import BITS, TURN_NAMES, TURNS, Floats, Hashes, Turn, turned, turned_hashes
from murace.data.images.resize import scaled
from murace.system.opencv import cv2
from murace.system.progress import Reporter

DISTANCE = 8  # bits in which two candidates may differ
MOST = 32  # the nearest candidates of a picture, in each turn: among many that are alike, all pairs would take days
CORRELATION = 0.93  # of their details at least
_SIDE, _BLUR = 64, 1.5
_BLOCK = 2**18  # distances at a time
_BATCH = 1024  # candidates at a time: two pictures of 16 KiB for each
Rows = npt.NDArray[np.int64]
Picture = Callable[[int], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Pair:
    """Two rows of the index that show the same: `other`, turned as `turn` says, is `row`."""

    row: int
    other: int
    turn: str
    distance: int
    correlation: float


@dataclass(frozen=True)
class _Candidates:
    """Pairs whose hashes agree: other[i], turned and perhaps inverted, may be row[i]."""

    row: Rows
    other: Rows
    turn: Turn
    distance: npt.NDArray[np.uint8]
    is_inverted: npt.NDArray[np.bool_]


def near_duplicates(hashes: Hashes, parts: Sequence[Rows], picture: Picture, reporter: Reporter) -> list[Pair]:
    """Every pair across `parts` that shows the same, by row, each in its most alike turn.

    Args:
        hashes: uint64 [N], the perceptual hash of each row.
        parts: the rows of each split that are to be compared, without flat pictures: these have no details.
        picture: gives that of a row, uint8 [H, W], without padding.
        reporter: asked between blocks whether to stop.

    Raises:
        Interrupted: a signal asked to stop.
    """
    best: dict[tuple[int, int], Pair] = {}
    tasks = [sorted(both, key=len) for both in combinations(parts, 2)]
    with reporter.bar("comparing radiographs", sum(len(TURNS) * len(few) for few, _ in tasks)) as bar:
        for few, many in tasks:
            for turn in TURNS:
                for block in _blocks(few, len(many)):
                    reporter.check()
                    for pair in _confirmed(_alike(hashes, block, many, turn), picture, reporter):
                        key = (pair.row, pair.other)
                        best[key] = max(best.get(key, pair), pair, key=lambda each: each.correlation)
                    bar.advance(len(block))
    return [best[key] for key in sorted(best)]


def _blocks(rows: Rows, against: int) -> Iterator[Rows]:
    """Rows in portions whose distances from `against` others fit in memory, and in a processor's."""
    step = max(1, _BLOCK // max(1, against))
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _alike(hashes: Hashes, block: Rows, many: Rows, turn: Turn) -> _Candidates:
    distances = np.bitwise_count(turned_hashes(hashes[block], turn)[:, None] ^ hashes[many])
    # At most DISTANCE apart, or, inverted, at most DISTANCE from all 64: bytes wrap around, and one comparison does.
    alike = distances - np.uint8(DISTANCE + 1) >= np.uint8(BITS - 2 * DISTANCE - 1)
    places = np.flatnonzero(alike)  # a tenth of the time of `nonzero`
    first, second = np.divmod(places, len(many))
    distance = distances.reshape(-1)[places]
    is_inverted = distance > BITS // 2
    nearness = np.minimum(distance, BITS - distance)
    kept = _nearest(first, nearness)
    return _Candidates(many[second[kept]], block[first[kept]], turn, nearness[kept], is_inverted[kept])


def _nearest(picture: Rows, distance: npt.NDArray[np.uint8]) -> Rows:
    """The places of each picture's MOST nearest candidates; `picture` is sorted, and so are they."""
    order = np.lexsort((distance, picture))
    rank = np.arange(len(order)) - np.searchsorted(picture, picture[order])
    return np.sort(order[rank < MOST])


def _confirmed(found: _Candidates, picture: Picture, reporter: Reporter) -> Iterator[Pair]:
    """Those of the candidates whose details agree."""
    for start in range(0, len(found.row), _BATCH):
        reporter.check()
        part = slice(start, start + _BATCH)
        row, other, is_inverted = found.row[part], found.other[part], found.is_inverted[part]
        values = _correlations(picture, row, other, found.turn) * np.where(is_inverted, -1, 1)
        for place in np.flatnonzero(values >= CORRELATION):
            lower, upper = sorted((int(row[place]), int(other[place])))
            words = TURN_NAMES[found.turn] + (", inverted" if is_inverted[place] else "")
            yield Pair(lower, upper, words, int(found.distance[part][place]), float(values[place]))


def _correlations(picture: Picture, row: Rows, other: Rows, turn: Turn) -> Floats:
    """Pearson's correlation of the details of each row and of its other one, turned by `turn`."""
    rows, place = np.unique(np.concatenate([row, other]), return_inverse=True)
    known = np.stack([details(picture(int(each))) for each in rows])
    ours, theirs = known[place[: len(row)]], turned(known, turn)[place[len(row) :]]
    result: Floats = np.einsum("nij,nij->n", ours, theirs)
    return result


def details(picture: npt.NDArray[np.uint8]) -> Floats:
    """What a blurred copy lacks of a picture, uint8 [H, W]: float32 [64, 64] with mean 0 and length 1, or all 0."""
    small = scaled(picture.astype(np.float32), _SIDE, _SIDE)
    found: Floats = np.asarray(small - cv2.GaussianBlur(small, (0, 0), _BLUR), np.float32)
    found = found - found.mean()
    length = float(np.linalg.norm(found))
    return found / length if length > 0 else found
