"""Cases 23 to 26: names that are no plain text, files that are no files, and files that cannot be read or change."""

import os
import socket
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.corpus.case import CARRIED, MADE, REFUSED, Case, carrier, prepare, rejected
from tests.corpus.images import whole

HOSTILE = {"a newline": "a\nb.png", "an escape": "a\x1b[31mb.png", "a mark": "a\u202egnp.b", "a tab": "a\tb.png"}
LONG = "x" * 251 + ".png"
BEYOND = "x" * 252 + ".png"
ACCENT = "b\u00e9b\u00e9.png"


def listed(folder: Path, name: str, data: bytes | None = None, row: str = "{},1,train") -> Sequence[object]:
    """The carrier with one more row, and the file that it names where there is data."""
    quoted = '"' + name.replace('"', '""') + '"'
    manifest = carrier(folder, row.format(quoted))
    if data is not None:
        (folder / "source" / name).write_bytes(data)
    return prepare(manifest)


def says(reason: str, name: str = "") -> Any:
    """A look into `rejected.csv`: one row, for this reason."""

    def look(folder: Path, answer: dict[str, Any]) -> None:
        ((path, found),) = rejected(folder)
        assert found == reason
        assert path == (name or path)

    return look


def kept(folder: Path, answer: dict[str, Any]) -> None:
    """All were taken."""
    assert (answer["images"], answer["rejected"]) == (CARRIED + 1, 0)


def invalid_in_csv(folder: Path) -> Sequence[object]:
    """A name that is no UTF-8, in the csv and on the disk."""
    name = b"a\xffb.png"
    manifest = carrier(folder, os.fsdecode(name) + ",1,train")
    Path(os.fsdecode(os.fsencode(folder / "source") + b"/" + name)).write_bytes(whole())
    return prepare(manifest)


def twins(column: str) -> Any:
    """Two spellings of one name: é as one character, and as e with an accent."""

    def build(folder: Path) -> Sequence[object]:
        names = [unicodedata.normalize(form, ACCENT) for form in ("NFC", "NFD")]
        rows = [f"{name if column == 'path' else f'p{place}.png'},{{}}" for place, name in enumerate(names)]
        ids = names if column != "path" else ["one", "two"]
        given = [row.format(f"1,train,{id_}") for row, id_ in zip(rows, ids, strict=True)]
        manifest = carrier(folder, *given, header="path,label,split,patient", row="{path},{label},{split},p{number}")
        for row in given:
            (folder / "source" / row.split(",")[0]).write_bytes(whole())
        return prepare(manifest)

    return build


def linked(target: str, *, to: str = "odd.png", inner: str = "odd.png") -> Any:
    """The listed file is reached by a link."""

    def build(folder: Path) -> Sequence[object]:
        words = listed(folder, inner)
        (folder / "outside").mkdir()
        (folder / "outside" / "x.png").write_bytes(whole())
        (folder / "source" / to).symlink_to(target)
        return words

    return build


def hard_linked(folder: Path) -> Sequence[object]:
    """One file under two names."""
    words = listed(folder, "odd.png")
    (folder / "source/odd.png").hardlink_to(folder / "source/good01.png")
    return words


