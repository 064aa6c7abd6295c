"""The audit of prepared images: near-duplicates across splits, copies, contradictory labels, and odd images.

What would surely make results wrong has stopped `prepare`: a patient, or identical pictures, in two given splits. What
is found here is listed for a person to judge, by row of the index and without ids.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import numpy as np
import pandas as pd

from murace.data.audit.near import near_duplicates
from murace.data.images.resize import unpadded
from murace.data.ingest.job import DARK, FLAT
from murace.data.store import Pixels
from murace.system.progress import Reporter
from murace.vocabulary import Split

FINGERPRINTS = ["row", "pixels", "phash", "colour", "remark"]
INDEX = ["row", "split", "label", "width", "height", "sha256"]
COLUMNS = ["kind", "rows", "distance", "correlation", "detail", "splits", "labels"]
COLOURED = 8  # the largest difference between two channels that is still called grey
LEAST_SIDE, MOST_ASPECT = 64, 4.0  # pixels; longer side over shorter


class AuditFinding(StrEnum):
    """What the audit reports; the value is the word in `findings.csv`."""

    NEAR = "near-duplicate"
    LABELS = "both labels"
    FILE = "same file"
    PIXELS = "same pixels"
    EMPTY = "empty study"
    FLAT = "one shade"
    DARK = "dark"
    SIZE = "odd size"
    COLOUR = "colour"


def find(
    index: pd.DataFrame, fingerprints: pd.DataFrame, pixels: Pixels, *, fit: str, reporter: Reporter
) -> pd.DataFrame:
    """Everything that is to be listed, in COLUMNS; the kinds in their order, near-duplicates by likeness.

    Args:
        index: columns INDEX.
        fingerprints: FINGERPRINTS, row by row of the index.
        pixels: uint8 [N, S, S].
        fit: how pictures were brought to squares.
        reporter: asked now and then whether to stop.

    Raises:
        Interrupted: a signal asked to stop.
    """
    images = index[INDEX].join(fingerprints.drop(columns="row"))
    found = pd.DataFrame([*_near(images, pixels, fit, reporter), *_copies(images), *_oddities(images)], columns=COLUMNS)
    found = found.astype({"distance": "Int64", "correlation": "float64"})
    rows = [[int(row) for row in text.split()] for text in found["rows"]]
    split, label = images["split"].to_numpy(), images["label"].astype(str).to_numpy()
    found["splits"] = [" ".join(each for each in Split if each in split[own]) for own in rows]
    found["labels"] = [" ".join(sorted(set(label[own]))) for own in rows]
    return found


def count(found: pd.DataFrame, empty_studies: int) -> dict[str, int]:
    """How many findings of each kind: pairs, pictures with copies, or images; what was looked for in vain counts 0."""
    return {str(kind): int((found["kind"] == kind).sum()) for kind in AuditFinding} | {
        str(AuditFinding.EMPTY): empty_studies
    }


def notes(counts: Mapping[str, int]) -> list[str]:
    """What was found in sentences, without any id; nothing about what was not."""
    return [text.format(counts[kind]) for kind, text in _SENTENCES.items() if counts.get(kind)]


_SENTENCES = {
    AuditFinding.NEAR: "{} pairs of images in different splits show the same radiograph (resized, recompressed, "
    "turned or inverted): results may be too good",
    AuditFinding.LABELS: "{} pictures have both labels (pixel-identical images)",
    AuditFinding.FILE: "{} pictures are there as several byte-identical files, all in one split",
    AuditFinding.PIXELS: "{} pictures are there as several files with identical pixels, all in one split",
    AuditFinding.EMPTY: "{} studies have no image that can be used",
    AuditFinding.FLAT: "{} images have a single shade",
    AuditFinding.DARK: "{} 16-bit images use 12 bits at most and come out almost black",
    AuditFinding.SIZE: f"{{}} images have an odd size (a side under {LEAST_SIDE} pixels, or {MOST_ASPECT:g} times the "
    "other)",
    AuditFinding.COLOUR: "{} images have colour, burned-in marks perhaps; they were turned into grey",
}
Row = tuple[str, str, int | None, float | None, str, str, str]


def _row(
    kind: AuditFinding, rows: str, detail: str = "", distance: int | None = None, value: float | None = None
) -> Row:
    return (str(kind), rows, distance, value, detail, "", "")


def _near(images: pd.DataFrame, pixels: Pixels, fit: str, reporter: Reporter) -> list[Row]:
    """Identical pictures are not among them: these never stand in different splits."""
    shaded = images["remark"] != FLAT
    hashes = np.array([int(text, 16) for text in images["phash"]], np.uint64)
    parts = [np.flatnonzero(shaded & (images["split"] == split)) for split in Split]
    widths, heights = images["width"].tolist(), images["height"].tolist()

    def picture(row: int) -> Pixels:
        return unpadded(pixels[row], width=widths[row], height=heights[row], fit=fit)

    pairs = sorted(near_duplicates(hashes, parts, picture, reporter), key=lambda pair: -pair.correlation)
    return [
        _row(AuditFinding.NEAR, f"{pair.row} {pair.other}", pair.turn, pair.distance, round(pair.correlation, 4))
        for pair in pairs
    ]


def _copies(images: pd.DataFrame) -> Iterator[Row]:
    pictures = [group for _, group in images.groupby("pixels", sort=False) if len(group) > 1]
    files = [group for picture in pictures for _, group in picture.groupby("sha256", sort=False) if len(group) > 1]
    for kind, groups in (
        (AuditFinding.LABELS, [group for group in pictures if group["label"].nunique() > 1]),
        (AuditFinding.FILE, files),
        (AuditFinding.PIXELS, [group for group in pictures if group["sha256"].nunique() > 1]),
    ):
        yield from (_row(kind, " ".join(map(str, group.index))) for group in groups)


def _oddities(images: pd.DataFrame) -> Iterator[Row]:
    short, long = images[["width", "height"]].min(axis=1), images[["width", "height"]].max(axis=1)
    sizes = images["width"].astype(str) + " x " + images["height"].astype(str)
    colours = "channels differ by " + images["colour"].astype(str)
    for kind, mask, details in (
        (AuditFinding.FLAT, images["remark"] == FLAT, None),
        (AuditFinding.DARK, images["remark"] == DARK, None),
        (AuditFinding.SIZE, (short < LEAST_SIDE) | (long > MOST_ASPECT * short), sizes),
        (AuditFinding.COLOUR, images["colour"] > COLOURED, colours),
    ):
        yield from (_row(kind, str(row), "" if details is None else details[row]) for row in images.index[mask])
