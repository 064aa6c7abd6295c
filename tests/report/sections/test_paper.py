import pandas as pd
import pytest

from murace.report.sections.paper import is_paper_test_set, paper_table, paper_values


def test_tables_are_packaged_whole() -> None:
    assert [len(paper_table(number)) for number in (1, 2, 3, 5)] == [8, 3, 200, 72]
    assert paper_values(3, ("model", "group", "metric"))["calibrated", "humerus", "auc"] == 0.97
    assert paper_table(1).set_index("group").loc["overall"].sum() == 40_005


def test_other_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="no table 4"):
        paper_table(4)


def test_the_papers_test_set_is_told_by_its_counts() -> None:
    counts = paper_table(1)
    assert is_paper_test_set(counts.sample(frac=1, random_state=0))
    assert not is_paper_test_set(counts.assign(test_positive=counts["test_positive"] - 1))
    assert not is_paper_test_set(pd.concat([counts, counts.tail(1).assign(group="hip")]))
