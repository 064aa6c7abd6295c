"""A manifest: a csv file with `path,label`, optionally `group,patient,study,split`; other columns are carried along."""

from pathlib import Path

import pandas as pd

from murace.config import TEST_FRACTION, VALIDATION_FRACTION
from murace.data import store
from murace.data.sources import listing
from murace.data.sources.listing import Listing, check_and_sort
from murace.data.tables.cells import check, fault_of_group, fault_of_label
from murace.data.tables.paths import NO_PATH, below, fault_of_id, fault_of_path, fault_of_text, is_sidecar, normal
from murace.data.tables.spelling import one_spelling
from murace.data.tables.table import Table, ascii_safe, few, read_table
from murace.errors import DataError
from murace.system.progress import Reporter
from murace.vocabulary import CALIBRATED, LEARNERS, RESCALED, RESNET_DENSENET, Split, closest

REQUIRED = ("path", "label")
OPTIONAL = ("group", "patient", "study", "split")
ONE_GROUP = "all"
NO_PATIENTS = "no patient column: each study counts as a patient of its own, so no patient-level split was possible"


def list_manifest(path: Path, *, reporter: Reporter | None = None) -> Listing:
    """List a manifest's images; its paths are relative to the csv file, or lead into its folder.

    Args:
        path: the csv file.
        reporter: is warned of ids that look alike.

    Raises:
        DataError: a column is missing, a value is not allowed, labels or splits contradict each other.
    """
    table = read_table(path, known=REQUIRED + OPTIONAL)
    header = _header(table)
    # The index is the line in the file, for the messages.
    frame = pd.DataFrame(table.rows[1:], columns=header, index=table.lines[1:], dtype=str)
    frame["path"] = frame["path"].map(lambda name: below(path, name))
    sidecars = frame["path"].map(is_sidecar).to_numpy(dtype=bool)
    frame = frame[~sidecars]
    _check(path, frame)
    alike = {}
    for name, fault_of in (("patient", _fault_of_patient), ("study", fault_of_id)):
        if name in frame:
            frame[name], alike[name] = one_spelling(path, frame[name], reporter)
            check(path, frame[name], fault_of, f"column {name}")
    images = _identify(frame, [name for name in header if name not in REQUIRED + OPTIONAL])
    notes = [] if "patient" in header else [NO_PATIENTS]
    cuts = {} if "split" in header else {Split.TEST: TEST_FRACTION, Split.VALIDATION: VALIDATION_FRACTION}
    return Listing(
        form="manifest",
        root=path.parent.resolve(),
        images=check_and_sort(images, notes, source=path),
        cuts=cuts,
        ignored=int(sidecars.sum()),
        notes=notes,
        alike={name: count for name, count in alike.items() if count},
        patient_level="patient" in header,
    )


def _header(table: Table) -> list[str]:
    header = table.rows[0] if table.rows else []
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        found = few(header) or "nothing"
        raise DataError(f"{table.path} has no column {' and no column '.join(missing)}; its first line says: {found}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        raise DataError(f"{table.path}: a column {f'is there twice: {few(twice)}' if twice else 'has no name'}")
    models = (*LEARNERS, RESNET_DENSENET, CALIBRATED)
    ours = {*store.COLUMNS, *models, *(model + RESCALED for model in models)} - {*REQUIRED, *OPTIONAL}
    taken = [name for name in header if name in ours]
    if taken:
        raise DataError(f"{table.path}: rename the column {few(taken)}: murace writes one of that name itself")
    bad = [name for name in header if fault_of_id(name)]
    if bad:
        raise DataError(f"{table.path}: a column's name is not allowed: {few(bad)}")
    return header


def _check(path: Path, frame: pd.DataFrame) -> None:
    """Stop at values that are not allowed, all of one kind at a time."""
    check(path, frame["path"], fault_of_path, NO_PATH)
    check(path, frame["label"], fault_of_label, "the label must be exactly 0 or 1")
    for column, fault_of in (("group", fault_of_group), ("split", _fault_of_split), ("study", fault_of_id)):
        if column in frame:
            check(path, frame[column], fault_of, f"column {column}")
    if "patient" in frame:
        check(path, frame["patient"], _fault_of_patient, "column patient")
    for column in [name for name in frame.columns if name not in REQUIRED + OPTIONAL]:
        check(path, frame[column], fault_of_text, f"column {ascii_safe(column)}")


def _fault_of_split(split: str) -> str | None:
    return None if split in tuple(Split) else f"no split{closest(split, tuple(Split))}"


def _fault_of_patient(patient: str) -> str | None:
    return fault_of_id(patient) or ("a slash" if "/" in patient else None)


def _identify(frame: pd.DataFrame, extra: list[str]) -> pd.DataFrame:
    """Give every image its group, study and patient. A study's id holds the other two, so that no two ever merge."""
    images = pd.DataFrame({"path": frame["path"].map(normal), "label": frame["label"].astype("int64")})
    images["group"] = frame.get("group", pd.Series(ONE_GROUP, index=frame.index))
    study = frame.get("study", images["path"])
    owner = images["group"] if "patient" not in frame else images["group"] + "/" + frame["patient"]
    # An id without slashes; % keeps it unique.
    lone = (owner + "/" + study).str.replace("%", "%25", regex=False).str.replace("/", "%2F", regex=False)
    images["patient"] = frame.get("patient", lone)
    images["study"] = owner + "/" + study
    images["split"] = frame.get("split", pd.Series(Split.TRAIN.value, index=frame.index))
    return images[listing.COLUMNS].join(frame[extra])
