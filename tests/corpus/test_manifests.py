"""Cases 1 and 27 to 38: csv files that lie, contradict themselves or are none."""

from pathlib import Path

import pytest

from tests.corpus.case import Case, verify
from tests.corpus.manifests import MANIFESTS


@pytest.mark.parametrize("case", MANIFESTS, ids=str)
def test_a_source_is_taken_at_its_word_or_refused_with_the_line(case: Case, here: Path) -> None:
    verify(case, here)
