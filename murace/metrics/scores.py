"""The five measures of the paper ("Evaluation metrics") at the threshold 0.5; NaN where one is undefined, never 0."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from murace.vocabulary import Metric

THRESHOLD = 0.5
NAN = float("nan")
Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """Counts of decisions against labels."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, labels: Labels, probabilities: Probabilities) -> "Confusion":
        """Count; abnormal is decided at p >= 0.5."""
        decided = probabilities >= THRESHOLD
        truth = labels == 1
        return cls(
            int((decided & truth).sum()),
            int((decided & ~truth).sum()),
            int((~decided & truth).sum()),
            int((~decided & ~truth).sum()),
        )

    @property
    def total(self) -> int:
        """Number of decisions."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return _ratio(self.true_positive + self.true_negative, self.total)

    @property
    def precision(self) -> float:
        """Share of abnormal among those decided abnormal; undefined where none is."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the abnormal that is decided abnormal (sensitivity)."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def kappa(self) -> float:
        """Cohen's kappa, (p_o - p_e) / (1 - p_e); undefined where the labels have one class."""
        abnormal = self.true_positive + self.false_negative
        normal = self.total - abnormal
        if not abnormal or not normal:
            return NAN
        decided = self.true_positive + self.false_positive
        chance = (abnormal * decided + normal * (self.total - decided)) / self.total**2
        return (self.accuracy - chance) / (1 - chance)


def score(labels: Labels, probabilities: Probabilities) -> dict[Metric, float]:
    """All five metrics of probabilities [N] against labels 0/1 [N].

    Raises:
        ValueError: a probability is not finite.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not a finite number")
    confusion = Confusion.of(labels, probabilities)
    both = 0 < int(labels.sum()) < len(labels)
    return {
        Metric.AUC: float(roc_auc_score(labels, probabilities)) if both else NAN,
        Metric.ACCURACY: confusion.accuracy,
        Metric.PRECISION: confusion.precision,
        Metric.RECALL: confusion.recall,
        Metric.KAPPA: confusion.kappa,
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else NAN
