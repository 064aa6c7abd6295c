import errno
import os
import stat
from pathlib import Path

import pytest

from murace.errors import MachineError, WorkspaceError
from murace.system import files


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(KeyError), files.atomic(path) as file:  # noqa: PT012 - the block is the point
        file.write(b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208


def test_private_files_are_for_their_owner(tmp_path: Path) -> None:
    files.write_text(tmp_path / "ids.csv", "x", mode=files.PRIVATE)
    assert stat.S_IMODE((tmp_path / "ids.csv").stat().st_mode) == 0o600


def test_a_full_disk_is_a_machine_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    files.write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="disk full while writing"):
        files.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_damaged_json_is_a_workspace_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(WorkspaceError, match="damaged"):
        files.read_json(tmp_path / "a.json")


def test_sweep_removes_what_a_kill_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.tmp.77.abc").write_text("half")
    (tmp_path / "a.txt").write_text("whole")
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_digest_ignores_the_order_of_keys() -> None:
    assert files.digest_of({"a": 1, "b": [1, 2]}) == files.digest_of({"b": [1, 2], "a": 1})
    assert files.digest_of({"a": 1}) != files.digest_of({"a": 2})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "a": 2}', "a key is there twice"),
        ('{"b": [{"a": 1, "a": 1}]}', "a key is there twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("[Infinity]", "Infinity is no number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 10_000, "digits"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"\x80\x04K\x01.", "not UTF-8"),
        ("", "Expecting value"),
    ],
)
def test_json_that_could_be_read_in_two_ways_is_none(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        files.parse_json(text)
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(WorkspaceError, match="damaged"):
        files.read_json(tmp_path / "a.json")


def test_json_without_end_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_JSON", 10)
    (tmp_path / "a.json").write_text('["123456789"]')
    with pytest.raises(WorkspaceError, match="too long"):
        files.read_json(tmp_path / "a.json")
