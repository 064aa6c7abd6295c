"""Every measure once more, pixel by pixel, in plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.metrics.localisation import THRESHOLDS, centre_prior, chance, energy, grown, inside, overlaps, pointing

ONE = np.array([[0.25, 0.5, 0.25, 0.25]])  # x 0.25 to 0.5, y 0.5 to 0.75


def in_a_box(row: int, column: int, shape: tuple[int, int], boxes: np.ndarray, margin: float = 0.0) -> bool:
    y, x = (row + 0.5) / shape[0], (column + 0.5) / shape[1]
    return any(
        left - margin <= x <= left + width + margin and top - margin <= y <= top + height + margin
        for left, top, width, height in boxes.tolist()
    )


def cells(shape: tuple[int, int]) -> list[tuple[int, int]]:
    return [(row, column) for row in range(shape[0]) for column in range(shape[1])]


def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A map with ties, and boxes of which each holds the centre of a cell at least."""
    generator = np.random.default_rng(seed)
    grid = generator.integers(-5, 6, (13, 11)).astype(np.float64)
    corner = generator.uniform(0, 0.7, (3, 2))
    return grid, np.hstack([corner, generator.uniform(0.1, 0.3, (3, 2))])


@pytest.mark.parametrize("seed", range(20))
def test_every_measure_is_what_loops_over_pixels_say(seed: int) -> None:
    grid, boxes = made(seed)
    shape = grid.shape
    peaks = [cell for cell in cells(shape) if grid[cell] == grid.max()]
    for margin in (0.0, 0.08):
        hits = [in_a_box(*cell, shape, boxes, margin) for cell in peaks]
        assert pointing(grid, boxes, margin=margin) == pytest.approx(sum(hits) / len(peaks))
    positive = {cell: max(grid[cell], 0) for cell in cells(shape)}
    within = sum(value for cell, value in positive.items() if in_a_box(*cell, shape, boxes))
    assert energy(grid, boxes) == pytest.approx(within / sum(positive.values()))
    for threshold, found in zip(THRESHOLDS, overlaps(grid, boxes), strict=True):
        drawn = {cell for cell in cells(shape) if grid[cell] >= threshold * grid.max()}
        covered = {cell for cell in cells(shape) if in_a_box(*cell, shape, boxes)}
        assert found == pytest.approx(len(drawn & covered) / len(drawn | covered))
    blind = [in_a_box(*cell, (64, 64), boxes, 0.08) for cell in cells((64, 64))]
    assert chance(boxes, side=64) == pytest.approx(np.mean(blind))


def test_a_peak_counts_up_to_the_margin_and_not_beyond() -> None:
    for x, hit in ((0.18, 1), (0.16, 0), (0.57, 1), (0.59, 0)):
        grid = np.zeros((100, 100))
        grid[60, round(x * 100)] = 1
        assert pointing(grid, ONE) == hit
        assert pointing(grid, ONE, margin=0) == 0
    grid = np.zeros((100, 100))
    grid[60, 30] = 1
    assert pointing(grid, ONE, margin=0) == 1


def test_a_flat_map_scores_as_pointing_blindly_does() -> None:
    flat = np.full((64, 64), -3.0)
    assert pointing(flat, ONE) == pytest.approx(chance(ONE, side=64))
    assert energy(flat, ONE) == 0
    assert not overlaps(flat, ONE).any()
    assert not overlaps(np.zeros((64, 64)), ONE).any()  # nothing is drawn, rather than everything


def test_a_peak_is_looked_for_where_it_may_lie() -> None:
    grid = np.zeros((4, 4))
    grid[0, 0], grid[2, 1] = 9, 1
    inner = np.ones((4, 4))
    inner[0] = 0
    assert pointing(grid, ONE) == 0
    assert pointing(grid, ONE, inner=inner) == 1


def test_a_box_between_the_centres_of_all_cells_has_the_nearest() -> None:
    tiny = np.array([[0.30, 0.55, 0.001, 0.002]])
    covered = inside(tiny, (4, 4))
    assert covered.sum() == 1
    assert covered[2, 1]


def test_a_perfect_map_is_perfect() -> None:
    perfect = inside(ONE, (64, 64)).astype(np.float64)
    assert energy(perfect, ONE) == 1
    assert overlaps(perfect, ONE).tolist() == [1] * len(THRESHOLDS)


def test_the_centre_prior_peaks_in_the_centre_and_is_the_same_both_ways() -> None:
    prior = centre_prior((51, 101))
    assert np.unravel_index(prior.argmax(), prior.shape) == (25, 50)
    assert np.allclose(prior, prior[::-1, ::-1])
    assert prior[25, 50 + 25] == pytest.approx(np.exp(-0.5), abs=0.02)  # a quarter of the side from the centre


@given(st.integers(0, 10_000), st.floats(0.01, 50))
@settings(max_examples=30, deadline=None)
def test_no_measure_depends_on_the_maps_scale_or_on_the_order_of_boxes(seed: int, factor: float) -> None:
    grid, boxes = made(seed)
    grid = grid + np.random.default_rng(seed).normal(scale=0.1, size=grid.shape)  # none on a threshold
    for measure in (pointing, energy, overlaps):
        assert np.allclose(measure(grid * factor, boxes[::-1]), measure(grid, boxes))
        assert np.allclose(measure(grid[:, ::-1], mirrored(boxes)), measure(grid, boxes))


def mirrored(boxes: np.ndarray) -> np.ndarray:
    return np.stack([1 - boxes[:, 0] - boxes[:, 2], *boxes[:, 1:].T], axis=1)


def test_growing_adds_the_margin_on_each_side() -> None:
    assert np.allclose(grown(ONE, 0.08), [[0.17, 0.42, 0.41, 0.41]])
