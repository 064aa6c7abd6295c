"""What is sent to and from the reading processes: the job, its chunks of images, and the outcomes."""

from dataclasses import dataclass

FLAT, DARK = "flat", "dark"
REMARK_BETWEEN = "; "


@dataclass(frozen=True)
class ReadJob:
    """What all chunks share: where files are read, whether links may lead out, and the array (past its header)."""

    root: str
    pixels: str
    notes: str
    offset: int
    size: int
    fit: str
    follow_links: bool = False


@dataclass(frozen=True)
class Chunk:
    """Some consecutive images of the listing; `first` is the position of the first one."""

    number: int
    first: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class ImageOutcome:
    """One file: decoded (no reason) or rejected; `modified` in ns, with `length` -1 where there is no file.

    `remark` is `flat` for a picture of one shade and `dark` for 16-bit data that use at most 12 bits. `pixels` and
    `phash` (16 hexadecimal digits) are its fingerprint; `colour` as in `decode.Radiograph`, and `remarks`, too, joined
    by REMARK_BETWEEN.
    """

    reason: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""
    length: int = -1
    modified: int = 0
    remark: str = ""
    pixels: str = ""
    phash: str = ""
    colour: int = 0
    remarks: str = ""


@dataclass(frozen=True)
class ChunkOutcome:
    """A chunk that has been read: the outcome of each file, and the SHA-256 of the rows that went into the array."""

    outcomes: list[ImageOutcome]
    sha256: str
