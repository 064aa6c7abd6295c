"""A small ward of made-up patients whose every identifier is a canary, and the whole chain of commands run on it."""

import socket
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from tests.cli.typed import CPU, MEMBER, NARROW, typed
from tests.data.files import chunk, dicom, jpeg, png
from tests.security import canaries as words
from tests.security.watched import watched

SIZE = 64
SPLITS = (("train", 8), ("validation", 6), ("test", 6))
HEADER = "path,label,group,patient,study,split,note,scanner"
SOURCE, WORKSPACE = "source", "workspace"
SLICED = ("--slice", "scanner", "--slice", "note")
BOXED = "elbow"
TAGS = {
    "PatientName": f"{words.TAG}^NAME", "PatientID": words.TAG, "AccessionNumber": words.TAG[:16],
    "InstitutionName": words.TAG, "ReferringPhysicianName": words.TAG, "StudyDescription": words.TAG,
    "PatientComments": words.TAG, "StationName": words.TAG[:16], "StudyID": words.TAG[:16],
    "StudyInstanceUID": words.UID, "PatientBirthDate": words.BORN,
}  # fmt: skip


def commands() -> dict[str, tuple[object, ...]]:
    """Every command of the suite on the ward, to be typed in the ward's folder, in this order."""
    return {
        "prepare": ("prepare", f"{SOURCE}/list.csv", "--size", SIZE, "--accept-rejects", 1, "--preview", "figure1.png"),
        "train": ("train", "--arch", "all", *NARROW, "--epochs", 1),
        "calibrate": ("calibrate", "--resamples", 100, *CPU),
        "finetune": ("finetune", *MEMBER),
        "evaluate": ("evaluate", *CPU, "--slice", "scanner", "--resamples", 100),
        "cam": ("cam", f"{SOURCE}/{words.FOLDER}/{BOXED}-test-1", "--group", BOXED, "--out", "overlays", *CPU),
        "gradcam": ("cam", f"{SOURCE}/{words.FOLDER}/wrist-test-0", "--group", "wrist", "--method", "gradcam++", *CPU),
        "check": ("cam", "--check", f"{SOURCE}/boxes.csv", *CPU),
        "predict": ("predict", f"{SOURCE}/{words.FOLDER}", *CPU),
        "show": ("predict", f"{SOURCE}/{words.FOLDER}", "--show-ids", "--out", "shown.csv", *CPU),
        "export": ("export", "ensemble.murace", "--threads", 1),
        "handed": ("predict", f"{SOURCE}/{words.FOLDER}", "--model", "ensemble.murace", "--out", "handed.csv", *CPU),
        "score": ("score", f"{WORKSPACE}/evaluate/predictions.csv", *SLICED, "--resamples", 100),
        "status": ("status",),
    }  # fmt: skip


REFUSALS = {"predict": 3, "show": 3, "handed": 3}  # of the file that cannot be read, which they say


AGAIN = ("prepare", "train", "calibrate", "finetune", "evaluate", "cam", "export", "status")


@dataclass(frozen=True)
class Ward:
    """The folder that all of it lies in, what each command said, and what Python's auditors heard meanwhile."""

    folder: Path
    said: Mapping[str, Result]
    events: Sequence[str]


def build(folder: Path) -> None:
    """Write the source: PNG, JPEG and DICOM full of canaries, the list of them, and a file that is no picture."""
    rows, boxes, random = [HEADER], ["path,x,y,width,height"], np.random.default_rng(0)
    for group in (BOXED, "wrist"):
        for split, count in SPLITS:
            for number in range(count):
                place = f"{words.FOLDER}/{group}-{split}-{number}"
                path = f"{place}/{words.VIEW}{ENDINGS[number % len(ENDINGS)]}"
                (folder / SOURCE / place).mkdir(parents=True)
                (folder / SOURCE / path).write_bytes(_file(_picture(random, group, number % 2), path))
                patient = f"{words.PATIENT}-{group}-{split}-{number}"
                ids = f"{patient},{words.STUDY},{split},{words.NOTE},{words.SLICED}{number % 2}"
                rows.append(f"{path},{number % 2},{group},{ids}")
                if split == "test" and number % 2:
                    boxes.append(f"{path},16,16,20,20")
    broken = f"{words.FOLDER}/{words.BROKEN}.png"
    (folder / SOURCE / broken).write_bytes(f"{words.TEXT} is no picture".encode())
    rows.append(f"{broken},0,wrist,{words.PATIENT}-x,{words.STUDY},train,{words.NOTE},{words.SLICED}0")
    (folder / SOURCE / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / SOURCE / "boxes.csv").write_text("\n".join(boxes) + "\n")


ENDINGS = (".png", ".png", ".jpg", ".dcm")


def _picture(random: np.random.Generator, group: str, label: int) -> np.ndarray:
    grey = random.integers(0, 120, (SIZE, SIZE), dtype=np.uint8)
    shade = np.linspace(0, 80, SIZE, dtype=np.uint8)
    grey += shade if group == BOXED else shade[:, None]
    if label:
        grey[16:36, 16:36] = 255
    return grey


def _file(picture: np.ndarray, path: str) -> bytes:
    if path.endswith(".dcm"):
        return dicom(picture, **TAGS)
    if path.endswith(".jpg"):
        return _jpeg(picture)
    text = words.TEXT.encode()
    return png(
        picture,
        chunk(b"tEXt", b"Author\0" + text),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text)),
        chunk(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress(text)),
        chunk(b"eXIf", _exif()),
    )


def _exif() -> bytes:
    """A TIFF block with an owner (tag 0x013B)."""
    owner = words.EXIF.encode() + b"\0"
    return b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x013B, 2, len(owner), 26) + struct.pack("<I", 0) + owner


def _jpeg(picture: np.ndarray) -> bytes:
    data, exif, comment = jpeg(picture), b"Exif\0\0" + _exif(), words.TEXT.encode()
    segments = [(b"\xff\xe1", exif), (b"\xff\xfe", comment)]
    return data[:2] + b"".join(mark + struct.pack(">H", len(body) + 2) + body for mark, body in segments) + data[2:]


def _change(folder: Path) -> None:
    """Another picture in a file's place, which the next `prepare` notices."""
    path = next((folder / SOURCE / words.FOLDER).glob("*/*.png"))
    path.write_bytes(_file(np.full((SIZE, SIZE + 1), 9, np.uint8), path.name))


def run(folder: Path) -> Ward:
    """Build the ward in `folder`, and type every command there; those of `AGAIN` once more, with --json."""
    build(folder)
    lines = commands()
    lines |= {f"{name} --json": (*lines[name], "--json") for name in AGAIN}
    with pytest.MonkeyPatch.context() as patch, watched() as events:
        patch.chdir(folder)
        for name, value in (("HOME", str(folder / words.HOME)), ("USER", words.USER), ("LOGNAME", words.USER)):
            patch.setenv(name, value)
        patch.setattr(socket, "gethostname", lambda: words.HOST)
        said = {name: typed(*line) for name, line in lines.items()}
        _change(folder)
        said["changed"] = typed(*lines["prepare"])
    for name, result in said.items():
        assert result.exit_code == REFUSALS.get(name, 0), f"{name}: {result.output}\n{result.exception!r}"
    return Ward(folder, said, events)
