"""Cases 23 to 26: what is no plain file is never opened; what cannot be read, or changes, says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.corpus.case import Case, verify
from tests.corpus.names import NAMES
from tests.corpus.unsteady import UNSTEADY, Unsteady


@pytest.mark.parametrize("case", NAMES, ids=str)
def test_a_name_or_a_link_leads_nowhere_else(case: Case, here: Path) -> None:
    verify(case, here)


@pytest.mark.parametrize("item", UNSTEADY, ids=lambda item: str(item.case))
def test_what_may_not_be_read_or_changes_is_said_to(
    item: Unsteady, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def during() -> Iterator[None]:
        with monkeypatch.context() as patched:
            item.fault(patched)
            yield

    verify(item.case, here, during)
