import pytest
import torch
import typer

from murace.cli.display.console import running
from murace.errors import Interrupted


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("too much"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_memory_that_is_not_there_is_the_machines_error(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, running():
        raise error
    assert left.value.exit_code == 5
    printed = capsys.readouterr().err
    assert printed.startswith("error: out of memory")
    assert "See the documentation" not in printed


@pytest.mark.parametrize("words", [(), ("--force",), ("--fresh", "--force")])
def test_a_command_with_hundreds_of_paths_is_not_repeated(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"valid/XR_ELBOW/patient{number:05}/study1_positive" for number in range(220)]
    monkeypatch.setattr("sys.argv", ["murace", "cam", *paths, *words])
    with pytest.raises(typer.Exit), running():
        raise Interrupted(2)
    but = f" without {' and '.join(sorted(words))}" if words else ""
    said = f"interrupted by SIGINT; what was done is saved. To go on: the same command again{but}\n"
    assert capsys.readouterr().err == said


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(RuntimeError, match="a bug"), running():
        raise RuntimeError("a bug")
