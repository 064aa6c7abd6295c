import pytest
import torch
import typer

from murace.cli.console import running


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


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(RuntimeError, match="a bug"), running():
        raise RuntimeError("a bug")
