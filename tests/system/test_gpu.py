import pytest
import torch

from murace.system import gpu

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["nvidia-smi", "/dev/nvidia0"])
def test_a_gpu_is_seen_by_its_drivers_program_or_its_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("shutil.which", lambda asked: asked if asked == name else None)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: str(path) == name)
    assert gpu.sees_gpu()
    monkeypatch.setattr("shutil.which", lambda asked: None)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)
    assert not gpu.sees_gpu()


def test_a_small_convolution_has_gradients_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    gpu._convolve(CPU)
    assert waited == [CPU]


@pytest.mark.parametrize(
    ("architecture", "held", "runs"),
    [
        ("sm_86", ["sm_75", "sm_80"], True),  # code of an earlier minor version
        ("sm_86", ["sm_75", "sm_90"], False),
        ("sm_75", ["sm_86"], False),
        ("sm_120", ["sm_90", "sm_120a"], True),
        ("sm_120", ["compute_120"], False),
    ],
)
def test_whose_code_runs_on_which_architecture(architecture: str, held: list[str], runs: bool) -> None:
    assert gpu._has_code(architecture, held) is runs
