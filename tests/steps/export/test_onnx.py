"""The graph says what the net says, and tells nothing of the machine that it was made on."""

import signal
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from murace.errors import Interrupted, MachineError, UsageError
from murace.nets import Learner, create
from murace.nets.trained import TrainedNet
from murace.steps.export import onnx_folder
from murace.steps.export.onnx_folder import OnnxEnsemble, convert_all, refuse_foreign
from murace.steps.export.onnx_graph import onnx_probabilities, open_session, require_packages, to_onnx
from murace.system.device import Place
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed
from murace.vocabulary import DISCLAIMER

SIZE = 64
pytestmark = pytest.mark.kernels
for name in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(name)


def net_of(learner: str) -> Learner:
    """With running statistics, and a head that spreads the log-odds of the pictures around 0.

    By half a unit: with two of them the last bits of the convnet's log-odds, which are all but the same before the
    head spreads them, made 6e-5 of the 1e-4 that are allowed, differently with each processor's kernels.
    """
    torch.manual_seed(1)
    net = create(learner, width=0.1, size=SIZE)
    images = torch.from_numpy(pictures(11)).float().div(255)[:, None]
    with torch.no_grad():
        for _ in range(20):
            net.train()(images)
        net.eval()
        logits = net(images)
        scale = 0.5 / (logits[:, 1] - logits[:, 0]).std()
        net.head.weight.mul_(scale)
        net.head.bias.sub_(logits.mean(dim=0)).mul_(scale)
    return net


@cache
def graph_of(learner: str) -> bytes:
    """Made once, since it takes seconds."""
    return to_onnx(net_of(learner), size=SIZE)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's tests take the graph that is there."""
    monkeypatch.setattr(onnx_folder, "to_onnx", lambda net, *, size: graph_of(type(net).__name__.lower()))


