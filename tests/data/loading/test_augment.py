import math

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from murace.data.loading.augment import MAX_DEGREES, augment, draw, matrices, uniform

pytestmark = pytest.mark.kernels
ROWS = torch.arange(90_000)


def picture(size: int = 48) -> torch.Tensor:
    """A smooth, unsymmetrical picture [1, 1, H, H]: resampling errors then mean something."""
    axis = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return (0.2 + 0.5 * x * y + 0.3 * torch.sin(5 * x) ** 2 * (1 - y))[None, None]


def warp(image: torch.Tensor, operations: tuple[bool, bool, bool], degrees: float) -> torch.Tensor:
    matrix = matrices(torch.tensor([operations]), torch.tensor([math.radians(degrees)]))
    grid = torch.nn.functional.affine_grid(matrix, list(image.shape), align_corners=False)
    return torch.nn.functional.grid_sample(image, grid, padding_mode="zeros", align_corners=False)


@pytest.mark.parametrize("degrees", [-30.0, -7.5, 0.0, 12.0, 30.0])
@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_equals_torchvision_on_single_images(horizontal: bool, vertical: bool, degrees: float) -> None:
    image = picture()
    expected = v2.functional.horizontal_flip(image) if horizontal else image
    expected = v2.functional.vertical_flip(expected) if vertical else expected
    expected = v2.functional.rotate(expected, degrees, interpolation=InterpolationMode.BILINEAR)
    ours = warp(image, (horizontal, vertical, True), degrees)
    inside = (slice(None), slice(None), slice(6, -6), slice(6, -6))  # torchvision blends the rim differently
    assert float((ours - expected)[inside].abs().max()) < 2e-5


def test_flips_alone_move_pixels_and_change_none() -> None:
    image = picture()
    assert torch.allclose(warp(image, (True, False, False), 20), image.flip(3), atol=1e-6)
    assert torch.allclose(warp(image, (False, True, False), 20), image.flip(2), atol=1e-6)


def test_each_subset_is_as_likely_as_the_paper_says() -> None:
    operations, _ = draw(ROWS, seed=0, epoch=1)
    code = operations.long() @ torch.tensor([4, 2, 1])
    share = np.bincount(code.numpy(), minlength=8) / len(ROWS)
    expected = np.array([0, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 3])
    assert np.abs(share - expected).max() < 4 * math.sqrt(0.25 / len(ROWS))


def test_angles_are_uniform() -> None:
    _, radians = draw(ROWS, seed=0, epoch=1)
    degrees = torch.rad2deg(radians).double().sort().values
    assert degrees.abs().max() <= MAX_DEGREES + 1e-4
    uniform_cdf = (degrees + MAX_DEGREES) / (2 * MAX_DEGREES)
    distance = (uniform_cdf - torch.linspace(0, 1, len(degrees))).abs().max()  # Kolmogorov and Smirnov's
    assert float(distance) < 1.63 / math.sqrt(len(degrees))  # p = 0.01


def test_what_an_image_gets_depends_on_seed_epoch_and_image_alone() -> None:
    images = torch.rand(6, 1, 32, 32)
    rows = torch.tensor([5, 3, 900, 17, 0, 40_000])
    whole = augment(images, rows, seed=7, epoch=3)
    order = torch.tensor([4, 1, 0])
    part = augment(images[order], rows[order], seed=7, epoch=3)
    assert torch.equal(part, whole[order])
    assert not torch.equal(augment(images, rows, seed=8, epoch=3), whole)
    assert not torch.equal(augment(images, rows, seed=7, epoch=4), whole)


def test_hashed_numbers_are_uncorrelated_between_epochs_rows_and_streams() -> None:
    rows = ROWS[:20_000]
    base = uniform(rows, seed=1, epoch=1, stream=0).double()
    others = [
        uniform(rows, seed=1, epoch=2, stream=0),
        uniform(rows, seed=2, epoch=1, stream=0),
        uniform(rows, seed=1, epoch=1, stream=1),
        uniform(rows + 1, seed=1, epoch=1, stream=0),
    ]
    for other in others:
        assert abs(float(torch.corrcoef(torch.stack((base, other.double())))[0, 1])) < 4 / math.sqrt(len(rows))
