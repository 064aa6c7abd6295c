"""How many examples a property is tried on."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NIGHTLY = 2000


def sizes(quick: int = 100) -> Any:
    """A test with `examples`: few in every run, thousands with `-m nightly`."""
    nightly = pytest.param(NIGHTLY, marks=pytest.mark.nightly)
    return pytest.mark.parametrize("examples", [quick, nightly])


def holds(law: Callable[..., None], examples: int, *given_: st.SearchStrategy[Any]) -> None:
    """Try a law on so many examples."""
    settings(max_examples=examples, deadline=None, database=None)(given(*given_)(law))()
