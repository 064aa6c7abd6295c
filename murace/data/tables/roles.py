"""The role of each column in a csv of predictions: an id, a model's probabilities, or a slice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.data.tables.paths import fault_of_id
from murace.data.tables.table import Table, few
from murace.errors import DataError, UsageError
from murace.vocabulary import RESCALED, closest

IDS = ("row", "path", "patient", "study", "group", "label")
SIZES = ("width", "height")
CARRIED = ("split", *SIZES, "sha256")  # murace writes them; they are no probabilities
TAKEN = ("all", "none", "views", "image size")  # lines of the decision curve, and slices that are always there


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """The columns by role, each in the order of the file, or as they were named.

    Attributes:
        header: all columns.
        models: the columns of probabilities that are scored.
        calibrated: model -> the column of its calibrated probability, where it has one.
        slices: the columns to slice by.
    """

    header: tuple[str, ...]
    models: tuple[str, ...]
    calibrated: Mapping[str, str]
    slices: tuple[str, ...]


def assign(table: Table, *, models: Sequence[str], slices: Sequence[str]) -> Roles:
    """Give every column its role: one that is neither known nor a slice is a model.

    Unless it is named as a model, `<model>_calibrated` beside `<model>` is that model after calibration, as in the
    predictions that `murace evaluate` writes.

    Args:
        table: the csv file.
        models: the columns to take as models, each alone or several with commas; none: all.
        slices: the columns to slice by.

    Raises:
        DataError: the header is not usable, or has no model.
        UsageError: a column that was named is not there, or cannot play that role.
    """
    header, path = _header(table), table.path
    kept = _slices(path, header, slices)
    found = [name for name in header if name not in (*IDS, *CARRIED, *kept)]
    if not found:
        raise DataError(f"{path} has no column of probabilities; its first line says: {few(header)}")
    named = _named(path, found, models)
    after = {name: name + RESCALED for name in found if name + RESCALED in found}
    scored = named or tuple(name for name in found if name not in after.values())
    if taken := [name for name in scored if name in TAKEN]:
        raise DataError(f"{path}: rename the column {few(taken)}: murace's own tables have a word of that name")
    calibrated = {name: after[name] for name in scored if name in after and after[name] not in scored}
    return Roles(header=tuple(header), models=scored, calibrated=calibrated, slices=kept)


def _header(table: Table) -> list[str]:
    header, path = table.rows[0] if table.rows else [], table.path
    if "label" not in header:
        hint = "; separate the columns with commas, semicolons or tabs" if len(header) == 1 and header[0] else ""
        raise DataError(f"{path} has no column label; its first line says: {few(header) or 'nothing'}{hint}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        raise DataError(f"{path}: a column {f'is there twice: {few(twice)}' if twice else 'has no name'}")
    if bad := [name for name in header if fault_of_id(name)]:
        raise DataError(f"{path}: a column's name is not allowed ({fault_of_id(bad[0])}): {few(bad)}")
    return header


def _slices(path: Path, header: Sequence[str], slices: Sequence[str]) -> tuple[str, ...]:
    free = [name for name in header if name not in (*IDS, *SIZES, "sha256")]
    for name in slices:
        if name not in free:
            fault = "is not a column to slice by in" if name in header else "is not a column of"
            raise UsageError(f"--slice: '{name}' {fault} {path}{closest(name, free)}")
    return tuple(dict.fromkeys(slices))


def _named(path: Path, found: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The models that were asked for, by themselves (a column's name may hold a comma) or several with commas."""
    names = [name.strip() for text in wanted for name in ([text] if text in found else text.split(","))]
    for name in names:
        if name not in found:
            raise UsageError(f"--models: '{name}' is not a column of probabilities of {path}{closest(name, found)}")
    return tuple(dict.fromkeys(names))
