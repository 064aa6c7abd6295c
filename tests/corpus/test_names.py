"""Cases 23 to 26: what is no plain file is never opened; what cannot be read, or changes, says so."""

from pathlib import Path

import pytest

from tests.corpus.case import Case, parameters, verify
from tests.corpus.names import NAMES
from tests.corpus.unsteady import UNSTEADY


@pytest.mark.parametrize("case", parameters(NAMES))
def test_a_name_or_a_link_leads_nowhere_else(case: Case, here: Path) -> None:
    verify(case, here)


@pytest.mark.parametrize("case", parameters(UNSTEADY))
def test_what_may_not_be_read_or_changes_is_said_to(case: Case, here: Path) -> None:
    verify(case, here)
