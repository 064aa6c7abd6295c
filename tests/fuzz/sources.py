"""Gates of `prepare`: csv files, paths and pictures."""

import os
from pathlib import Path

import numpy as np

from murace.data.images.decode import read
from murace.data.images.header import MAX_PIXELS, ImageError
from murace.data.images.resize import resize
from murace.data.sources.manifest import list_manifest
from murace.data.sources.mura import CSV_NAMES, list_mura
from murace.data.tables.paths import fault_of_path, locate
from murace.errors import DataError, MachineError
from tests.corpus.images import PICTURES
from tests.data.files import dicom, exif, jpeg, picture, png
from tests.fuzz.gate import Gate, scratch, written

STUDY = b"MURA-v1.1/train/XR_ELBOW/patient00001/study1_negative/"
SPLIT = b"\n--\n"
LARGEST = 64 * 1024  # bytes of a picture that are worth the time


def enter_manifest(data: bytes) -> None:
    """A manifest's listing agrees with itself."""
    listing = list_manifest(written("m.csv", data))
    assert len(listing.images) > 0
    assert not any(map(fault_of_path, listing.images["path"]))
    assert set(listing.images["label"]) <= {0, 1}
    assert listing.images["path"].is_unique
    assert (listing.images.groupby("patient")["split"].nunique() == 1).all()


def enter_mura(data: bytes) -> None:
    """The four csv files of a MURA folder, one after the other."""
    folder = scratch() / "mura"
    for part in ("train", "valid"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, text in zip(CSV_NAMES, [*data.split(SPLIT, 3), b"", b"", b""], strict=False):
        (folder / name).write_bytes(text)
    listing = list_mura(folder)
    assert not any(map(fault_of_path, listing.images["path"]))
    assert (listing.images.groupby("patient")["split"].nunique() == 1).all()


def enter_path(data: bytes) -> None:
    """A name leads to nothing outside the source."""
    root = _tree()
    place = locate(root, data.decode(errors="replace"))
    assert place.is_relative_to(root)
    if os.path.isfile(place):  # noqa: PTH113 - a Path would complain of a name that is too long
        assert place.read_bytes() == b"inside"


def enter_picture(data: bytes) -> None:
    """A picture keeps within the size that its header may tell."""
    grey = read(written("a.png", data[:LARGEST])).grey
    assert grey.dtype in (np.uint8, np.uint16)
    assert 0 < grey.size <= MAX_PIXELS
    if grey.size <= LARGEST:
        assert resize(grey, size=32, fit="pad").shape == (32, 32)


def _tree() -> Path:
    """A source with links of all kinds, beside a file that is not its own."""
    root = scratch() / "tree"
    if not root.exists():
        (root / "a").mkdir(parents=True)
        (root.parent / "x.png").write_bytes(b"outside")
        for place in (root, root / "a"):
            (place / "x.png").write_bytes(b"inside")
        for name, target in {"in": "a", "out": "/", "up": "..", "loop": "loop"}.items():
            (root / name).symlink_to(target)
    return root


def _manifests() -> list[bytes]:
    whole = 'path,label,group,patient,study,split,age\r\n"a, b.png",1,elbow,p1,s1,train,7\r\nc/d.png,0,hand,p2,s1,test,'
    return [
        b"path,label\na.png,1\nb.png,0\n",
        b"\xef\xbb\xbf" + whole.encode() + b"\r\n",
        b"label,path,split\n1,a.png,validation\n1,./a.png,validation\n0,._a.png,train\n",
        "path,label,patient\n\u00e9.png,1,\u00e9\ne\u0301.png,0,p\n".encode(),
    ]


def _mura() -> list[bytes]:
    valid = STUDY.replace(b"train/", b"valid/").replace(b"00001", b"00002")
    parts = [STUDY + b"image1.png\n" + STUDY + b"._image2.png", STUDY + b",0", valid + b"image1.png", valid + b",0"]
    return [SPLIT.join(part + b"\n" for part in parts)]


def _pictures() -> list[bytes]:
    small = picture(3, 12, 10)
    made = [item.data() for item in PICTURES if item.number[:2] not in ("18", "19")]
    films = [dicom(small), dicom(small.astype(np.uint16) * 16, BitsStored=12, SmallestImagePixelValue=0)]
    return [data for data in (*made, *films, jpeg(small, 6), exif(6), png(small)) if len(data) < LARGEST]


PATHS = [
    b"a/x.png",
    b"in/x.png",
    b"../x.png",
    b"up/x.png",
    b"out/etc/passwd",
    b"./a//x.png",
    b"loop",
    b"C:\\x",
    b"a/../../x.png",
]
GATES = [
    Gate(name="manifest", enter=enter_manifest, errors=(DataError,), seeds=_manifests, is_plain=True),
    Gate(name="mura", enter=enter_mura, errors=(DataError,), seeds=_mura, is_plain=True),
    Gate(name="path", enter=enter_path, errors=(ImageError,), seeds=lambda: PATHS, is_plain=True),
    Gate(name="picture", enter=enter_picture, errors=(ImageError, MachineError), seeds=_pictures, is_plain=True),
]