def pictures(count: int) -> np.ndarray:
    """Noise at very different brightness."""
    generator = np.random.default_rng(0)
    bright = generator.integers(1, 256, (count, 1, 1))
    return (generator.integers(0, 256, (count, SIZE, SIZE)) * bright // 256).astype(np.uint8)


def member(learner: str = "convnet", precision: str = "fp32") -> TrainedNet:
    place = Place(torch.device("cpu"), precision)
    return TrainedNet(
        learner=learner, load=lambda: net_of(learner), sha256="a" * 64, place=place, size=SIZE, fit="squash"
    )


def ensemble(members: dict[str, TrainedNet] | None = None) -> OnnxEnsemble:
    return OnnxEnsemble(
        members=members or {"elbow": member()},
        images=lambda group: pictures(11),
        readout={"temperature": {"elbow": 1.5}, "points": {"half": 0.5, "youden": None}},
        data={"synthetic": True},
    )


@pytest.mark.parametrize("learner", ["convnet", "resnet", pytest.param("densenet", marks=pytest.mark.slow)])
def test_the_graph_answers_as_the_net_for_any_number_of_views(learner: str) -> None:
    net = net_of(learner)
    session = open_session(graph_of(learner))
    for count in (1, 2, 11):
        images = pictures(count)
        with torch.no_grad():
            wanted = torch.softmax(net(torch.from_numpy(images).float().div(255)[:, None]).double(), dim=1)[
                :, 1
            ].numpy()
        found = onnx_probabilities(session, images)
        assert np.abs(found - wanted).max() < 1e-4
        (odds,) = session.run(["log_odds"], {"image": images[:, None]})
        assert np.allclose(1 / (1 + np.exp(-odds.astype(np.float64))), wanted, atol=1e-4)
    assert np.ptp(found) > 0.01  # or nothing would have been compared


def test_the_same_net_gives_the_same_bytes_and_they_tell_no_path() -> None:
    data = graph_of("convnet")
    assert to_onnx(net_of("convnet"), size=SIZE) == data
    model = import_module("onnx").load_from_string(data)
    for tensor in model.graph.initializer:  # weights may hold any bytes
        tensor.ClearField("raw_data")
    for word in (b"/", b".py", b"site-packages", b"Error"):
        assert word not in model.SerializeToString()
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        assert len(part.metadata_props) == 0
        assert part is model or part.doc_string == ""
    assert model.doc_string == DISCLAIMER
    assert not model.functions


def test_bytes_are_the_only_input_so_that_nobody_scales_twice() -> None:
    session = open_session(graph_of("convnet"))
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("image", "tensor(uint8)", [1, SIZE, SIZE])
    with pytest.raises(Exception, match="Unexpected input data type"):
        session.run(None, {"image": np.zeros((1, 1, SIZE, SIZE), np.float32)})


def test_the_exporter_says_nothing(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    open_session(to_onnx(net_of("convnet"), size=SIZE))
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


@pytest.mark.usefixtures("quick")
def test_the_folder_holds_all_members_and_how_to_use_them(tmp_path: Path) -> None:
    members = {"elbow": member(), "wrist": member("resnet", "bf16")}
    done = convert_all(tmp_path / "out", ensemble(members), reporter=Reporter())
    assert not done.skipped
    content = read_sealed(tmp_path / "out" / "ensemble.json")
    assert content == done.content
    assert content["disclaimer"] == DISCLAIMER
    assert content["points"] == {"half": 0.5, "youden": None}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names - {".lock"} == {"ensemble.json", "elbow.onnx", "wrist.onnx"}
    elbow, wrist = content["groups"]["elbow"]["checked"], content["groups"]["wrist"]["checked"]
    assert elbow["images"] == 11
    assert elbow["largest_difference"] < 1e-4
    assert elbow["bf16_difference"] is None
    assert wrist["largest_difference"] < 1e-4 < wrist["bf16_difference"]
    assert str(tmp_path) not in (tmp_path / "out" / "ensemble.json").read_text()


@pytest.mark.usefixtures("quick")
def test_a_second_run_has_nothing_to_do_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert_all(out, ensemble(), reporter=Reporter())
    with monkeypatch.context() as patch:
        patch.setattr(onnx_folder, "to_onnx", lambda *rest, **more: pytest.fail("it was made again"))
        assert convert_all(out, ensemble(), reporter=Reporter()).skipped
    other = {"elbow": replace(member(), sha256="b" * 64)}
    assert not convert_all(out, ensemble(other), reporter=Reporter()).skipped
    (out / "elbow.onnx").write_bytes(b"damaged")
    assert not convert_all(out, ensemble(other), reporter=Reporter()).skipped
    (out / "ensemble.json").write_text('{"format": "murace-onnx", "groups": 3}')
    assert not convert_all(out, ensemble(other), reporter=Reporter()).skipped


@pytest.mark.usefixtures("quick")
def test_a_graph_that_differs_from_its_net_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"elbow": member(), "wrist": member("resnet")}
    real = onnx_folder.onnx_probabilities

    def slightly_off(session: object, prepared: np.ndarray) -> np.ndarray:
        return real(session, prepared) + 2e-4

    for wrong in (slightly_off, lambda session, prepared: real(session, prepared) * np.nan):
        monkeypatch.setattr(onnx_folder, "onnx_probabilities", wrong)
        with pytest.raises(MachineError, match="the ONNX graph of elbow differs from its net"):
            convert_all(tmp_path / "deep" / "out", ensemble(members), reporter=Reporter())
        assert not (tmp_path / "deep" / "out").exists()


@pytest.mark.usefixtures("quick")
def test_a_signal_leaves_what_was_there(tmp_path: Path) -> None:
    out, reporter = tmp_path / "out", Reporter()
    convert_all(out, ensemble(), reporter=Reporter())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    reporter.signum = signal.SIGINT
    with pytest.raises(Interrupted):
        convert_all(out, ensemble({"elbow": replace(member(), sha256="b" * 64)}), reporter=reporter)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elbow.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds files that are not of murace export"):
        refuse_foreign(tmp_path)
    (tmp_path / "ensemble.json").write_text("{}")
    with pytest.raises(UsageError):
        refuse_foreign(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        refuse_foreign(tmp_path / "elbow.onnx")
    refuse_foreign(tmp_path / "new")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_packages()
    monkeypatch.setattr("murace.steps.export.onnx_graph.PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(MachineError, match=r'^ONNX needs: pip install "murace\[onnx\]"$'):
        require_packages()
