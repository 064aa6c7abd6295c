"""Whatever was done to a file on its way, it is refused, and before anything in it is understood."""

import io
import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from murace.errors import WorkspaceError
from murace.inference.bundle import layout
from murace.inference.bundle import open as opening
from murace.inference.bundle.open import is_bundle, open_bundle
from murace.inference.bundle.write import write_bundle
from tests.inference.bundle.made_up import manifest, pack, sources, write

GROUPS = ("elbow", "wrist")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    write(tmp_path / "a.murace", GROUPS)
    return tmp_path / "a.murace"


def refused(path: Path, data: bytes | None = None) -> str:
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(WorkspaceError) as caught:
        open_bundle(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_read_and_any_unzip_can_read_it_too(made: Path) -> None:
    opened = open_bundle(made)
    assert opened.manifest == manifest(GROUPS)
    assert {name: opened.read(name) for name in sources(GROUPS)} == sources(GROUPS)
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", *sources(GROUPS)]
        assert {name: archive.read(name) for name in sources(GROUPS)} == sources(GROUPS)
        modes = {entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes == {stat.S_IFREG | 0o644}


def test_the_same_content_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert write(tmp_path / "b.murace", GROUPS) == made.read_bytes()
    assert write(tmp_path / "b.murace", ("elbow",)) != made.read_bytes()


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.murace"
    data = bytearray(write(path))
    for place in range(len(data)):
        for bit in range(8):
            data[place] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(WorkspaceError):
                open_bundle(path)
            data[place] ^= 1 << bit
    path.write_bytes(data)
    open_bundle(path)


def test_every_length_but_its_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.murace"
    data = write(path)
    for length in range(len(data)):
        refused(path, data[:length])
        refused(path, data[length + 1 :])
    for more in (b"\0", b"PK\5\6", data):
        assert "no file of murace export" in refused(path, data + more) or more is data
        refused(path, more + data)


def packed_anew(data: bytes, change: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]) -> bytes:
    """Read the zip and write it again by the standard library, as another tool would, with a change."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            change(new, entry, old.read(entry))
        new.comment = old.comment
    return target.getvalue()


def unchanged(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
    new.writestr(entry, data)


def added(name: str) -> Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]:
    def add(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
        new.writestr(entry, data)
        if entry.filename == "roster.json":
            new.writestr(zipfile.ZipInfo(name, entry.date_time), b"more")

    return add


def renamed(name: str) -> Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]:
    """The same number of bytes as `roster.json`, so that no length tells."""

    def rename(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
        if entry.filename == "roster.json":
            entry.filename = name
        new.writestr(entry, data)

    return rename


def compressed(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
    new.writestr(entry, data, zipfile.ZIP_DEFLATED)


def linked(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
    if entry.filename == "roster.json":
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    new.writestr(entry, data)


def bomb(new: zipfile.ZipFile, entry: zipfile.ZipInfo, data: bytes) -> None:
    is_it = entry.filename == "roster.json"
    new.writestr(entry, bytes(2**24) if is_it else data, zipfile.ZIP_DEFLATED if is_it else None)


CHANGES = {
    "an added file": added("virus.exe"),
    "an added folder": added("members/"),
    "a path upwards": added("../../etc/cron.d/x"),
    "an absolute path": added("/etc/passwd"),
    "a backslash": added("members\\x"),
    "an entry twice": added("roster.json"),
    "a name upwards": renamed("../ster.jso"),
    "a control character": renamed("roster.jso\1"),
    "compression": compressed,
    "a link": linked,
    "a bomb": bomb,
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_other_tools_can_do_to_a_zip_is_refused(
    made: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = packed_anew(made.read_bytes(), change)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *rest: pytest.fail("it was unpacked"))
    assert "is refused" in refused(made, data)


def test_the_changes_above_are_what_is_refused(made: Path) -> None:
    """The standard library writes the very same bytes where nothing is changed."""
    data = packed_anew(made.read_bytes(), unchanged)
    assert data == made.read_bytes()


def field(data: bytes, name: str, *, offset: int, value: bytes, central: bool) -> bytes:
    """Change a field in the header of `name`, in the directory or before its bytes."""
    mark, length = (b"PK\1\2", 46) if central else (b"PK\3\4", 30)
    (start,) = (
        at for at in range(len(data)) if data.startswith(mark, at) and data.startswith(name.encode(), at + length)
    )
    return data[: start + offset] + value + data[start + offset + len(value) :]


@pytest.mark.parametrize(
    ("central", "offset", "value"),
    [
        pytest.param(False, 6, struct.pack("<H", 1), id="encrypted"),
        pytest.param(True, 8, struct.pack("<H", 1), id="encrypted, says the directory"),
        pytest.param(False, 6, struct.pack("<H", 8), id="sizes after the bytes"),
        pytest.param(False, 8, struct.pack("<H", 8), id="compressed, says the header alone"),
        pytest.param(True, 10, struct.pack("<H", 8), id="compressed, says the directory alone"),
        pytest.param(True, 20, struct.pack("<2I", 2**32 - 1, 2**32 - 1), id="zip64"),
        pytest.param(True, 38, struct.pack("<I", 0o120777 << 16), id="a link"),
        pytest.param(True, 38, struct.pack("<I", 0x10), id="a folder"),
        pytest.param(True, 42, struct.pack("<I", 0), id="it overlaps another"),
        pytest.param(False, 28, struct.pack("<H", 4), id="an extra field"),
        pytest.param(True, 32, struct.pack("<H", 3), id="a comment"),
        pytest.param(False, 14, struct.pack("<I", 0), id="another CRC"),
    ],
)
def test_headers_that_lie_are_refused(made: Path, central: bool, offset: int, value: bytes) -> None:
    data = field(made.read_bytes(), "roster.json", offset=offset, value=value, central=central)
    assert any(word in refused(made, data) for word in ("header of roster.json", "directory"))


@pytest.mark.parametrize("name", ["roster\0json", "/oster.json", "..\\ter.json", "../ter.json", "members/son"])
def test_names_that_are_not_the_manifests_are_refused(made: Path, name: str) -> None:
    data = made.read_bytes()
    for central, offset in ((False, 30), (True, 46)):
        data = field(data, "roster.json", offset=offset, value=name.encode(), central=central)
    assert "header of roster.json" in refused(made, data)


def test_a_file_that_is_another_format_too_is_refused(made: Path) -> None:
    data = made.read_bytes()
    assert "does not begin with its manifest" in refused(made, b"%PDF-1.7\n" + data)
    assert "does not begin with its manifest" in refused(made, b"#!/bin/sh\n" + data)
    assert "is no file of murace export" in refused(made, data + b"</html>").replace("it is", "is")


def consistent(made: Path, change: Callable[[dict], object]) -> str:
    """A file whose digests are all right, with a manifest that says something else."""
    values = json.loads(manifest(GROUPS).dump())
    change(values)
    text = (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()
    return refused(made, pack(text, sources(GROUPS)))


def test_a_consistent_file_is_made_by_the_same_means(made: Path) -> None:
    assert pack(manifest(GROUPS).dump(), sources(GROUPS)) == made.read_bytes()


def test_a_manifest_that_its_digest_does_not_belong_to_is_refused(made: Path) -> None:
    data = made.read_bytes()
    assert "its manifest is damaged" in refused(made, data[:-64] + b"0" * 64)


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "Elbow", "overall", "", "x\0"])
def test_a_group_that_is_no_group_is_refused_though_its_files_fit(name: str) -> None:
    with pytest.raises(ValueError, match="a group's name is none"):
        manifest((name, "wrist"))


def test_other_bytes_with_the_right_check_sum_are_refused(made: Path) -> None:
    """A CRC-32 is easily matched; the SHA-256 is not."""
    parts = sources(GROUPS) | {"roster.json": b"<ROSTER.JSON>"}
    assert "roster.json in it is damaged" in refused(made, pack(manifest(GROUPS).dump(), parts))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda values: values.update(schema=2), id="a later schema"),
        pytest.param(lambda values: values.update(more=1), id="an unknown key"),
        pytest.param(lambda values: values.pop("fit"), id="a missing key"),
        pytest.param(lambda values: values.update(disclaimer="fine for patients"), id="no disclaimer"),
        pytest.param(lambda values: values.update(groups=[]), id="groups of another kind"),
        pytest.param(lambda values: values.update(groups={}), id="no group"),
        pytest.param(lambda values: values["groups"].update({"../x": values["groups"]["elbow"]}), id="a group upwards"),
        pytest.param(lambda values: values["groups"]["elbow"].update(learner="vgg"), id="an unknown learner"),
        pytest.param(lambda values: values["groups"]["elbow"].update(width=1e9), id="a giant"),
        pytest.param(lambda values: values["groups"]["elbow"].update(width=True), id="a width that is none"),
        pytest.param(lambda values: values["groups"]["elbow"].update(size=2**40), id="giant pictures"),
        pytest.param(lambda values: values["groups"]["elbow"].update(precision="int4"), id="an unknown precision"),
        pytest.param(lambda values: values["groups"]["elbow"].update(head="fc"), id="a head of another learner"),
        pytest.param(lambda values: values["groups"]["elbow"].pop("size"), id="a net without size"),
        pytest.param(lambda values: values.update(recogniser=None), id="no recogniser"),
        pytest.param(lambda values: values.update(fit="crop"), id="an unknown fit"),
        pytest.param(lambda values: values["data"].update(synthetic="no"), id="a word for yes or no"),
        pytest.param(lambda values: values["files"].pop(), id="a file too few"),
        pytest.param(lambda values: values["files"].append(values["files"][0]), id="a file twice"),
        pytest.param(lambda values: values["files"][0].update(name="../MODEL_CARD"), id="a file upwards"),
        pytest.param(lambda values: values["files"][0].update(size=2**50), id="a giant file"),
        pytest.param(lambda values: values["files"][0].update(size=-5), id="a negative size"),
        pytest.param(lambda values: values["files"][0].update(sha256="x"), id="no digest"),
        pytest.param(lambda values: values.update(murace="v" * 10**5), id="a long version"),
    ],
)
def test_a_consistent_file_that_says_what_cannot_be_is_refused(made: Path, change: Callable[[dict], object]) -> None:
    assert "manifest is not valid" in consistent(made, change)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[" * 10**5, b'{"schema": NaN}', b"1" * 10**5, b"\xff\xfe", manifest(GROUPS).dump() + b" "],
    ids=["nothing", "half", "nested", "nan", "a long number", "no text", "another form"],
)
def test_a_manifest_that_is_none_is_refused(made: Path, text: bytes) -> None:
    assert "manifest is not valid" in refused(made, pack(text, sources(GROUPS)))


def test_a_manifest_without_end_is_not_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "parse", lambda text: pytest.fail("it was parsed"))
    text = b" " * (layout.MAX_MANIFEST + 1)
    assert "does not begin with its manifest" in refused(made, pack(text, sources(GROUPS)))


def test_nothing_is_read_through_before_the_length_is_right(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that claims a gigabyte costs nothing."""
    values = json.loads(manifest(GROUPS).dump())
    values["files"][-1]["size"] = layout.MAX_FILE
    monkeypatch.setattr(opening, "_entry", lambda *rest: pytest.fail("it was read"))
    text = (json.dumps(values, indent=1, sort_keys=True) + "\n").encode()
    assert "something is missing or was added" in refused(made, pack(text, sources(GROUPS)))


def test_what_is_exchanged_after_opening_is_not_given_out(made: Path) -> None:
    opened = open_bundle(made)
    data = made.read_bytes()
    made.write_bytes(data.replace(b"<members/elbow", b"<members/ELBOW"))
    with pytest.raises(WorkspaceError, match="has changed since it was opened"):
        opened.read("members/elbow.safetensors")
    assert opened.read("roster.json") == b"<roster.json>"
    made.unlink()
    with pytest.raises(WorkspaceError, match="cannot be read any more"):
        opened.read("roster.json")


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.murace")
    assert "is not a file" in refused(tmp_path / "pipe.murace")
    assert "is not a file" in refused(tmp_path)
    assert "is missing" in refused(tmp_path / "nowhere.murace")
    assert "no file of murace export" in refused(tmp_path / "empty.murace", b"")


def test_ours_is_told_from_others_by_its_end(made: Path, tmp_path: Path) -> None:
    assert is_bundle(made)
    made.write_bytes(b"damaged" + made.read_bytes()[7:])
    assert is_bundle(made)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a", b"b")
    assert not is_bundle(tmp_path / "other.zip")
    assert not is_bundle(tmp_path)


def test_a_source_that_changes_while_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    parts = sources()
    source = tmp_path / "weights"
    source.write_bytes(b"other bytes")
    with pytest.raises(WorkspaceError, match=r"members/elbow\.safetensors changed while it was written"):
        write_bundle(tmp_path / "a.murace", manifest(), {**parts, "members/elbow.safetensors": source})
    assert list(tmp_path.iterdir()) == [source]
