"""All gates by name."""

from tests.fuzz import artifacts, sources, words
from tests.fuzz.gate import Gate

TARGETS: dict[str, Gate] = {gate.name: gate for gate in (*sources.GATES, *words.GATES, *artifacts.GATES)}
