"""Pairs of pictures in different splits that show the same radiograph: resized, recompressed, turned or inverted.

Two looks. The 64 bits of every two pictures, in all 16 ways, name candidates: quick, but all hands look alike to them.
Then the details of two candidates are correlated: what is left of a picture of 64 x 64 when its blurred self is taken
away. Of FracAtlas' 2.4 million pairs the first look lets 570 through, the second five, all of them real; of 958 drawn
radiographs none (tests/benchmarks/RESULTS.md). Of a crowd that is all alike each picture is compared with its nearest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from murace.data.images.fingerprint import BITS, VIEWS, WORDS, Floats, Hashes, View, turned, turned_hashes
from murace.data.images.resize import scaled
from murace.system.opencv import cv2
from murace.system.progress import Reporter

DISTANCE = 8  # bits in which two candidates may differ
MOST = 32  # candidates of a picture in a view, the nearest: all of a crowd with all would take days, and be no news
CORRELATION = 0.93  # of their details at least
_SIDE, _BLUR = 64, 1.5
_BLOCK = 2**18  # distances at a time
_BATCH = 1024  # candidates at a time: two pictures of 16 KiB for each
Rows = npt.NDArray[np.int64]
Picture = Callable[[int], npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Pair:
    """Two rows of the index that show the same: `other` in the words of `view` is `row`."""

    row: int
    other: int
    view: str
    distance: int
    correlation: float


@dataclass(frozen=True)
class _Candidates:
    """Pairs whose hashes agree: other[i], turned to a view and perhaps inverted, may be row[i]."""

    row: Rows
    other: Rows
    view: View
    distance: npt.NDArray[np.uint8]
    is_inverted: npt.NDArray[np.bool_]


def near_duplicates(hashes: Hashes, parts: Sequence[Rows], picture: Picture, reporter: Reporter) -> list[Pair]:
    """Every pair across `parts` that shows the same, by row, each in its most alike view.

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
    with reporter.bar("comparing radiographs", sum(len(VIEWS) * len(few) for few, _ in tasks)) as bar:
        for few, many in tasks:
            for turn in VIEWS:
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


def _alike(hashes: Hashes, block: Rows, many: Rows, view: View) -> _Candidates:
    distances = np.bitwise_count(turned_hashes(hashes[block], view)[:, None] ^ hashes[many])
    # At most DISTANCE apart, or, inverted, at most DISTANCE from all 64: bytes wrap around, and one comparison does.
    alike = distances - np.uint8(DISTANCE + 1) >= np.uint8(BITS - 2 * DISTANCE - 1)
    places = np.flatnonzero(alike)  # a tenth of the time of `nonzero`
    first, second = np.divmod(places, len(many))
    distance = distances.reshape(-1)[places]
    is_inverted = distance > BITS // 2
    nearness = np.minimum(distance, BITS - distance)
    kept = _nearest(first, nearness)
    return _Candidates(many[second[kept]], block[first[kept]], view, nearness[kept], is_inverted[kept])


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
        values = _correlations(picture, row, other, found.view) * np.where(is_inverted, -1, 1)
        for place in np.flatnonzero(values >= CORRELATION):
            lower, upper = sorted((int(row[place]), int(other[place])))
            words = WORDS[found.view] + (", inverted" if is_inverted[place] else "")
            yield Pair(lower, upper, words, int(found.distance[part][place]), float(values[place]))


def _correlations(picture: Picture, row: Rows, other: Rows, view: View) -> Floats:
    """Pearson's correlation of the details of each row and of its other one turned to `view`."""
    rows, place = np.unique(np.concatenate([row, other]), return_inverse=True)
    known = np.stack([details(picture(int(each))) for each in rows])
    ours, theirs = known[place[: len(row)]], turned(known, view)[place[len(row) :]]
    result: Floats = np.einsum("nij,nij->n", ours, theirs)
    return result


def details(picture: npt.NDArray[np.uint8]) -> Floats:
    """What a blurred copy lacks of a picture, uint8 [H, W]: float32 [64, 64] with mean 0 and length 1, or all 0."""
    small = scaled(picture.astype(np.float32), _SIDE, _SIDE)
    found: Floats = np.asarray(small - cv2.GaussianBlur(small, (0, 0), _BLUR), np.float32)
    found = found - found.mean()
    length = float(np.linalg.norm(found))
    return found / length if length > 0 else found
