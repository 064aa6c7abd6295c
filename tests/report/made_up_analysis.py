"""Made-up frames of everything that goes beyond the scores: intervals, tests, calibration, operating points, slices."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from murace.report.contents import Picture

RESAMPLES = 2000
POINTS = {"half": 0.5, "youden": 0.431, "sensitivity_90": 0.287, "sensitivity_95": 0.164}
AT_POINTS = {"recall": 0.84, "specificity": 0.82, "precision": 0.80, "npv": 0.86, "accuracy": 0.83}
PARTS = {"views": ("1", "2", "3", "4 or more"), "image size": ("up to 0.19", "0.19 to 0.24", "over 0.24")}
SMALL = (19, 6)  # studies of the last group and of the last part, and the abnormal among them
STUDIES = (170, 76)


def analysis(rng: np.random.Generator, models: Sequence[str], groups: Sequence[str]) -> dict[str, Any]:
    """The fields of `Contents` that follow from probabilities."""
    return {
        "support": support(groups),
        "comparisons": pd.concat([comparisons(rng, models, groups), above_baselines(models, groups)]),
        "baselines": baselines(rng, groups),
        "calibration": calibration(rng, models, groups),
        "reliability": pd.concat([reliability(rng, model) for model in models], ignore_index=True),
        "benefit": benefit(models),
        "confusion": confusion(rng, models, groups),
        "operating": operating(rng, models),
        "slices": slices(rng, models),
        "rejected": {"cannot be read as an image": 3, "is smaller than 32 pixels": 1},
        "errors": [
            Picture(caption=f"{kind}, {groups[0]}, p = 0.{place}1", png=jpeg())
            for place in range(3)
            for kind in ("false negative", "false positive")
        ],
        "augmentation": Picture(caption="One image and eight of its augmented copies.", png=jpeg(60, 20)),
    }


def support(groups: Sequence[str]) -> pd.DataFrame:
    """Enough cases, but for the last group."""
    sizes = dict.fromkeys(groups, STUDIES) | ({groups[-1]: SMALL} if len(groups) > 1 else {})
    sizes["overall"] = tuple(sum(size[place] for size in sizes.values()) for place in (0, 1))
    return pd.DataFrame([
        {"level": level, "group": group, "patients": cases // times, "cases": cases, "abnormal": abnormal,
         "small": group == groups[-1] and len(groups) > 1}
        for level, times in (("study", 1), ("image", 3))
        for group, (cases, abnormal) in sizes.items()
    ])  # fmt: skip


def bounded(rng: np.random.Generator, frame: pd.DataFrame, width: float = 0.05) -> pd.DataFrame:
    """The same with an interval around each value."""
    low, high = (width * rng.uniform(0.6, 1.2, size=len(frame)) for _ in range(2))
    return frame.assign(low=frame["value"] - low, high=frame["value"] + high)


def intervals(scores: pd.DataFrame) -> pd.DataFrame:
    """All defined, but for some kappas and AUCs of the last group."""
    last = scores["group"] == scores["group"].iloc[-1]
    undefined = np.where(last & (scores["metric"] == "kappa"), 37, np.where(last & (scores["metric"] == "auc"), 4, 0))
    return scores[["level", "model", "group", "metric"]].assign(resamples=RESAMPLES, undefined=undefined)


def comparisons(rng: np.random.Generator, models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """The calibrated ensemble against each other model; overall, only ConvNet's differences are significant."""
    rows = []
    for level in ("study", "image"):
        for group in ("overall", *groups):
            for reference in [model for model in models if model != "calibrated"]:
                for metric, test in (("auc", "delong"), ("accuracy", "mcnemar"), ("kappa", "bootstrap")):
                    overall = group == "overall"
                    far = reference == "convnet" and overall
                    value = 0.045 if far else float(rng.normal(0.008, 0.015))
                    p = 0.0004 if far else float(rng.uniform(0.06, 1))
                    rows.append((level, group, "calibrated", reference, metric, test, value, value - 0.03, value + 0.03,
                                 p, np.nan if overall else min(1.0, p * len(groups))))  # fmt: skip
    columns = "level group model reference metric test difference low high p p_holm"
    return pd.DataFrame(rows, columns=columns.split())


def baselines(rng: np.random.Generator, groups: Sequence[str]) -> pd.DataFrame:
    """The group alone knows a little; more facts, a little more."""
    rows = [
        (level, name, group, metric, value + float(rng.normal(0, 0.005)))
        for level in ("study", "image")
        for name, value in (("group", 0.61), ("group+views+size", 0.66))
        for group in ("overall", *groups)
        for metric in ("auc", "kappa")
    ]
    return bounded(rng, pd.DataFrame(rows, columns=["level", "features", "group", "metric", "value"]))


