"""Each gate on its seeds and a few hundred blind changes of them: so that the targets never rot."""

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import PLACES, gate_of

BLIND = {"words": 30, "state": 100, "mura": 150}
NIGHTLY = 20_000


@pytest.mark.parametrize("name", PLACES)
def test_only_a_gates_own_errors_come_out_of_it(name: str) -> None:
    gate = gate_of(name)
    seeds = gate.seeds()
    lets_in = [gate.try_(seed) for seed in seeds]
    assert any(lets_in)  # else nothing behind the gate is ever reached
    for data in mutated(seeds, BLIND.get(name, 300)):
        gate.try_(data)


@pytest.mark.nightly
@pytest.mark.parametrize("name", PLACES)
def test_nor_after_thousands_of_changes(name: str) -> None:
    gate = gate_of(name)
    for data in mutated(gate.seeds(), NIGHTLY, seed=1):
        gate.try_(data)


def test_a_finding_is_not_swallowed() -> None:
    """The negative control: an error that is none of the gate's comes out."""
    from dataclasses import replace

    def broken(data: bytes) -> None:
        raise KeyError(data)

    with pytest.raises(KeyError):
        replace(gate_of("path"), enter=broken).try_(b"a")


def test_the_changes_are_the_same_every_time() -> None:
    seeds = [b"one", b"two,three"]
    assert list(mutated(seeds, 50)) == list(mutated(seeds, 50))
    assert len(set(mutated(seeds, 50))) > 40
