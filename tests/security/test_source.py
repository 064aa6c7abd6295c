"""No module of murace does what could run foreign code, reach the network or write past the one writer (S1)."""

import re

import pytest

from tests.security.names import uses
from tests.security.rules import PACKAGE, RULES, Rule, faults
from tests.security.snippets import FORBIDDEN, HARMLESS

MODULES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}
TEMPLATES = {path.name: path.read_text() for path in sorted((PACKAGE / "report" / "templates").iterdir())}
GATES = [(rule, module) for rule in RULES for module in rule.gates]


def test_no_module_does_what_is_forbidden_outside_its_gate() -> None:
    assert [fault for module, source in MODULES.items() for fault in faults(source, module)] == []


@pytest.mark.parametrize(("rule", "module"), [pytest.param(*gate, id=f"{gate[0].what}, {gate[1]}") for gate in GATES])
def test_an_exception_is_used_or_struck_out(rule: Rule, module: str) -> None:
    assert any(map(rule.hits, uses(MODULES[module]))), "this gate is no gate: take it off the list"


def test_the_lock_asks_the_network_only_for_this_machines_name() -> None:
    named = {use.name for use in uses(MODULES["workspace/lock.py"]) if use.name.startswith("socket")}
    assert named == {"socket", "socket.gethostname"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_turns_escaping_off_or_leads_elsewhere(name: str) -> None:
    outside = r"<script|javascript:|https?:|\son[a-z]+=|<(?:iframe|object|embed|form|link|base)\b|@import|url\("
    assert re.findall(rf"\|\s*safe|autoescape|{outside}", TEMPLATES[name]) == []


@pytest.mark.parametrize("snippet", FORBIDDEN)
def test_the_walk_bites(snippet: str) -> None:
    assert faults(snippet, "made_up.py")


@pytest.mark.parametrize("snippet", HARMLESS)
def test_the_walk_leaves_the_harmless_alone(snippet: str) -> None:
    assert faults(snippet, "made_up.py") == []
