"""MURA's folder: `train/` and `valid/`, and four header-less csv files that decide which images belong to it."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from murace.config import VALIDATION_FRACTION
from murace.data.sources.listing import COLUMNS, NO_IMAGE, Listing, check_and_sort
from murace.data.tables.paths import fault_of_path, is_sidecar
from murace.data.tables.table import Table, few, read_table, refuse
from murace.errors import DataError
from murace.vocabulary import Split, is_group

PARTS = {"train": Split.TRAIN, "valid": Split.TEST}  # MURA's public `valid` is the paper's test set
IMAGES, STUDIES = "{}_image_paths.csv", "{}_labeled_studies.csv"
LABELS = {"negative": 0, "positive": 1}
CSV_NAMES = tuple(name.format(part) for part in PARTS for name in (IMAGES, STUDIES))
# The csv write MURA-v1.1/train/XR_ELBOW/patient00001/study1_positive[/image1.png]; the first folder has any name here.
_STUDY = re.compile(r"(?:[^/]+/)?((train|valid)/XR_([^/]+)/patient(\d+)/(study\d+)_(negative|positive))/?")
_IMAGE = re.compile(_STUDY.pattern.removesuffix("/?") + r"/([^/]+)")


def list_mura(folder: Path, *, follow_links: bool = False) -> Listing:
    """List a MURA folder.

    Args:
        folder: where `train`, `valid` and the csv files stand.
        follow_links: look into folders that are links, too, for files that are not listed.

    Raises:
        DataError: a csv file is missing or malformed, a study has two labels, or a patient is in both parts.
    """
    missing = [name for name in (*PARTS, *CSV_NAMES) if not (folder / name).exists()]
    if missing:
        raise DataError(f"{folder} is no MURA folder: it lacks {', '.join(missing)}{_hint(folder)}")
    rows: list[list[object]] = []
    rejected: list[tuple[str, str]] = []
    ignored = 0
    for part in PARTS:
        table = read_table(folder / IMAGES.format(part), columns=1)
        labels = _labels(read_table(folder / STUDIES.format(part), columns=2), part)
        matches, sidecars = _images(table, part)
        ignored += sidecars
        _sort_out(matches, labels, STUDIES.format(part), rows, rejected)
    notes: list[str] = []
    images = check_and_sort(pd.DataFrame(rows, columns=COLUMNS), notes, source=folder)
    circles: list[str] = []
    found = [path for part in PARTS for path in _files(folder, part, circles if follow_links else None)]
    on_disk, unlisted = _sort_unlisted(found, {*images["path"], *(path for path, _ in rejected)})
    if circles:
        notes.append(
            f"{len(circles)} links in train/ and valid/ lead in a circle, or where others do: not followed again"
        )
    if unlisted:
        notes.append(f"{unlisted} files in train/ and valid/ are not listed in the csv and were left out")
    cuts = {Split.VALIDATION: VALIDATION_FRACTION}
    return Listing(
        form="mura", root=folder, images=images, cuts=cuts, rejected=rejected, ignored=ignored + on_disk, notes=notes
    )


def _labels(table: Table, part: str) -> dict[str, int]:
    """The csv's label of each study folder."""
    labels: dict[str, int] = {}
    numbered: dict[str, str] = {}  # study1_negative and study1_positive of one patient are one study
    malformed, wrong, conflicts = [], [], []
    for (name, label), line in zip(table.rows, table.lines, strict=True):
        match = _STUDY.fullmatch(name)
        if match is None or match[2] != part:
            malformed.append((line, name))
        elif label not in ("0", "1"):
            wrong.append((line, f"'{label}'"))
        elif numbered.setdefault(match[1].rpartition("_")[0], label) != label:
            conflicts.append((line, match[1]))
        else:
            labels[match[1]] = int(label)
    refuse(table.path, malformed, f"not MURA-v1.1/{part}/XR_<REGION>/patientN/studyN_positive|negative/")
    refuse(table.path, wrong, "the label must be exactly 0 or 1")
    refuse(table.path, conflicts, "label conflict: a study with both labels")
    return labels


def _images(table: Table, part: str) -> tuple[list[re.Match[str]], int]:
    """The images of one csv, taken apart, and how many macOS sidecars it lists."""
    names = [(row[0], line) for row, line in zip(table.rows, table.lines, strict=True)]
    real = [(name, line) for name, line in names if not is_sidecar(name)]
    matches = [(_IMAGE.fullmatch(name), name, line) for name, line in real]
    malformed = [
        (line, f"{name}: {fault}" if (fault := fault_of_path(name)) else name)
        for match, name, line in matches
        if match is None or match[2] != part or fault_of_path(name)
    ]
    refuse(table.path, malformed, f"not MURA-v1.1/{part}/XR_<REGION>/patientN/studyN_positive|negative/<image>")
    groups = [(line, match[3]) for match, _, line in matches if match and not is_group(match[3].lower())]
    refuse(table.path, groups, "a region must be letters, digits, - or _, and not 'overall'")
    return [match for match, _, _ in matches if match], len(names) - len(real)


def _sort_out(
    matches: list[re.Match[str]],
    labels: dict[str, int],
    csv_name: str,
    rows: list[list[object]],
    rejected: list[tuple[str, str]],
) -> None:
    """Divide one part's images into those whose folder and csv agree and those refused."""
    for match in matches:
        study, part, region, patient, _, word, image = match.groups()
        label, path = labels.get(study), f"{study}/{image}"
        if label is None:
            rejected.append((path, f"its study is not in {csv_name}"))
        elif label != LABELS[word]:
            rejected.append((path, f"mislabelled: the folder says {word}, {csv_name} says {label}"))
        else:
            number = f"patient{int(patient):05d}"  # one person, whatever the zeros and the region
            rows.append([path, label, region.lower(), number, study, PARTS[part].value])
    empty = sorted(labels.keys() - {match[1] for match in matches})
    rejected.extend((study, f"a study in {csv_name} {NO_IMAGE}") for study in empty)


def _sort_unlisted(found: Sequence[str], listed: set[str]) -> tuple[int, int]:
    """How many macOS sidecars, and how many other unlisted files, are among those on the disk."""
    unlisted = [path for path in found if path not in listed]
    sidecars = sum(map(is_sidecar, unlisted))
    return sidecars, len(unlisted) - sidecars


def _files(folder: Path, part: str, circles: list[str] | None) -> Iterator[str]:
    """Every file's path below `part`.

    Args:
        folder: the source.
        part: a folder in it.
        circles: None: links to folders are not followed. Else they are, once each; those that lead back to where they
            stand, into the other part, or where another one has led are added here.
    """
    parts, seen = [os.path.realpath(folder / each) for each in PARTS], set[str]()
    for place, inner, names in os.walk(folder / part, followlinks=circles is not None):
        if circles is not None and Path(place).is_symlink() and Path(place) != folder / part:
            real = os.path.realpath(place)
            if real in seen or any(Path(own).is_relative_to(real) or Path(real).is_relative_to(own) for own in parts):
                circles.append(place)
                inner.clear()
                continue
            seen.add(real)
        inner.sort()
        relative = Path(place).relative_to(folder).as_posix()
        yield from (f"{relative}/{name}" for name in names)


def _hint(folder: Path) -> str:
    inner = sorted(path.name for path in folder.iterdir() if (path / CSV_NAMES[0]).is_file())
    if inner:
        return f"; did you mean {folder / inner[0]}?"
    tables = sorted(path.name for path in folder.glob("*.csv"))
    return f". For a manifest, name its file: {few([str(folder / name) for name in tables])}" if tables else ""
