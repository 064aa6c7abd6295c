"""A small source whose every byte, size and time is under control: a manifest of 18 pictures in two groups."""

import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.data.files import SIGNATURE, chunk, raw_png

SIDE = 8
SPLITS = ("train", "train", "validation", "test")  # per group and label
SPARE = ("elbow-spare.png", "wrist-spare.png")  # training images that the classes can do without
GROUPS = ("elbow", "wrist")
BROKEN = -1
SECOND = 10**9
Rows = tuple[tuple[str, int, str, str, str, str], ...]


@dataclass(frozen=True)
class Seen:
    """All that a run of `prepare` can see: the manifest's rows, each picture's content, and the note of synthesis."""

    rows: Rows
    contents: tuple[tuple[str, int], ...]
    synthetic: bool


def names() -> dict[str, tuple[str, int, str]]:
    """Picture -> group, label, split."""
    found = {
        f"{group}-{label}-{number}.png": (group, label, split)
        for group in GROUPS
        for label in (0, 1)
        for number, split in enumerate(SPLITS)
    }
    return found | {name: (name.partition("-")[0], 0, "train") for name in SPARE}


def picture(content: int) -> bytes:
    """A file of always the same size; one that is broken has a header and nothing behind it that could be read."""
    grey = np.random.default_rng(content & 0xFFFF).integers(0, 256, (SIDE, SIDE + 2), dtype=np.uint8)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in grey), 0)
    if content == BROKEN:
        body = bytes(len(body))
    data = raw_png(SIDE + 2, SIDE, 8, 0, chunk(b"IDAT", body))
    assert data.startswith(SIGNATURE)
    return data


def write_source(folder: Path, seen: Seen) -> Path:
    """The source as files, at no time in particular; returns its manifest."""
    folder.mkdir(parents=True)
    for name, content in seen.contents:
        (folder / name).write_bytes(picture(content))
    if seen.synthetic:
        (folder / "SYNTHETIC.txt").touch()
    return write_manifest(folder, seen.rows)


def write_manifest(folder: Path, rows: Rows) -> Path:
    lines = ["path,label,group,patient,study,split", *(",".join(map(str, row)) for row in rows)]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


@dataclass
class Source:
    """The source that the machine edits. `state` is what a cheap look sees of a file: its length and its time."""

    folder: Path
    now: int = 0
    contents: dict[str, int] = field(default_factory=dict)
    state: dict[str, tuple[int, int]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    flipped: set[str] = field(default_factory=set)
    synthetic: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        for number, name in enumerate(names()):
            self.put(name, number)
        self.list()

    def put(self, name: str, content: int, *, keeps_time: bool = False) -> None:
        """Another content in a picture's place, its time moved on or not."""
        data, path = picture(content), self.folder / name
        if not keeps_time:
            self.now += 1
        time = self.state[name][1] if keeps_time else self.now * SECOND
        path.write_bytes(data)
        os.utime(path, ns=(time, time))
        self.contents[name], self.state[name] = content, (len(data), time)

    def list(self) -> None:
        """Write the manifest and the note beside it."""
        write_manifest(self.folder, self.rows)
        note = self.folder / "SYNTHETIC.txt"
        if self.synthetic:
            note.touch()
        else:
            note.unlink(missing_ok=True)

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    @property
    def rows(self) -> Rows:
        found = []
        for number, (name, (group, label, split)) in enumerate(sorted(names().items())):
            if name not in self.left_out:
                flipped = 1 - label if name in self.flipped else label
                found.append((name, flipped, group, f"p{number}", f"p{number}/s1", split))
        return tuple(found)

    @property
    def listing(self) -> tuple[Rows, bool]:
        """What the manifest and its place say, before any picture is opened."""
        return self.rows, self.synthetic
