"""The contents of a report: tables, curves, pictures and words; no path and no workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A PNG or JPEG file with the sentence that stands under it (and for it, where it cannot be seen)."""

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
        support: `level, group, patients, cases, abnormal, small`: what the scores of a group rest on.
        intervals: `level, model, group, metric, resamples, undefined`: in how many bootstrap resamples a score was
            undefined; one row per row of `scores`.
        comparisons: `level, group, model, reference, metric, test, difference, low, high, p, p_holm, undefined`; metric
            is auc (test delong), accuracy (mcnemar) or kappa (bootstrap); p_holm is NaN for the group `overall`.
        baselines: `level, features, group, metric, value, low, high`; `features` names what a baseline knows, and
            `comparisons` has it as a reference (`metrics.baselines.column_of`).
        calibration: `model, group, stage, metric, value, low, high, undefined`, per study; stage is raw or calibrated,
            metric is temperature, slope, intercept, brier or ece.
        reliability: `model, stage, bin, cases, mean, observed, low, high`, per study, all groups together.
        benefit: `model, threshold, net_benefit`, per study; `model` is also `all` and `none`.
        confusion: `level, model, group, true_positive, false_positive, false_negative, true_negative`, at 0.5.
        operating: `model, point, threshold, split, metric, value, low, high, undefined`, per study; point is half,
            youden, sensitivity_90 or sensitivity_95, split is validation or test, metric is recall, specificity,
            precision, npv or accuracy.
        slices: `slice, part, level, model, metric, value, low, high, cases, abnormal, patients, small, undefined`.
        flow: `split, group, patients, studies, images, abnormal_studies` with `overall` rows.
        rejected: reason -> number of image files that could not be used.
        errors: the most confident wrong decisions of the calibrated ensemble, with their maps.
        augmentation: Figure 1; None where there is none.
        patient_level: whether the data name patients, so that the splits are disjoint by patient.
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
    support: pd.DataFrame = field(default_factory=pd.DataFrame)
    intervals: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)
    baselines: pd.DataFrame = field(default_factory=pd.DataFrame)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    reliability: pd.DataFrame = field(default_factory=pd.DataFrame)
    benefit: pd.DataFrame = field(default_factory=pd.DataFrame)
    confusion: pd.DataFrame = field(default_factory=pd.DataFrame)
    operating: pd.DataFrame = field(default_factory=pd.DataFrame)
    slices: pd.DataFrame = field(default_factory=pd.DataFrame)
    flow: pd.DataFrame = field(default_factory=pd.DataFrame)
    rejected: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[Picture] = ()
    augmentation: Picture | None = None
    patient_level: bool = True
