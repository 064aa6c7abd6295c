"""All cases, by what they need around them."""

from tests.corpus.arguments import ARGUMENTS, OVERLAYS
from tests.corpus.case import Case
from tests.corpus.manifests import MANIFESTS
from tests.corpus.names import NAMES
from tests.corpus.pictures import CASES
from tests.corpus.unsteady import UNSTEADY
from tests.corpus.workspaces import FINISHED, PLACES, UNFINISHED

SOURCES: list[Case] = [*CASES, *NAMES, *UNSTEADY, *MANIFESTS]  # these need no net, and so no torch
ALL: dict[str, list[Case]] = {
    "sources": SOURCES,
    "arguments": ARGUMENTS,
    "unfinished": [*UNFINISHED, *PLACES],
    "finished": [*FINISHED, *OVERLAYS],
}
