"""Duplicate images: patients tied by identical pixels are united, identical images in two given splits are refused.

Files with identical bytes are among them: they decode to the same pixels. Own union-find: scipy's connected_components
takes numbers for names, and takes longer to load than this to run.
"""

from collections.abc import Iterable

import pandas as pd

from murace.data.sources.listing import ConflictError
from murace.data.tables.table import few


def unite(patients: Iterable[str], digests: Iterable[str]) -> dict[str, str]:
    """Map each patient to the first (in the alphabet) of all patients tied to it by identical pictures."""
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
    """Stop where identical pictures stand in two given splits.

    Args:
        images: columns `path`, `split`, `sha256` (of the file), `pixels` (digest of the picture).

    Raises:
        ConflictError: there are such pictures; all are its culprits.
    """
    splits = images.groupby("pixels")["split"].nunique()
    across = images[images["pixels"].isin(splits.index[splits > 1])].sort_values(["pixels", "path"])
    if across.empty:
        return
    shown, culprits, files = [], [], 0
    for _, group in across.groupby("pixels"):
        is_file = bool(group.groupby("sha256")["split"].nunique().max() > 1)
        names = [f"{path} ({split})" for path, split in zip(group["path"], group["split"], strict=True)]
        kind = f"identical {'files' if is_file else 'pixels'} in two given splits"
        culprits += [(path, f"{kind}: {few(names)}") for path in group["path"]]
        shown.append(" = ".join(names[:2]))
        files += is_file
    raise ConflictError(
        f"identical images in two given splits, {len(shown)} times ({files} the same file, {len(shown) - files} only "
        f"the same pixels): {few(shown)}. "
        "Remove one of each, or leave the split to murace (a manifest without the column split)",
        culprits,
    )
