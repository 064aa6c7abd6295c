import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.ingest import pixelfile


@pytest.fixture
def full(tmp_path):
    pixelfile.create(tmp_path / "full.npy", 20, 3)
    array = np.lib.format.open_memmap(tmp_path / "full.npy", mode="r+")
    array[:] = np.arange(20 * 9).reshape(20, 3, 3)
    array.flush()
    return tmp_path / "full.npy"


def test_it_is_an_ordinary_npy_file_of_full_length_from_the_start(tmp_path):
    pixelfile.create(tmp_path / "new.npy", 5, 4)
    array = np.load(tmp_path / "new.npy", mmap_mode="r", allow_pickle=False)
    assert (array.shape, array.dtype, int(array.max())) == ((5, 4, 4), np.uint8, 0)
    assert pixelfile.shape_of(tmp_path / "new.npy") == (5, 4, 4)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 19), min_size=1, max_size=19))
def test_the_kept_rows_alone_are_placed_in_order(tmp_path_factory, kept):
    folder = tmp_path_factory.mktemp("rows")
    pixelfile.create(folder / "full.npy", 20, 3)
    array = np.lib.format.open_memmap(folder / "full.npy", mode="r+")
    array[:] = np.arange(20 * 9).reshape(20, 3, 3)
    array.flush()
    pixelfile.place(folder / "full.npy", folder / "pixels.npy", sorted(kept))
    assert np.array_equal(np.load(folder / "pixels.npy"), array[sorted(kept)])


def test_the_whole_array_is_moved_not_copied(full):
    inode = full.stat().st_ino
    pixelfile.place(full, full.with_name("pixels.npy"), range(20))
    assert full.with_name("pixels.npy").stat().st_ino == inode


def test_a_file_that_is_too_short_has_no_shape(full):
    full.write_bytes(full.read_bytes()[:-1])
    assert pixelfile.shape_of(full) is None
    assert pixelfile.shape_of(full.with_name("none.npy")) is None
