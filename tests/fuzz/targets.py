"""All gates by name; what they need is loaded with them: those of text do without torch."""

from importlib import import_module

from tests.fuzz.gate import Gate

PLACES = {
    **dict.fromkeys(("manifest", "mura", "path", "picture"), "sources"),
    "words": "words",
    **dict.fromkeys(("record", "state", "model", "recogniser", "bundle"), "artifacts"),
}


def gate_of(name: str) -> Gate:
    """The gate of that name."""
    gates: list[Gate] = import_module(f"tests.fuzz.{PLACES[name]}").GATES
    return next(gate for gate in gates if gate.name == name)