def above_baselines(models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """Every model is better than the baselines, but for ConvNet, whose interval holds 0."""
    rows = [
        (level, group, model, f"baseline({name})", metric, test, value, value - 0.03, value + 0.03, 0.01, 0.01)
        for level in ("study", "image")
        for group in ("overall", *groups)
        for model in models
        for value in (0.02 if model == "convnet" else 0.2,)
        for name in ("group", "group+views+size")
        for metric, test in (("auc", "delong"), ("accuracy", "mcnemar"), ("kappa", "bootstrap"))
    ]
    columns = "level group model reference metric test difference low high p p_holm"
    return pd.DataFrame(rows, columns=columns.split())


def calibration(rng: np.random.Generator, models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """Too sure before, nearly right after."""
    measures = {"raw": {"slope": 0.68, "intercept": -0.14, "brier": 0.121, "ece": 0.072},
                "calibrated": {"slope": 0.98, "intercept": -0.13, "brier": 0.114, "ece": 0.041}}  # fmt: skip
    rows = [
        (model, group, stage, metric, abs(value + float(rng.normal(0, 0.01))) if metric != "intercept" else value)
        for model in models
        for group in ("overall", *groups)
        for stage, values in measures.items()
        for metric, value in values.items()
    ]
    rows += [(model, "overall", "calibrated", "temperature", float(rng.uniform(1.2, 1.7))) for model in models]
    rows += [("calibrated", group, "calibrated", "temperature", float(rng.uniform(1.2, 1.7))) for group in groups]
    frame = bounded(rng, pd.DataFrame(rows, columns=["model", "group", "stage", "metric", "value"]), 0.03)
    frame.loc[frame["metric"] == "temperature", ["low", "high"]] = np.nan
    return frame


def reliability(rng: np.random.Generator, model: str) -> pd.DataFrame:
    """Ten bins of equal mass, before and after."""
    logits = np.linspace(-4, 4, 10) + rng.normal(0, 0.15, size=10)
    observed = np.clip(1 / (1 + np.exp(-0.68 * logits)) + rng.normal(0, 0.03, size=10), 0, 1)
    frames = [
        pd.DataFrame({"model": model, "stage": stage, "bin": np.arange(10), "cases": 119 + np.arange(10) % 2,
                      "mean": 1 / (1 + np.exp(-logits / heat)), "observed": observed,
                      "low": np.clip(observed - 0.07, 0, 1), "high": np.clip(observed + 0.07, 0, 1)})
        for stage, heat in (("raw", 1.0), ("calibrated", 1.45))
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def benefit(models: Sequence[str]) -> pd.DataFrame:
    """Models between the best possible and the better of all and none."""
    threshold = np.arange(1, 100) / 100
    odds = threshold / (1 - threshold)
    curves = {model: 0.44 * (1 - 0.2 * threshold**0.5) - (0.12 - 0.01 * place) * odds**0.8 * (1 - threshold)
              for place, model in enumerate(models)}  # fmt: skip
    curves |= {"all": 0.45 - 0.55 * odds, "none": 0 * odds}
    frames = [
        pd.DataFrame({"model": name, "threshold": threshold, "net_benefit": curve}) for name, curve in curves.items()
    ]
    return pd.concat(frames, ignore_index=True)


def confusion(rng: np.random.Generator, models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """Four in five right."""
    rows = []
    for level in ("study", "image"):
        for model in models:
            for group in ("overall", *groups):
                abnormal, normal = (530, 660) if group == "overall" else (76, 94)
                found, alarms = int(abnormal * rng.uniform(0.72, 0.85)), int(normal * rng.uniform(0.08, 0.2))
                rows.append((level, model, group, found, alarms, abnormal - found, normal - alarms))
    columns = "level model group true_positive false_positive false_negative true_negative"
    return pd.DataFrame(rows, columns=columns.split())


def operating(rng: np.random.Generator, models: Sequence[str]) -> pd.DataFrame:
    """Every model at its points; validation has no intervals."""
    rows = [
        (model, point, threshold, split, metric, min(1.0, value + float(rng.normal(0, 0.02))))
        for model in models
        for point, threshold in POINTS.items()
        for split in ("validation", "test")
        for metric, value in AT_POINTS.items()
    ]
    frame = bounded(rng, pd.DataFrame(rows, columns=["model", "point", "threshold", "split", "metric", "value"]))
    frame.loc[frame["split"] == "validation", ["low", "high"]] = np.nan
    return frame


def slices(rng: np.random.Generator, models: Sequence[str], parts: Mapping[str, Sequence[str]] = PARTS) -> pd.DataFrame:
    """Two slices at both levels; the last part of each is small."""
    rows = [
        (name, part, level, model, metric, 0.85 + float(rng.normal(0, 0.03)),
         *(SMALL if part == named[-1] else STUDIES), 120, part == named[-1])
        for name, named in parts.items()
        for part in named
        for level in ("study", "image")
        for model in models
        for metric in ("auc", "accuracy", "recall", "specificity", "kappa", "brier")
    ]  # fmt: skip
    columns = ["slice", "part", "level", "model", "metric", "value", "cases", "abnormal", "patients", "small"]
    return bounded(rng, pd.DataFrame(rows, columns=columns))


def flow(counts: pd.DataFrame) -> pd.DataFrame:
    """The images of Table 1, in studies of about two and a half images; one patient in six has two studies."""
    rows = []
    for split in ("train", "validation", "test"):
        for line in counts.to_dict("records"):
            abnormal, normal = (int(line[f"{split}_{side}"]) for side in ("positive", "negative"))
            studies = (abnormal + normal) * 2 // 5
            rows.append((split, line["group"], studies * 6 // 7, studies, abnormal + normal, abnormal * 2 // 5))
    return pd.DataFrame(rows, columns=["split", "group", "patients", "studies", "images", "abnormal_studies"])


def jpeg(width: int = 9, height: int = 4) -> bytes:
    """A small grey picture."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), 90).save(buffer, format="jpeg")
    return buffer.getvalue()
