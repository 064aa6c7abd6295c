import threading
import time

import numpy as np
import pytest
import torch

from murace.data.loading.batches import Images
from murace.data.loading.stream import DEPTH, _pages, read_ahead
from tests.listener import Listener

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 255, (50, 6, 6), dtype=np.uint8)


def rows(*sizes: int) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.integers(0, len(PIXELS), size) for size in sizes]


def test_batches_come_in_order_and_stay_as_they_were() -> None:
    wanted = rows(4, 4, 1, 4, 2, 4, 4, 3)
    got = list(read_ahead(PIXELS, wanted, CPU))  # all kept: a buffer that is used again must not change them
    assert len(got) == len(wanted) > 2 * DEPTH
    for batch, chosen in zip(got, wanted, strict=True):
        assert torch.equal(batch, torch.from_numpy(PIXELS[chosen]))


def test_no_batches_is_no_batches() -> None:
    assert list(read_ahead(PIXELS, [], CPU)) == []


class Broken(np.ndarray):
    """An array on a disk that fails at the third batch."""

    def take(self, *given: object, **more: object) -> np.ndarray:
        if len(given[0]) == 3:
            raise OSError(5, "Input/output error")
        return np.asarray(self).take(*given, **more)


def test_what_goes_wrong_in_the_background_is_raised_where_the_batch_is_waited_for() -> None:
    stream = read_ahead(PIXELS.view(Broken), rows(4, 4, 3, 4), CPU)
    assert len(next(stream)) == len(next(stream)) == 4
    with pytest.raises(OSError, match="Input/output error"):
        next(stream)
    assert not _readers()


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_leaving_early_ends_the_thread() -> None:
    stream = read_ahead(PIXELS, rows(*[4] * 100), CPU)
    next(stream)
    assert _readers()
    stream.close()
    assert not _readers()


def test_it_reads_ahead_but_not_without_bound() -> None:
    seen = []

    class Counting(np.ndarray):
        def take(self, *given: object, **more: object) -> np.ndarray:
            seen.append(len(given[0]))
            return np.asarray(self).take(*given, **more)

    stream = read_ahead(PIXELS.view(Counting), rows(*[4] * 20), CPU)
    next(stream)
    deadline = time.monotonic() + 10
    while len(seen) < DEPTH and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert DEPTH <= len(seen) <= DEPTH + 2
    stream.close()


def test_streamed_batches_have_the_same_numbers_as_gathered_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images(PIXELS, np.arange(50), CPU)
    wanted = rows(4, 4, 2)
    gathered = [images.gather(torch.from_numpy(chosen)) for chosen in wanted]
    monkeypatch.setattr(Images, "streams", True)
    for streamed, expected in zip(images.batches(wanted), gathered, strict=True):
        assert torch.equal(streamed, expected)


@pytest.mark.parametrize(
    "refusal", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: out of memory\nmore")], ids=repr
)
def test_where_no_memory_can_be_locked_ordinary_memory_does_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    reporter, locked, real = Listener(), list[bool](), torch.empty

    def empty(shape: tuple[int, ...], *, dtype: torch.dtype, pin_memory: bool = False) -> torch.Tensor:
        locked.append(pin_memory)
        if pin_memory:
            raise refusal
        return real(shape, dtype=dtype)

    monkeypatch.setattr(torch, "empty", empty)
    is_locked = True
    for _ in range(3):
        pages, is_locked = _pages((2, 6, 6), is_locked, reporter)
        assert (pages.shape, pages.dtype) == ((2, 6, 6), torch.uint8)
    assert locked == [True, False, False, False]
    assert reporter.warnings == ["the system locks no more memory (see ulimit -l): images go to the GPU more slowly"]
    monkeypatch.setattr(torch, "empty", lambda *given, **more: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        _pages((2, 6, 6), is_locked=True, reporter=reporter)


@pytest.mark.parametrize("how", ["no room", "refused", "room"])
def test_images_that_a_gpu_has_no_room_for_are_streamed_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def settle(images: Images, rows: np.ndarray) -> None:
        images.resident = torch.zeros(1)
        if how == "refused":
            raise torch.OutOfMemoryError("CUDA out of memory")

    reporter, gpu = Listener(), torch.device("cuda:0")
    monkeypatch.setattr("murace.data.loading.batches._fits", lambda num_bytes, device: how != "no room")
    monkeypatch.setattr(Images, "_settle", settle)
    images = Images(PIXELS, np.arange(50), gpu, reporter)
    assert images.streams is (how != "room")
    story = "the images (0.0 GB) do not fit into the GPU's memory: they are read from the disk, which may be slower"
    assert reporter.warnings == ([] if how == "room" else [story])
