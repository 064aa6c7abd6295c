"""What a report is made of: tables, curves, pictures and words; no path and no workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A PNG with the sentence that stands under it (and for it, where it cannot be seen)."""

    caption: str
    png: bytes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Contents:
    """Everything the page shows.

    Attributes:
        counts: images; `group` and, for train, validation and test, `<split>_positive` and `<split>_negative`; the
            last row is `overall`.
        learners: `learner, parameters, trainable, batch_size, epochs, best_epoch, hours, images_per_second,
            precision, device`; one row per trained learner.
        validation: `level, learner, group, metric, value`.
        roster: the content of `roster.json`.
        scores: `level, model, group, metric, value, low, high, change`; NaN means undefined (or, for low, high and
            change, not given).
        roc: `level, model, fpr, tpr, threshold`, all groups together, with every threshold kept (no point dropped).
        histories: ``train/<learner>`` or ``finetune/<group>`` to a frame `epoch, train_loss, validation_loss, auc,
            accuracy, kappa`.
        maps: class activation maps.
        settings: section to key to value.
        notes: what a reader must know before any number, such as that the data are synthetic.
        facts: versions, seed, times.
        studies: test studies per group, with `overall`; may be empty.
        best_epochs: the epoch whose weights were kept, under the keys of `histories`; may be empty (the learners'
            are in `learners`).
    """

    counts: pd.DataFrame
    learners: pd.DataFrame
    validation: pd.DataFrame
    roster: Mapping[str, Any]
    scores: pd.DataFrame
    roc: pd.DataFrame
    histories: Mapping[str, pd.DataFrame]
    maps: Sequence[Picture] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    studies: Mapping[str, int] = field(default_factory=dict)
    best_epochs: Mapping[str, int] = field(default_factory=dict)
