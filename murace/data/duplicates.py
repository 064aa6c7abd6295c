"""Files with identical bytes: one radiograph under several names must not stand on both sides of a cut."""

from collections.abc import Iterable

import pandas as pd

from murace.data.table import few
from murace.errors import DataError


def unite(patients: Iterable[str], digests: Iterable[str]) -> dict[str, str]:
    """Map each patient to the first (in the alphabet) of all patients tied to it by byte-identical images."""
    leader: dict[str, str] = {}
    holder: dict[str, str] = {}

    def find(patient: str) -> str:
        root = patient
        while leader[root] != root:
            root = leader[root]
        while leader[patient] != root:
            leader[patient], patient = root, leader[patient]
        return root

    for patient, digest in zip(patients, digests, strict=True):
        leader.setdefault(patient, patient)
        one, other = sorted((find(patient), find(holder.setdefault(digest, patient))))
        leader[other] = one
    return {patient: find(patient) for patient in leader}


def refuse_across(images: pd.DataFrame) -> None:
    """Stop where byte-identical images stand in two given splits.

    Args:
        images: columns `path`, `split`, `sha256`.

    Raises:
        DataError: there are such images; some are listed.
    """
    splits = images.groupby("sha256")["split"].nunique()
    across = images[images["sha256"].isin(splits.index[splits > 1])].sort_values(["sha256", "path"])
    if len(across):
        named = across.assign(name=across["path"] + " (" + across["split"] + ")")
        groups = [" = ".join(names) for _, names in named.groupby("sha256")["name"]]
        raise DataError(
            f"identical images in two given splits, {len(groups)} times: {few(groups)}. "
            "Remove one of each, or leave the split to murace (a manifest without the column split)"
        )


def describe(images: pd.DataFrame) -> list[str]:
    """Notes, without any id, about byte-identical images and about those of them with different labels."""
    again = images[images["sha256"].duplicated(keep=False)]
    if again.empty:
        return []
    labels = again.groupby("sha256")["label"].nunique()
    notes = [f"{len(again)} files are byte-identical to another one ({len(labels)} different pictures)"]
    if (labels > 1).any():
        notes.append(f"{(labels > 1).sum()} of these pictures have both labels (rows of index.csv with one sha256)")
    return notes
