"""Cases 47 and 48: what is typed is checked before anything begins; no name of a file is ever a command or markup."""

from pathlib import Path

import pytest

from murace.workspace.paths import Workspace
from tests.corpus.arguments import ARGUMENTS, OVERLAYS
from tests.corpus.case import Case, parameters, verify


@pytest.mark.parametrize("case", parameters(ARGUMENTS))
def test_a_value_that_cannot_be_is_usage(case: Case, here: Path) -> None:
    verify(case, here)


@pytest.mark.parametrize("case", parameters(OVERLAYS))
def test_a_name_is_a_name(case: Case, here: Path, finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURACE_WORKSPACE", str(finished.root))
    verify(case, here)
