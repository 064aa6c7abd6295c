"""Baselines: the label of a study predicted without looking at its pictures, from its group, views and size alone.

Logistic regressions (scikit-learn's, with its default L2 penalty) on facts that stand beside the pictures. A model that
is no better than they are has learned which body part it sees, not whether it is abnormal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from murace.metrics.scores import Probabilities
from murace.metrics.slices import MIXED, MOST_NUMBERS, MOST_VIEWS, VIEWS
from murace.vocabulary import OVERALL, Level, Metric

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

GROUP, SIZES = "group", ("width", "height")
FOLDS = 5  # of patients, where a table is both what a baseline is fitted on and what it is measured on


def baselines_of(images: pd.DataFrame, slices: Sequence[str]) -> dict[str, list[str]]:
    """Each baseline's name, and the facts that it knows: `group`, `group+views+size`, and those with the slices.

    Without columns width and height the second is `group+views`.
    """
    size = [name for name in SIZES if set(SIZES) <= set(images.columns)]
    known, name = [GROUP, VIEWS, *size], "+".join([GROUP, VIEWS, *(["size"] if size else [])])
    found = {GROUP: [GROUP], name: known}
    return found | ({"+".join([name, *slices]): [*known, *map(_slice, slices)]} if slices else {})


def column_of(baseline: str) -> str:
    """The column of a baseline's probabilities, which no model's name equals."""
    return f"baseline({baseline})"


def in_words(baseline: str) -> str:
    """What a baseline knows: `group, views, size`."""
    return ", ".join(baseline.split("+"))


def is_baseline(model: str) -> bool:
    """Whether `column_of` made this name."""
    return model.startswith("baseline(")


def no_better(comparisons: pd.DataFrame) -> dict[str, list[str]]:
    """The models whose AUC is not above that of a baseline beyond chance: their paired interval holds 0, or is below.

    Args:
        comparisons: as in `murace.report.contents.Contents`; per study, all groups together, is what counts.

    Returns:
        Baseline -> models, for each baseline that knows more than the group alone.
    """
    if comparisons.empty:
        return {}
    of_studies = (comparisons["level"] == str(Level.STUDY)) & (comparisons["group"] == OVERALL)
    found: dict[str, list[str]] = {}
    for row in comparisons[of_studies & (comparisons["metric"] == str(Metric.AUC))].to_dict("records"):
        reference = str(row["reference"])
        is_defined = not np.isnan(row["difference"])  # else nothing is known, good or bad
        if is_baseline(reference) and reference != column_of(GROUP):
            worse = found.setdefault(reference.removeprefix("baseline(").removesuffix(")"), [])
            worse += [str(row["model"])] if is_defined and not row["low"] > 0 else []
    return found


def with_baselines(
    images: pd.DataFrame, known: pd.DataFrame, slices: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Give every image the probability of its study by each baseline, fitted on the labels of other images.

    Args:
        images: those to predict: columns study, group and those of `slices`; width and height where they are known.
        known: those to fit on, of other studies: the same columns, and label.
        slices: text columns that some of the baselines know as well.

    Returns:
        The images with a column (`column_of`) for each baseline, and the baselines' names.
    """
    to_fit, asked = _studies(known, slices), _studies(images, slices)
    found = {name: _predicted(to_fit, asked, facts) for name, facts in baselines_of(images, slices).items()}
    return _spread(images, asked, found), list(found)


def with_cross_fitted_baselines(
    images: pd.DataFrame, slices: Sequence[str] = (), *, seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """The same where there are no other images: each patient's studies are predicted from those of other patients.

    Args:
        images: columns patient, study, group, label and those of `slices`; width and height where they are known.
        slices: text columns that some of the baselines know as well.
        seed: of the folds, which are stratified by label.

    Returns:
        As `with_baselines`; no baseline where fewer than two patients have a study of one of the labels.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - slow to load; see `roc_points`

    studies = _studies(images, slices)
    holders = studies.groupby("label")["patient"].nunique().reindex([0, 1], fill_value=0)
    if holders.min() < 2:
        return images, []
    folds = StratifiedGroupKFold(min(FOLDS, int(holders.min())), shuffle=True, random_state=seed)
    parts = list(folds.split(studies, studies["label"], studies["patient"]))
    found = {}
    for name, facts in baselines_of(images, slices).items():
        found[name] = np.empty(len(studies))
        for rest, fold in parts:
            found[name][fold] = _predicted(studies.iloc[rest], studies.iloc[fold], facts)
    return _spread(images, studies, found), list(found)


def _studies(images: pd.DataFrame, slices: Sequence[str]) -> pd.DataFrame:
    """A row per study: its facts as text or as numbers, and its label and patient where they are known."""
    grouped = images.groupby("study", sort=True)
    same = [name for name in (GROUP, "label", "patient") if name in images.columns]
    studies = grouped[same].first()
    studies[VIEWS] = grouped.size().clip(upper=MOST_VIEWS).astype(str)
    for name in SIZES:
        if name in images.columns:
            studies[name] = grouped[name].mean()
    for name in slices:
        values = images[name].astype(str).groupby(images["study"], sort=True)
        studies[_slice(name)] = values.first().where(values.nunique() == 1, MIXED)
    return studies


def _slice(name: str) -> str:
    """The column of a slice among the facts, whatever the user has called it."""
    return f"slice {name}"


def _spread(images: pd.DataFrame, studies: pd.DataFrame, found: Mapping[str, Probabilities]) -> pd.DataFrame:
    """Each study's probabilities on all its images."""
    columns = {column_of(name): pd.Series(values, index=studies.index) for name, values in found.items()}
    return images.assign(**{column: images["study"].map(values) for column, values in columns.items()})


def _predicted(known: pd.DataFrame, asked: pd.DataFrame, facts: Sequence[str]) -> Probabilities:
    """Probabilities [N] of the studies that are asked for; the share of abnormal ones where all are of one label."""
    labels = known["label"].to_numpy(dtype=np.int64)
    if len(set(labels.tolist())) < 2:
        return np.full(len(asked), labels.mean())
    numbers = [name for name in facts if _is_number(known[name])]
    model = _regression(numbers, [name for name in facts if name not in numbers])
    model.fit(_as_numbers(known[facts], numbers), labels)
    return np.asarray(model.predict_proba(_as_numbers(asked[facts], numbers))[:, 1], dtype=np.float64)


def _is_number(values: "pd.Series[str]") -> bool:
    """Whether a column holds numbers, and so many that they are no names."""
    return bool(pd.to_numeric(values, errors="coerce").notna().all() and values.nunique() > MOST_NUMBERS)


def _as_numbers(facts: pd.DataFrame, numbers: Iterable[str]) -> pd.DataFrame:
    return facts.assign(**{name: pd.to_numeric(facts[name], errors="coerce") for name in numbers})


def _regression(numbers: Sequence[str], words: Sequence[str]) -> "Pipeline":
    """Numbers standardised (a missing one is the mean), words as one column each; a new word says nothing."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 - as above
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    encoded = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)),
            ("words", OneHotEncoder(handle_unknown="ignore"), list(words)),
        ]
    )
    model: Pipeline = make_pipeline(encoded, LogisticRegression(tol=1e-8, max_iter=10_000))
    return model
