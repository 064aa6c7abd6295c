"""Pickles in place of every artifact that a command reads, with its digest as it was, and forged to fit (S2)."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from murace.system.files import sha256
from murace.system.sealed import read_sealed, write_sealed
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, NARROW, done, error_lines, typed
from tests.data.files import make_manifest
from tests.security import gadgets
from tests.security.test_pickles import NAMES
from tests.security.watched import CODE, watched

pytestmark = pytest.mark.crash

STUDY, OUT, BUNDLE = "STUDY", "OUT", "BUNDLE"  # stand for paths in the commands below
TRAIN = ("train", "--arch", "convnet", *NARROW, "--epochs", 2)
MORE = ("train", "--arch", "convnet", *NARROW, "--epochs", 3)
CALIBRATE = ("calibrate", "--force", "--resamples", 100, *CPU)
EVALUATE = ("evaluate", "--resamples", 100, *CPU)
CAM = ("cam", STUDY, "--group", "elbow", "--out", OUT, *CPU)
PREDICT = ("predict", STUDY, "--out", f"{OUT}/p.csv", *CPU)
ARTIFACTS: dict[str, Sequence[object]] = {
    "prepare/index.csv": TRAIN,
    "prepare/pixels.npy": TRAIN,
    "prepare/counts.csv": EVALUATE,
    "train/resnet/model.safetensors": CALIBRATE,
    "train/convnet/predictions.csv": CALIBRATE,
    "train/convnet/history.csv": EVALUATE,
    "calibrate/roster.json": CAM,
    "calibrate/scores.csv": EVALUATE,
    "calibrate/recogniser.safetensors": PREDICT,
    "finetune/elbow/model.safetensors": CAM,
    "finetune/elbow/predictions.csv": EVALUATE,
    "evaluate/predictions.csv": EVALUATE,
    "evaluate/operating.json": PREDICT,
    "evaluate/scores.csv": ("evaluate", *CPU),
}
RECORDS: dict[str, Sequence[object]] = {
    "prepare/step.json": TRAIN,
    "train/convnet/step.json": CALIBRATE,
    "calibrate/step.json": CAM,
    "finetune/elbow/step.json": CAM,
    "evaluate/step.json": PREDICT,
    "train/convnet/begun.json": TRAIN,
}


# What `evaluate` has made itself, it makes anew where the bytes are not the recorded ones.
MENDED = (
    "evaluate/predictions.csv",
    "evaluate/scores.csv",
    "prepare/counts.csv",
    "train/convnet/history.csv",
    "calibrate/scores.csv",
)
# A command gets this far after seconds: three of the gadgets, of which each gate alone meets all ten.
SLOW = ("prepare/counts.csv", "train/convnet/history.csv", "calibrate/scores.csv", "finetune/elbow/predictions.csv")


def some(marker: Path) -> dict[str, bytes]:
    corpus = gadgets.corpus(marker)
    return {name: corpus[name] for name in ("in plain ASCII", "numpy's constructor", "in a state's optimiser")}


def forge(path: Path) -> None:
    """Seal the step's record anew, so that it tells of these very bytes."""
    record = read_sealed(path.parent / "step.json")
    status = path.stat()
    seen = {"size": status.st_size, "modified": status.st_mtime_ns, "sha256": sha256(path)}
    write_sealed(path.parent / "step.json", {**record, "produced": {**record["produced"], path.name: seen}})


def line_of(words: Sequence[object], workspace: Workspace, study: Path) -> list[object]:
    places = {STUDY: str(study), OUT: str(workspace.root.parent / "out")}
    spelled = [
        word.replace(OUT, places[OUT]) if isinstance(word, str) and word.startswith(OUT) else word for word in words
    ]
    return [*(places.get(str(word), word) for word in spelled), "-w", workspace.root]


def refuses(words: Sequence[object], marker: Path, *, codes: Sequence[int] = (4,)) -> str:
    """What a command says that must not have run the gadget, nor stumble over it."""
    with watched() as events:
        said = typed(*words)
    assert said.exit_code in codes, said.output + repr(said.exception)
    assert not marker.exists()
    assert [event for event in events if event.startswith(CODE)] == []
    return "; ".join(error_lines(said))


@pytest.fixture
def study(source: Path) -> Path:
    return source / "test" / "elbow" / "p1" / "s1"


@pytest.mark.parametrize("name", ARTIFACTS)
def test_a_pickle_in_an_artifacts_place(name: str, finished: Workspace, study: Path, tmp_path: Path) -> None:
    path, marker = finished.root / name, tmp_path / "marker"
    record = path.parent / "step.json"
    whole, told = path.read_bytes(), record.read_bytes()
    line = line_of(ARTIFACTS[name], finished, study)
    for gadget, data in (some if name in SLOW else gadgets.corpus)(marker).items():
        path.write_bytes(data)
        if name not in MENDED:
            assert path.name in refuses(line, marker), gadget
        forge(path)
        assert path.name in refuses(line, marker), gadget
        path.write_bytes(whole)
        record.write_bytes(told)


