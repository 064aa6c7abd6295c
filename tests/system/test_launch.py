import pytest

from murace.errors import UsageError
from murace.system.launch import VARIABLES, Launch, launch, require_launch

GOOD = ("1", "4", "1", "2", "127.0.0.1", "29500")


def export(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for name, value in {**dict(zip(VARIABLES, GOOD, strict=True)), **changed}.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_sets_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch)
    require_launch()
    assert launch() == Launch(1, 4, 1, 2)


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers and job scripts export them."""
    export(monkeypatch, **{name: ""})
    require_launch()
    assert launch() == Launch()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two'"),
        ({"RANK": "x", "LOCAL_RANK": "-1"}, "RANK='x', LOCAL_RANK='-1'"),
        ({"MASTER_PORT": "tcp://10.0.0.1:80"}, "MASTER_PORT='tcp://10.0.0.1:80'"),
        ({"RANK": "4"}, "RANK='4', WORLD_SIZE='4'"),
        ({"WORLD_SIZE": "0"}, "RANK='1', WORLD_SIZE='0'"),
        ({"LOCAL_WORLD_SIZE": "1"}, "LOCAL_RANK='1', LOCAL_WORLD_SIZE='1'"),
    ],
)
def test_what_torchrun_never_sets_is_named(changed: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch, **changed)
    assert launch() == Launch()
    with pytest.raises(UsageError) as refused:
        require_launch()
    assert str(refused.value) == (
        f"{said} in the environment: not what torchrun sets. For a single process: unset {' '.join(VARIABLES)}"
    )
