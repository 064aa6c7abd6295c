"""`manifest.json`: what an ensemble is made of, which files say so, and the digest of each."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from murace.config import FITS, HEADS
from murace.inference.bundle.layout import MAX_FILE
from murace.system.files import parse_json
from murace.vocabulary import DISCLAIMER, LEARNERS, is_group

SCHEMA = 1
# Names in the file, which `SCHEMA` fixes; those of a workspace are its own.
CARD, OPERATING, ROSTER, RECOGNISER = "MODEL_CARD.md", "operating.json", "roster.json", "recogniser.safetensors"
MAX_GROUPS, MAX_WIDTH, SIZES = 1000, 16, (8, 4096)
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class Net:
    """The form of a net, the side of the pictures that it takes in pixels, and the arithmetic that it was fitted in."""

    learner: str
    width: float
    head: str
    size: int
    precision: str

    def __post_init__(self) -> None:
        _one_of("learner", self.learner, LEARNERS)
        _one_of("head", self.head, HEADS)
        _one_of("precision", self.precision, PRECISIONS)
        _require(self.head == "gap" or self.learner == "convnet", f"{self.learner} has no head fc")
        _require(type(self.width) is float and 0 < self.width <= MAX_WIDTH, "a width is not above 0 and at most 16")
        _require(type(self.size) is int and SIZES[0] <= self.size <= SIZES[1], "a size is not from 8 to 4096")

    @property
    def facts(self) -> dict[str, Any]:
        """What the weights' own file must say of it."""
        return {name: value for name, value in asdict(self).items() if name != "precision"}


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is to be known about the pictures that everything was fitted on."""

    synthetic: bool
    patient_level_split: bool

    def __post_init__(self) -> None:
        _require(all(type(value) is bool for value in asdict(self).values()), "the facts of the data are not yes or no")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file besides the manifest."""

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        _require(type(self.size) is int and 0 <= self.size <= MAX_FILE, "a file is larger than 1 GiB")
        is_digest = (
            isinstance(self.sha256, str) and len(self.sha256) == 64 and set(self.sha256) <= set("0123456789abcdef")
        )
        _require(is_digest, "a SHA-256 is none")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that `manifest.json` says, checked at birth; the names of the files follow from the groups.

    `recogniser` is the learner whose features tell the groups apart.
    """

    murace: str
    fit: str
    data: Data
    groups: Mapping[str, Net]
    recogniser: Net | None
    files: tuple[File, ...]

    def __post_init__(self) -> None:
        _require(isinstance(self.murace, str) and len(self.murace) <= 40, "the version is none")
        _one_of("fit", self.fit, FITS)
        _require(1 <= len(self.groups) <= MAX_GROUPS, f"there are not 1 to {MAX_GROUPS} groups")
        _require(all(map(is_group, self.groups)), "a group's name is none")
        _require((self.recogniser is None) == (len(self.groups) == 1), "a recogniser goes with two or more groups")
        names = [file.name for file in self.files]
        _require(names == names_of(self.groups, self.recogniser), "it lists other files than its groups need")

    def dump(self) -> bytes:
        """The only bytes that say this."""
        values = {"schema": SCHEMA, "disclaimer": DISCLAIMER, **asdict(self)}
        return (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def weights_of(group: str) -> str:
    """The file of a group's weights."""
    return f"members/{group}.safetensors"


def weights_of_learner(learner: str) -> str:
    """The file of the weights whose features tell the groups apart."""
    return f"learners/{learner}.safetensors"


def names_of(groups: Mapping[str, Net], recogniser: Net | None) -> list[str]:
    """The names of the files, in their order in the container, after the manifest."""
    recognising = [RECOGNISER, weights_of_learner(recogniser.learner)] if recogniser else []
    return [CARD, ROSTER, OPERATING, *recognising, *(weights_of(group) for group in sorted(groups))]


def parse(data: bytes) -> Manifest:
    """The inverse of `Manifest.dump`.

    Raises:
        ValueError: these are not bytes that it writes; the message says why.
    """
    try:
        values = parse_json(data)
        _require(isinstance(values, dict) and values.get("schema") == SCHEMA, "another version of murace wrote it")
        recogniser = values["recogniser"]
        manifest = Manifest(
            murace=values["murace"],
            fit=values["fit"],
            data=Data(**values["data"]),
            groups={name: Net(**net) for name, net in values["groups"].items()},
            recogniser=None if recogniser is None else Net(**recogniser),
            files=tuple(File(**file) for file in values["files"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("a part of it is missing or of another kind") from error
    _require(manifest.dump() == data, "it is not in the form that murace writes")
    return manifest


def _one_of(what: str, value: Any, known: tuple[str, ...]) -> None:
    _require(isinstance(value, str) and value in known, f"a {what} is none of {', '.join(known)}")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
