import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from murace.report.curves.roc import decision_point


def test_the_dot_is_the_decision_at_one_half() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=200)
    probabilities = np.round(rng.uniform(size=200) * 0.6 + labels * 0.2, 1)
    fpr, tpr, threshold = roc_curve(labels, probabilities, drop_intermediate=False)
    point = decision_point(pd.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": threshold}))
    called = probabilities >= 0.5
    assert point["tpr"].item() == called[labels == 1].mean()
    assert point["fpr"].item() == called[labels == 0].mean()
