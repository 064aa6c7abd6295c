import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from murace.errors import MachineError
from murace.system import disk
from murace.system.disk import disk_error, require_space, size
from murace.system.files import atomic, sync_folder, write_bytes

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("count", "told"),
    [(12, "12 bytes"), (1_200, "1.2 kB"), (99_999, "100.0 kB"), (800_000, "0.8 MB"), (3 * 10**9, "3.0 GB")],
)
def test_bytes_for_people(count: int, told: str) -> None:
    assert size(count) == told


def test_a_full_disk_says_what_is_needed_what_there_is_and_where(tmp_path: Path) -> None:
    told = str(disk_error(FULL, tmp_path / "a" / "b.csv", need=2_500_000, intact=True))
    pattern = r"disk full while writing (\S+): 2\.5 MB are needed and [0-9,.]+ [kMG]B are free on (/\S*); (.*)"
    found = re.fullmatch(pattern, told)
    assert found, told
    assert found[1] == str(tmp_path / "a" / "b.csv")
    assert Path(found[2]).is_mount()
    assert found[3] == "what stood there before is intact. Free some space and run the same command again"


def test_nothing_is_said_to_be_intact_where_nobody_knows(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        assert "intact" not in str(disk_error(OSError(number, os.strerror(number)), tmp_path))


def test_a_disk_that_no_longer_answers_is_still_reported(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", fail)
    assert "nothing is known of what is free" in str(disk_error(FULL, tmp_path / "x"))


def test_too_little_room_is_refused_before_anything_is_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_space", lambda _: 5_000_000)
    require_space(tmp_path, 5_000_000, "the images", "make room")
    with pytest.raises(MachineError, match=r"the images need 5\.0 MB in \S+ and 5\.0 MB are free on /\S*: make room"):
        require_space(tmp_path / "not" / "there", 5_000_001, "the images", "make room")


def test_a_write_that_fails_says_how_much_was_to_stand_there(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "a", b"old")

    def fsync(_: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(MachineError, match=r": 3\.0 MB are needed and .*; what stood there before is intact"):
        write_bytes(tmp_path / "a", bytes(3_000_000))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_after_the_rename_what_stood_there_before_is_not_intact(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert sync_folder is not fail
    monkeypatch.setattr("murace.system.files.sync_folder", fail)
    with pytest.raises(MachineError) as failed:
        write_bytes(tmp_path / "a", b"new")
    assert str(failed.value) == f"cannot write {tmp_path / 'a'}: {os.strerror(errno.EIO)}"
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_went_wrong_first_is_told_where_clearing_up_fails_too(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlink(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(TypeError, match="bytes-like"), atomic(tmp_path / "a") as pen:
        pen.write("no bytes")
