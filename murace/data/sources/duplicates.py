"""Duplicate images: patients tied by identical pixels are united, identical images in two given splits are refused.

Files with identical bytes are among them: they decode to the same pixels. Own union-find: scipy's connected_components
takes numbers for names, and takes longer to load than this to run.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from murace.config import DROP_TEST
from murace.data.sources.listing import ConflictError
from murace.data.tables.table import few
from murace.vocabulary import Split

DROPPED = "dropped by --leaks: the same picture is in"
NAMES = {Split.TRAIN: "training", Split.VALIDATION: "validation", Split.TEST: "test"}


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


def drop_across(images: pd.DataFrame, leaks: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Where identical pictures stand in two given splits, keep those of one: the images kept, and those dropped.

    Args:
        images: columns `split`, `pixels` (digest of the picture).
        leaks: `drop-train` keeps the copies in test, else those in validation; `drop-test` those in training, else
            those in validation.
    """
    order = [Split.TRAIN, Split.VALIDATION, Split.TEST]
    rank = images["split"].map(
        {split: place for place, split in enumerate(order if leaks == DROP_TEST else order[::-1])}
    )
    stays = rank == rank.groupby(images["pixels"]).transform("min")
    return images[stays], images[~stays]


def count_dropped(kept: pd.DataFrame, dropped: pd.DataFrame) -> dict[str, int]:
    """How many images were dropped of each split, and what else a reader must know of them; nothing where none was.

    `other label`: of the dropped, those with another label than a copy that stays. `studies`: those that lost all their
    images. `same patients`: images that stay, in the split of a dropped one, of its patient.
    """
    if dropped.empty:
        return {}
    labels = kept.groupby("pixels")["label"].agg(["min", "max"]).reindex(dropped["pixels"]).to_numpy()
    label = dropped["label"].to_numpy()
    differs = (labels[:, 0] != label) | (labels[:, 1] != label)
    return {
        **{str(split): int((dropped["split"] == split).sum()) for split in Split},
        "other label": int(differs.sum()),
        "studies": len(set(dropped["study"]) - set(kept["study"])),
        "same patients": int(kept["patient"].isin(dropped["patient"]).sum()),
    }


def dropped_notes(counts: Mapping[str, int]) -> list[str]:
    """The numbers of `count_dropped` as a sentence, without any id; none where nothing was dropped."""
    of_splits = [f"{counts[split]} of {NAMES[split]}" for split in Split if counts.get(split)]
    if not of_splits:
        return []
    further = {
        "other label": "had another label than the copy that stays",
        "studies": "studies lost all their images",
        "same patients": "other images of the same patients stay in their split",
    }
    more = "".join(f"; {counts[name]} {words}" for name, words in further.items() if counts[name])
    return [f"images dropped, since the same picture is in another split: {', '.join(of_splits)}{more}"]


def reasons(kept: pd.DataFrame, dropped: pd.DataFrame) -> pd.DataFrame:
    """The dropped images as rows of `rejected.csv`."""
    where = kept.groupby("pixels")["split"].first().reindex(dropped["pixels"])
    texts = [f"{DROPPED} {split}" for split in where]
    return pd.DataFrame({"path": dropped["path"].to_numpy(), "reason": texts})


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
        "Remove one of each, drop one side with --leaks drop-train (or drop-test), or leave the split to murace (a "
        "manifest without the column split)",
        culprits,
    )
