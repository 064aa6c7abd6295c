"""The paper's augmentation on whole batches, where the net is: one affine resampling, drawn per image.

Each image gets one to three distinct operations of {horizontal flip, vertical flip, rotation uniform in +-30 degrees}.
What it gets is a function of (seed, epoch, image), not of history: a counter is hashed, no generator is advanced.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_DEGREES = 30.0
CELLS = 9  # equally likely: three single operations, three pairs, and all three at once three times
# The cells in which each operation is done, as bits: horizontal, vertical, rotation. No table: that would be copied to
# the GPU at every step, which waits, and which a captured graph cannot do.
HORIZONTAL, VERTICAL, ROTATION = 0b111011001, 0b111101010, 0b111110100


def augment(images: Tensor, rows: Tensor, *, seed: int, epoch: int | Tensor) -> Tensor:
    """Flip and rotate a batch; bilinear, zero outside.

    Args:
        images: float [B, 1, H, H] in 0..1.
        rows: int64 [B], each image's row in the index.
        seed: the run's seed.
        epoch: counted from 1; a tensor inside a captured graph.

    Returns:
        Tensor [B, 1, H, H].
    """
    operations, radians = draw(rows, seed=seed, epoch=epoch)
    grid = F.affine_grid(matrices(operations, radians), list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def draw(rows: Tensor, *, seed: int, epoch: int | Tensor) -> tuple[Tensor, Tensor]:
    """Which operations each image gets, bool [B, 3], and its angle in radians, float32 [B]."""
    cell = (uniform(rows, seed=seed, epoch=epoch, stream=0) * CELLS).long().clamp_(max=CELLS - 1)
    chosen = [(torch.full_like(cell, bits) >> cell) & 1 for bits in (HORIZONTAL, VERTICAL, ROTATION)]
    degrees = (uniform(rows, seed=seed, epoch=epoch, stream=1) * 2 - 1) * MAX_DEGREES
    return torch.stack(chosen, dim=1).bool(), torch.deg2rad(degrees)


def matrices(operations: Tensor, radians: Tensor) -> Tensor:
    """The affine maps from output to input positions, float32 [B, 2, 3].

    A positive angle turns the picture counter-clockwise. Flips and rotation commute up to the angle's sign, whose
    distribution is symmetric, so one order stands for every sequence.
    """
    horizontal, vertical, rotated = operations.unbind(1)
    angle = torch.where(rotated, radians, torch.zeros_like(radians))
    sign_x, sign_y = 1 - 2 * horizontal.float(), 1 - 2 * vertical.float()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    across = torch.stack((sign_x * cos, -sign_x * sin, zero), dim=1)
    down = torch.stack((sign_y * sin, sign_y * cos, zero), dim=1)
    return torch.stack((across, down), dim=1)


def uniform(rows: Tensor, *, seed: int, epoch: int | Tensor, stream: int) -> Tensor:
    """A number in [0, 1) for each row, float32 [B], hashed from (seed, epoch, row, stream)."""
    state = _mix(torch.full_like(rows, seed) + stream * _GOLDEN)
    state = _mix(state ^ (torch.zeros_like(rows) + epoch))
    state = _mix(state ^ rows)
    return _shift(state, 40).float() * 2.0**-24


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014) in wrapping int64 arithmetic."""
    x = x + _GOLDEN
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift right: torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
