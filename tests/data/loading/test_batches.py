import numpy as np
import pytest
import torch

from murace.data.loading.batches import Images, num_steps, order, sweep
from murace.errors import DataError


def test_order_is_a_permutation_keyed_by_seed_and_epoch() -> None:
    rows = np.array([4, 8, 15, 16, 23, 42])
    once = order(rows, seed=3, epoch=1)
    assert sorted(once) == sorted(rows)
    assert np.array_equal(once, order(rows, seed=3, epoch=1))
    many = np.arange(1000)
    assert not np.array_equal(order(many, seed=3, epoch=1), order(many, seed=3, epoch=2))
    assert not np.array_equal(order(many, seed=3, epoch=1), order(many, seed=4, epoch=1))


@pytest.mark.parametrize(("images", "batch", "steps"), [(64, 32, 2), (63, 32, 1), (5, 32, 1), (2, 2, 1), (7, 2, 3)])
def test_the_tail_is_dropped_and_a_small_set_is_one_batch(images: int, batch: int, steps: int) -> None:
    assert num_steps(images, batch) == steps


def test_one_image_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        num_steps(1, 32)


def test_gather_gives_the_rows_asked_for_in_zero_to_one() -> None:
    pixels = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
    batch = Images(pixels, np.array([1, 3]), torch.device("cpu")).gather(torch.tensor([3, 1]))
    assert batch.shape == (2, 1, 4, 4)
    assert torch.equal((batch * 255).round().to(torch.uint8)[:, 0], torch.from_numpy(pixels[[3, 1]]))


def test_sweep_sees_every_row_once() -> None:
    assert [part.tolist() for part in sweep(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]
