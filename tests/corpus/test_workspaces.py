"""Cases 39 to 46: nothing in a workspace is believed because it lies there, and nothing that comes with data runs."""

import shutil
from pathlib import Path

import pytest

from murace.workspace.paths import Workspace
from tests.corpus.case import Case, parameters, verify
from tests.corpus.workspaces import FINISHED, PLACES, UNFINISHED


@pytest.mark.parametrize("case", parameters(UNFINISHED))
def test_a_training_goes_on_from_what_it_has_left_or_not_at_all(case: Case, here: Path, unfinished: Path) -> None:
    shutil.copytree(unfinished, here / "workspace")
    verify(case, here)


@pytest.mark.parametrize("case", parameters(FINISHED))
def test_no_model_is_loaded_that_murace_has_not_written(case: Case, here: Path, finished: Workspace) -> None:
    finished.root.rename(here / "workspace")
    verify(case, here)


@pytest.mark.parametrize("case", parameters(PLACES))
def test_a_place_that_is_no_workspace_says_so(case: Case, here: Path) -> None:
    verify(case, here)
