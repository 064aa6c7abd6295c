import pytest

from murace.errors import MachineError
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.training import fit as real_fit
from murace.training import run
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_config, tiny_workspace


@pytest.mark.parametrize(("epochs", "story"), [(0, "no epoch was finished"), (1, "the finished epochs are saved")])
def test_out_of_memory_says_what_is_saved(tmp_path, monkeypatch: pytest.MonkeyPatch, epochs: int, story: str) -> None:
    def fit(*given, **more):  # type: ignore[no-untyped-def]
        left = epochs
        for event in real_fit(*given, **more) if left else ():
            yield event
            left -= 1
            if not left:
                break
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(run, "fit", fit)
    workspace = tiny_workspace(tmp_path / "a")
    with pytest.raises(MachineError) as ended:
        train.run(Workspace(workspace.root), tiny_config(), machine=CPU, rerun=Rerun(), reporter=Reporter())
    assert str(ended.value) == (f"out of memory with --batch-size 8; {story}. Start over with --fresh --batch-size 4")
    assert bool(list(workspace.train("convnet").checkpoint.glob("0*.json"))) is bool(epochs)
