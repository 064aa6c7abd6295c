"""The paper's tables as numbers: shown in grey beside ours, for orientation."""

from collections.abc import Iterable
from importlib import resources

import pandas as pd

TABLES = (1, 2, 3, 5)
CITATION = (
    "He M, Wang X, Zhao Y. A calibrated deep learning ensemble for abnormality detection in musculoskeletal "
    "radiographs. Scientific Reports, 2021. CC BY 4.0."
)


def paper_table(number: int) -> pd.DataFrame:
    """Read one of the paper's tables.

    Args:
        number: 1 (images per group), 2 (training), 3 (test scores) or 5 (validation scores).

    Raises:
        ValueError: the paper has no such table of numbers.
    """
    if number not in TABLES:
        raise ValueError(f"no table {number} of the paper is packaged; there are {', '.join(map(str, TABLES))}")
    with resources.files("murace.report").joinpath("paper", f"table{number}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def paper_values(number: int, keys: Iterable[str]) -> dict[tuple[str, ...], float]:
    """The `value` column of table 3 or 5 under its key columns, such as ``("resnet", "elbow", "auc")``."""
    table = paper_table(number)
    names = zip(*(table[key].astype(str) for key in keys), strict=True)
    return dict(zip(names, table["value"].astype(float), strict=True))


def is_paper_test_set(counts: pd.DataFrame) -> bool:
    """Whether the test images, group by group, are as many as the paper's: then the numbers are about the same data."""
    columns = ["group", "test_positive", "test_negative"]
    ours = set(counts[columns].itertuples(index=False, name=None))
    return ours == set(paper_table(1)[columns].itertuples(index=False, name=None))
