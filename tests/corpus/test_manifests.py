"""Cases 1 and 27 to 38: csv files that lie, contradict themselves or are none."""

from pathlib import Path

import pytest

from tests.corpus.case import Case, parameters, verify
from tests.corpus.manifests import MANIFESTS


@pytest.mark.parametrize("case", parameters(MANIFESTS))
def test_a_source_is_taken_at_its_word_or_refused_with_the_line(case: Case, here: Path) -> None:
    verify(case, here)
