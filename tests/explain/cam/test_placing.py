import numpy as np
import pytest
import torch

from murace.explain.cam import grid_over_original, over_original


def test_a_padded_map_is_cut_back_to_the_original() -> None:
    heat = np.zeros((4, 4))
    heat[:, 1:3] = 1.0  # the middle half: where a picture half as wide as high lies
    laid = over_original(heat, width=50, height=100, fit="pad")
    assert laid.shape == (100, 50)
    assert laid[:, 13:37].min() == 1.0
    assert over_original(heat, width=50, height=100, fit="squash") is heat


@pytest.mark.parametrize(("width", "height"), [(373, 454), (40, 31), (7, 5)])
def test_a_map_is_enlarged_as_torch_would_and_cut(width: int, height: int) -> None:
    heat = np.random.default_rng(0).normal(size=(8, 8))
    side = max(width, height)
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(heat)[None, None], size=(side, side), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    top, left = (side - height) // 2, (side - width) // 2
    laid = over_original(heat, width=width, height=height, fit="pad")
    assert np.allclose(laid, enlarged[top : top + height, left : left + width], atol=1e-4)


@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (200, 200)])
def test_the_grids_peak_is_where_the_maps_strongest_cell_lies_over_the_original(
    fit: str, width: int, height: int
) -> None:
    heat = np.zeros((5, 5))
    row, column = 2, 3  # its centre, in shares of the square
    if fit == "pad" and height > width:
        row, column = 3, 2
    heat[row, column] = 4.0
    grid, inner = grid_over_original(heat, width=width, height=height, fit=fit)
    assert inner.flat[grid.argmax()] == 1
    y, x = np.unravel_index(grid.argmax(), grid.shape)
    found = (x + 0.5) / grid.shape[1] * width, (y + 0.5) / grid.shape[0] * height
    side = max(width, height)
    scale = (side, side) if fit == "pad" else (width, height)
    expected = [
        (cell + 0.5) / 5 * length - (length - own) / 2
        for cell, length, own in zip((column, row), scale, (width, height), strict=True)
    ]
    assert np.allclose(found, expected, atol=side / 100)


def test_beyond_the_centres_of_the_outermost_cells_there_is_no_peak() -> None:
    heat = np.array([[9.0, 0.0], [0.0, 0.0]])
    grid, inner = grid_over_original(heat, width=64, height=64, fit="squash", side=64)
    assert inner[16:48, 16:48].all()
    assert not inner[:15].any()
    assert not inner[:, 49:].any()
    y, x = np.unravel_index(np.where(inner > 0, grid, -np.inf).argmax(), grid.shape)
    assert (abs(y - 15.5), abs(x - 15.5)) <= (0.5, 0.5)


def test_a_map_of_one_cell_and_a_thin_original_still_have_somewhere_to_peak() -> None:
    for heat in (np.ones((1, 1)), np.ones((4, 4))):
        grid, inner = grid_over_original(heat, width=4000, height=30, fit="pad")
        assert grid.shape == inner.shape
        assert inner.any()
