"""Read a csv of predictions made by any program: `label`, ids (patient, study, group), and a column per model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from murace.data.tables.cells import check, fault_of_group, fault_of_label, fault_of_pixels, pairs
from murace.data.tables.paths import fault_of_id, fault_of_value, normal
from murace.data.tables.roles import CARRIED, IDS, SIZES, Roles, assign
from murace.data.tables.spelling import one_spelling, visible
from murace.data.tables.table import Table, ascii_safe, few, read_table, refuse
from murace.errors import DataError
from murace.system.progress import Reporter

ONE_GROUP = "all"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NO_STUDIES = "no study column: each row counts as a study of its own"
NO_PATIENTS = (
    "no patient column: each study counts as a patient of its own, so no patient-level intervals were possible"
)
NO_GROUPS = f"no group column: there is one group, {ONE_GROUP}"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predictions:
    """Probabilities of images beside their labels, checked.

    Attributes:
        images: a row per image: patient, study, group (text), label (int64), the float64 columns of `models` and
            `calibrated`, the slices (text), and width and height (int64) where they are known.
        models: the probability columns, in the order of the file or as they were named.
        calibrated: model -> the column of its calibrated probability, where it has one.
        groups: the groups, sorted.
        notes: what a reader must know before any number.
    """

    images: pd.DataFrame
    models: tuple[str, ...]
    calibrated: Mapping[str, str]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def read_predictions(
    path: Path, *, models: Sequence[str] = (), slices: Sequence[str] = (), reporter: Reporter | None = None
) -> Predictions:
    """Read a csv of predictions: a row per image, or per study where there is no `study` column.

    Args:
        path: the csv file; every column that is neither known nor a slice is a model.
        models: the columns to take as models, each alone or several with commas; none: all.
        slices: the columns to keep as text.
        reporter: is warned of ids that look alike.

    Raises:
        DataError: a column is missing, a value is not allowed, a row is there twice, rows of a study contradict.
        UsageError: a column that was named is not there.
    """
    table = read_table(path, known=(*IDS, *CARRIED))
    roles = assign(table, models=models, slices=slices)
    # The index is the line in the file, for the messages.
    frame = pd.DataFrame(table.rows[1:], columns=list(roles.header), index=table.lines[1:], dtype=str)
    if frame.empty:
        raise DataError(f"{path} has a header and no row")
    _check_cells(path, frame, roles)
    numbers = _probabilities(table, frame, [*roles.models, *roles.calibrated.values()])
    for name in (name for name in ("patient", "study") if name in frame):
        frame[name], _ = one_spelling(path, frame[name], reporter)
        check(path, frame[name], fault_of_id, f"column {name}")
    _check_rows(path, frame)
    images = _identify(frame)
    _check_studies(path, images)
    if set(SIZES) <= set(roles.header):
        images = images.join(frame[list(SIZES)].astype("int64"))
    return Predictions(
        images=images.join(frame[list(roles.slices)]).join(numbers).reset_index(drop=True),
        models=roles.models,
        calibrated=roles.calibrated,
        groups=tuple(sorted(set(images["group"]))),
        notes=_notes(frame, roles),
    )


def _check_cells(path: Path, frame: pd.DataFrame, roles: Roles) -> None:
    """Stop at labels, ids, groups, sizes and slices that are not allowed, all of one kind at a time."""
    check(path, frame["label"], fault_of_label, "the label must be exactly 0 or 1")
    for name in ("row", "path", "patient", "study"):
        if name in frame:
            check(path, frame[name], fault_of_id, f"column {name}")
    if "group" in frame:
        check(path, frame["group"], fault_of_group, "column group")
    for name in roles.slices:
        check(path, frame[name], fault_of_value, f"column {name}")
    if set(SIZES) <= set(frame.columns):
        for name in SIZES:
            check(path, frame[name], fault_of_pixels, f"column {name}: pixels")


def _probabilities(table: Table, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns as float64. Where commas do not separate the columns, one in a number is its decimal sign."""
    path, texts = table.path, frame[list(columns)]
    if table.separator != ",":
        texts = texts.apply(lambda column: column.str.replace(",", ".", n=1, regex=False))
    is_number = pd.DataFrame({name: texts[name].str.fullmatch(NUMBER).astype(bool) for name in columns})
    if words := [name for name in columns if not is_number[name].any()]:
        mend = f"name it with --slice '{ascii_safe(words[0])}' if it is no model, or narrow with --models"
        raise DataError(f"{path}: a column without a single number: {few(words)}; {mend}")
    refuse(path, _cells(frame, ~is_number), "a probability that is not a number")
    numbers = texts.astype("float64")
    outside = ~((numbers >= 0) & (numbers <= 1))
    refuse(path, _cells(frame, outside), "a probability outside [0, 1]; where a column is no model, use --models")
    return numbers


def _cells(frame: pd.DataFrame, bad: pd.DataFrame) -> list[tuple[int, str]]:
    """The bad cells, line by line."""
    found = [(line, f"{name} is '{text}'") for name in bad.columns for line, text in pairs(frame[name][bad[name]])]
    return sorted(found, key=lambda fault: fault[0])


def _check_rows(path: Path, frame: pd.DataFrame) -> None:
    """Stop at images that are there twice."""
    if "row" in frame:
        refuse(path, _again(frame["row"]), "a row that is there twice")
    if "path" in frame:
        refuse(path, _again(frame["path"].map(normal)), "a path that is there twice")
    if "study" in frame and not {"row", "path"} & set(frame.columns):
        what = "lines that say the same; views that scored alike must be told apart by a column path or row"
        whole = [repr(row) for row in frame.itertuples(index=False, name=None)]
        refuse(path, _again(pd.Series(whole, index=frame.index)), what)


def _again(column: "pd.Series[str]") -> list[tuple[int, str]]:
    looks = column.map(visible)
    first = {look: line for line, look in reversed(pairs(looks))}
    repeated = pairs(column[looks.duplicated()])
    return [(line, f"{value}, as on line {first[visible(value)]}") for line, value in repeated]


def _identify(frame: pd.DataFrame) -> pd.DataFrame:
    """Who each row belongs to; what is not known is the row's own."""
    study = frame.get("study", pd.Series(frame.index.astype(str), index=frame.index))
    group = frame.get("group", pd.Series(ONE_GROUP, index=frame.index))
    labels = frame["label"].astype("int64")
    return pd.DataFrame({"patient": frame.get("patient", study), "study": study, "group": group, "label": labels})


def _check_studies(path: Path, images: pd.DataFrame) -> None:
    """Stop at studies whose rows contradict each other."""
    for name in ("label", "group", "patient"):
        first = images.groupby("study")[name].transform("first").astype(str)
        other = images[name].astype(str)
        is_bad = first != other
        contradiction = "study '" + images["study"] + "' has " + first + " and " + other
        refuse(path, pairs(contradiction[is_bad]), f"a study with two {name}s (rows with the same study are its views)")


def _notes(frame: pd.DataFrame, roles: Roles) -> tuple[str, ...]:
    missing = {"study": NO_STUDIES, "patient": NO_PATIENTS, "group": NO_GROUPS}
    notes = [note for name, note in missing.items() if name not in frame]
    if "split" in frame and "split" not in roles.slices and (splits := frame["split"].nunique()) > 1:
        notes.append(f"rows of {splits} splits are scored together; --slice split tells them apart")
    return tuple(notes)