@pytest.mark.parametrize("name", RECORDS)
def test_a_pickle_in_a_records_place(name: str, finished: Workspace, study: Path, tmp_path: Path) -> None:
    path, marker = finished.root / name, tmp_path / "marker"
    for data in gadgets.corpus(marker).values():
        path.write_bytes(data)
        # A step's own note that is no note is as none; all else is refused.
        codes = (0,) if path.name == "begun.json" else (4,)
        said = refuses(line_of(RECORDS[name], finished, study), marker, codes=codes)
        assert path.name == "begun.json" or path.name in said


@pytest.mark.parametrize("kind", ["state", "best", "record"])
def test_a_pickle_in_a_checkpoint(kind: str, finished: Workspace, study: Path, tmp_path: Path) -> None:
    marker, folder = tmp_path / "marker", finished.train("convnet").checkpoint
    record = max(folder.glob("*.json"))
    told = read_sealed(record)
    path = record if kind == "record" else folder / told["file" if kind == "state" else "best"]["name"]
    whole = path.read_bytes()
    for data in gadgets.corpus(marker).values():
        path.write_bytes(data)
        assert path.name in refuses(line_of(MORE, finished, study), marker)
        if kind != "record":
            key = "file" if kind == "state" else "best"
            write_sealed(record, {**told, key: {"name": path.name, "sha256": sha256(path)}})
            if kind == "state":
                assert path.name in refuses(line_of(MORE, finished, study), marker)
        path.write_bytes(whole)
        write_sealed(record, told)


def test_best_weights_that_are_a_pickle(finished: Workspace, study: Path, tmp_path: Path) -> None:
    """They are read when the training ends: one that has nothing left to train gets there at once."""
    marker, folder = tmp_path / "marker", finished.train("convnet").checkpoint
    record = max(folder.glob("*.json"))
    told = read_sealed(record)
    path = folder / told["best"]["name"]
    finished.train("convnet").model.unlink()  # to be made again from the best weights
    for data in some(marker).values():
        path.write_bytes(data)
        write_sealed(record, {**told, "best": {"name": path.name, "sha256": sha256(path)}})
        assert path.name in refuses(line_of(TRAIN, finished, study), marker)


def test_pickles_in_what_an_unfinished_prepare_has_left(tmp_path: Path) -> None:
    """Whatever is not whole there is read again."""
    marker, manifest = tmp_path / "marker", make_manifest(tmp_path / "source")
    for number, data in enumerate(gadgets.corpus(marker).values()):
        folder = tmp_path / f"w{number}"
        line = ("prepare", manifest, "--size", 16, "--jobs", 1, "-w", folder)
        partial = folder / "prepare" / "partial"
        partial.mkdir(parents=True)
        for name in ("about.json", "chunk-000000-40.json", "pixels.npy"):
            (partial / name).write_bytes(data)
        refuses(line, marker, codes=(0,))
        (folder / "prepare" / "sources.csv").write_bytes(data)
        refuses(line, marker, codes=(0, 4))
        (folder / "prepare" / "sources.csv").write_bytes(data)
        forge(folder / "prepare" / "sources.csv")
        assert "sources.csv" in refuses(line, marker)


def test_pickles_in_what_the_net_answered_before(finished: Workspace, study: Path, tmp_path: Path) -> None:
    from murace.workspace import begin, read

    marker, record = tmp_path / "marker", read(finished.evaluate.folder)
    for data in list(gadgets.corpus(marker).values())[:4]:
        begin(finished.evaluate.folder, "evaluate", record.params, record.consumed)
        finished.evaluate.partial.mkdir(exist_ok=True)
        (finished.evaluate.partial / "train-convnet.json").write_bytes(data)
        with watched() as events:
            typed(*line_of(("evaluate", *CPU), finished, study))
        assert not marker.exists()
        assert [event for event in events if event.startswith(CODE)] == []


def test_pickles_that_are_handed_over_or_typed(finished: Workspace, study: Path, tmp_path: Path) -> None:
    marker, out = tmp_path / "marker", tmp_path / "out"
    done(*line_of(CAM, finished, study))
    (drawn,) = out.glob("*/study.json")
    for number, data in enumerate(gadgets.corpus(marker).values()):
        names = {kind: tmp_path / f"{number}.{kind}" for kind in ("murace", "csv", "png", "dcm")}
        for path in names.values():
            path.write_bytes(data)
        asked = ("predict", study, *CPU, "--out", tmp_path / f"{number}-p.csv")
        refuses((*asked, "--model", names["murace"]), marker)
        refuses(("prepare", names["csv"], "-w", tmp_path / "new"), marker, codes=(3,))
        refuses(("score", names["csv"]), marker, codes=(3,))
        refuses(line_of(("cam", "--check", names["csv"], *CPU), finished, study), marker, codes=(3,))
        for kind in ("png", "dcm"):
            line = ("predict", names[kind], "--group", "elbow", "--out", tmp_path / f"{number}-{kind}.csv", *CPU)
            refuses(line_of(line, finished, study), marker, codes=(3,))
        for name in ("study.json", "begun.json"):
            (drawn.parent / name).write_bytes(data)
            refuses(line_of(CAM, finished, study), marker, codes=(2,))
            (drawn.parent / "begun.json").unlink(missing_ok=True)


def test_the_corpus_is_whole(tmp_path: Path) -> None:
    assert len(NAMES) == len(gadgets.corpus(tmp_path / "marker")) == 10