def special(kind: int) -> Any:
    """The listed file is a pipe, a socket or a device: opened, it might never answer, or never end."""

    def build(folder: Path) -> Sequence[object]:
        words, path = listed(folder, "odd.png"), folder / "source/odd.png"
        if kind == stat.S_IFSOCK:
            with socket.socket(socket.AF_UNIX) as end:  # a short name: a socket's may have 107 bytes
                end.bind("source/odd.png")
            return words
        try:
            os.mknod(path, kind | 0o600, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            os.mkfifo(path)
        return words

    return build


def piped_csv(folder: Path) -> Sequence[object]:
    """A MURA folder whose csv file is a pipe."""
    from tests.data.files import make_mura

    make_mura(folder / "source", patients=2)
    (folder / "source/train_image_paths.csv").unlink()
    os.mkfifo(folder / "source/train_image_paths.csv")
    return prepare("source")


def piped_manifest(folder: Path) -> Sequence[object]:
    """A manifest that is a pipe."""
    os.mkfifo(folder / "manifest.csv")
    return prepare("manifest.csv")


def endless_csv(folder: Path) -> Sequence[object]:
    """A MURA folder whose csv file never ends."""
    from tests.data.files import make_mura

    make_mura(folder / "source", patients=2)
    (folder / "source/train_image_paths.csv").unlink()
    (folder / "source/train_image_paths.csv").symlink_to("/dev/zero")
    return prepare("source")


def piped_pattern(folder: Path) -> Sequence[object]:
    """The folder above the source holds a pipe, which a row names."""
    words = listed(folder, "../pipe.png")
    os.mkfifo(folder / "pipe.png")
    return words


OUT, CIRCLE = "a link that leads out of the source", "a link that leads in a circle"
IRREGULAR = "not a regular file"
COUNT = f"1 of {CARRIED + 1} radiographs cannot be used"
LINE = CARRIED + 2  # where the carrier's csv has its first further row

NAMES = [
    *(
        Case(
            number=f"23{letter}", name=name, build=lambda folder, text=text: listed(folder, text),
            says=rf"manifest\.csv: a path that cannot be used; .* \(line {LINE}: a control character",
        )
        for letter, (name, text) in zip("abcd", HOSTILE.items(), strict=True)
    ),
    Case(
        number="23e", name="255 bytes", build=lambda folder: listed(folder, LONG, whole()),
        exit_code=0, leaves=MADE, check=kept,
    ),
    Case(
        number="23f", name="256 bytes", build=lambda folder: listed(folder, BEYOND),
        says=COUNT, leaves=REFUSED, check=says("cannot be read: File name too long"),
    ),
    Case(number="23g", name="no UTF-8", build=invalid_in_csv, says=r"manifest\.csv is not a UTF-8 csv file"),
    Case(
        number="23h", name="an accent", build=lambda folder: listed(folder, ACCENT, whole()),
        exit_code=0, leaves=MADE, check=kept,
    ),
    Case(
        number="23i", name="twin paths", build=twins("path"),
        says="one name in two Unicode spellings, as path: b.b.\\.png",
    ),
    Case(
        number="23j", name="twin patients", build=twins("patient"), exit_code=0, leaves=MADE,
        says=r"column patient: ids that .* are read as one: 1, for example 'be\\u0301be\\u0301.png' and 'b\\xe9b",
    ),
    Case(
        number="24a", name="a link to passwd", build=linked("/etc/passwd"),
        says=COUNT, leaves=REFUSED, check=says(OUT, "odd.png"),
    ),
    Case(number="24b", name="a loop", build=linked("odd.png"), says=COUNT, leaves=REFUSED, check=says(CIRCLE)),
    Case(
        number="24c", name="a folder out", build=linked("../outside", to="in", inner="in/x.png"),
        says=COUNT, leaves=REFUSED, check=says(OUT),
    ),
    Case(number="24d", name="a link inside", build=linked("good01.png"), exit_code=0, leaves=MADE, check=kept),
    Case(number="24e", name="a hard link", build=hard_linked, exit_code=0, leaves=MADE, check=kept),
    Case(number="24f", name="a pipe", build=special(stat.S_IFIFO), says=COUNT, leaves=REFUSED, check=says(IRREGULAR)),
    Case(number="24g", name="a device", build=special(stat.S_IFCHR), says=COUNT, leaves=REFUSED, check=says(IRREGULAR)),
    Case(
        number="24h", name="a socket", build=special(stat.S_IFSOCK), says=COUNT, leaves=REFUSED, check=says(IRREGULAR),
    ),
    Case(number="24i", name="a pipe as csv", build=piped_csv, says=r"train_image_paths\.csv is not a regular file"),
    Case(number="24j", name="a pipe as manifest", build=piped_manifest, says="manifest.csv is no source"),
    Case(
        number="24k", name="a csv without end", build=endless_csv, says=r"train_image_paths\.csv is not a regular file",
    ),
    Case(number="24l", name="a pipe outside", build=piped_pattern, says=rf"line {LINE}: '\.\.' in it"),
]  # fmt: skip
