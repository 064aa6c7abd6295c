"""A disk that fails at each write of each step: exit 5 in one line, nothing torn, and the same command finishes later.

Every operation of an undisturbed run is counted, then the run is repeated with a full disk at each of them, and at some
of them with one that is broken, forbidden, read-only or over quota. Long steps are broken at every kind of place.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from murace.sample.plan import plan
from murace.system.files import TEMPORARY, sha256
from murace.workspace import begun, damaged, read
from murace.workspace.paths import BEGUN, RECORD
from tests.cli.typed import CPU, MEMBER, NARROW, done, error_lines, typed
from tests.crash.faultdisk import REMOVES, Disk, Operation, watched
from tests.workshop import tiny_workspace

pytestmark = pytest.mark.crash

FULL = (errno.ENOSPC,)
OTHERS = (errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES)
NOT_FOR_REMOVING = (errno.ENOSPC, errno.EDQUOT)  # no disk is too full for that
EVERY = 5  # each so many-th operation fails in one of the other ways too


@dataclass(frozen=True)
class Case:
    """A command in the folder `work`, what in it is its own, and what it must leave the same to the byte."""

    words: tuple[object, ...]
    own: tuple[str, ...]
    same: tuple[str, ...]
    most: int = 1000
    standing_in: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("prepare", "train", "calibrate", "finetune", "evaluate")
    more: dict[str, Any] = field(default_factory=dict)


HERE = ("-w", "workspace")
PURE = [f"murace.steps.evaluate.step.{name}" for name in ("analyse", "figures", "render", "model_card", "pictures")]
CASES = {
    "prepare": Case(
        ("prepare", "../source/manifest.csv", "-w", "new", "--size", 64, "--jobs", 1),
        own=("new",),
        same=("new/prepare/pixels.npy", "new/prepare/index.csv", "new/prepare/counts.csv"),
        most=40,
        needs=(),
        more={"murace.data.ingest.chunks.CHUNK_IMAGES": 15},
    ),
    "train": Case(
        ("train", "--arch", "convnet", *NARROW, "--epochs", 2, "--seed", 1, "--batch-size", 8, *HERE),
        own=("workspace/train/convnet",),
        same=("workspace/train/convnet/model.safetensors", "workspace/train/convnet/predictions.csv"),
        needs=("prepare", "train"),
    ),
    "calibrate": Case(
        ("calibrate", *CPU, *HERE, "--force"),
        own=("workspace/calibrate",),
        same=tuple(f"workspace/calibrate/{name}" for name in ("scores.csv", "roster.json", "recogniser.safetensors")),
        needs=("prepare", "train", "calibrate"),
    ),
    "finetune": Case(
        ("finetune", *MEMBER, "--groups", "elbow", "--seed", 1, *HERE),
        own=("workspace/finetune/elbow",),
        same=("workspace/finetune/elbow/model.safetensors", "workspace/finetune/elbow/predictions.csv"),
        most=40,
        needs=("prepare", "train", "calibrate", "finetune"),
    ),
    "evaluate": Case(
        ("evaluate", *CPU, *HERE, "--fresh", "--resamples", 100),
        own=("workspace/evaluate",),
        same=tuple(f"workspace/evaluate/{name}" for name in ("predictions.csv", "scores.csv", "operating.json")),
        most=30,
        standing_in=tuple(PURE),
    ),
    "cam": Case(
        ("cam", "../source/test/elbow/p0", *CPU, *HERE, "--group", "elbow", "--out", "maps"),
        own=("maps",),
        same=("maps/index.html",),
    ),
    "predict": Case(
        ("predict", "../source/test/elbow/p0", *CPU, *HERE, "--out", "table.csv"),
        own=("table.csv", "table-views.csv", "table.csv.record"),
        same=(),
        most=40,
    ),
    "export": Case(
        ("export", "handed.murace", "--onnx", "onnx", *HERE),
        own=("handed.murace", "onnx"),
        same=("handed.murace", "onnx/elbow.onnx", "onnx/wrist.onnx"),
        most=40,
        standing_in=("murace.steps.export.onnx_folder.to_onnx", "murace.steps.export.onnx_folder._compare"),
    ),
    "sample": Case(
        ("sample", "drawn", "--studies", 10),
        own=("drawn",),
        same=("drawn/truth.csv", "drawn/valid_image_paths.csv"),
        most=70,
        needs=(),
        more={"murace.sample.layout.plan": lambda _, seed: list(plan(10, seed))[::13]},
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that has been through the whole chain with one learner, and the radiographs of a source."""
    root = tmp_path_factory.mktemp("faults").resolve()
    with pytest.MonkeyPatch.context() as patch:  # few pictures: each step runs a hundred times
        patch.setattr("tests.workshop.SHARES", (("train", 4), ("validation", 3), ("test", 3)))
        workspace = tiny_workspace(root / "base" / "workspace", source=root / "source")
    index = (root / "base" / "workspace" / "prepare" / "index.csv").read_text().splitlines()
    rows = [line.split(",") for line in index]
    columns = [rows[0].index(name) for name in ("path", "label", "group", "patient", "study", "split")]
    lines = [",".join(row[column] for column in columns) for row in rows]
    (root / "source" / "manifest.csv").write_text("\n".join(lines) + "\n")
    here = ("-w", workspace.root)
    done("train", "--arch", "convnet", *NARROW, "--epochs", 1, *here)
    done("calibrate", *CPU, *here)
    done("finetune", *MEMBER, *here)
    done("evaluate", *CPU, "--resamples", 100, *here)
    return root


class Place:
    """The folder in which a case is run again and again."""

    def __init__(self, base: Path, case: Case) -> None:
        self.base, self.case, self.work = base, case, base / "work"
        self.before: dict[str, str] = {}
        self.after: dict[str, str] = {}

    def reset(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name in self.case.needs:
            shutil.copytree(self.base / "base" / "workspace" / name, self.work / "workspace" / name)
        os.chdir(self.work)

    def run(self, disk: Disk | None = None) -> Result:
        words = (*self.case.words, "--json")
        if disk is None:
            return typed(*words)
        with watched(disk):
            return typed(*words)

    def digests(self) -> dict[str, str]:
        files = (path for path in self.work.rglob("*") if path.is_file() and path.name != ".lock")
        return {path.relative_to(self.work).as_posix(): sha256(path) for path in files}

    def undisturbed(self) -> list[Operation]:
        """Run it as it should be; returns what it did to the disk."""
        self.reset()
        self.before = self.digests()
        disk = Disk(self.work)
        result = self.run(disk)
        assert result.exit_code == 0, result.output
        self.after = self.digests()
        assert set(self.case.same) <= self.after.keys()
        return disk.done


@pytest.fixture(params=sorted(CASES))
def place(
    request: pytest.FixtureRequest, base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    case = CASES[request.param]
    for name in case.standing_in:
        monkeypatch.setattr(name, _once(name))
    for name, value in case.more.items():
        monkeypatch.setattr(name, value)
    monkeypatch.chdir(tmp_path)
    yield Place(base, case)
    monkeypatch.undo()
    shutil.rmtree(base / "work")


def _once(name: str) -> Callable[..., Any]:
    """A pure function that is asked the same things in each run, and computes them in the first."""
    module, _, attribute = name.rpartition(".")
    real = getattr(__import__(module, fromlist=["_"]), attribute)
    known: dict[str, Any] = {}

    def answer(*given: Any, **more: Any) -> Any:
        key = repr([value for value in given if isinstance(value, str)])
        if attribute == "to_onnx":
            key = str(sum(float(tensor.double().sum()) for tensor in given[0].state_dict().values()))
        if key not in known:
            known[key] = real(*given, **more)
        return deepcopy(known[key])

    return answer


def test_the_disk_fails_at_every_operation(place: Place) -> None:
    operations = place.undisturbed()
    assert len(operations) > 30
    wrong = []
    for at, number in points(operations, place.case.most):
        where = f"{errno.errorcode[number]} at {at} of {len(operations)}, {operations[at]}"
        place.reset()
        try:
            _fail_once(place, Disk(place.work, at, number), operations[at], where)
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join([f"{len(wrong)} of them:", *wrong])


def _fail_once(place: Place, disk: Disk, operation: Operation, where: str) -> None:
    result = place.run(disk)
    assert disk.at is not None
    assert len(disk.done) > disk.at, f"{where}: it never came to that"
    _check_refusal(result, place, operation, where)
    _check_files(place, operation, disk.number, where)
    again = place.run()
    assert again.exit_code == 0, f"{where}: {again.output}"
    _check_whole(place, where)


def points(operations: Sequence[Operation], most: int) -> Iterator[tuple[int, int]]:
    """Where the disk fails, and how: everywhere, or at the first and the last of every kind and evenly between."""
    chosen = range(len(operations))
    if len(operations) > most:
        kinds = [(operation.kind, _pattern(operation.name)) for operation in operations]
        ends = {kinds.index(kind) for kind in kinds}
        if len(ends) > most:
            ends = set(sorted(ends)[:: len(ends) // most + 1])
        last = len(operations) - 1
        between = {round(number * last / most) for number in range(most - len(ends) + 1)} | {last}
        chosen = sorted(ends | between)  # type: ignore[assignment]
    for number, at in enumerate(chosen):
        removes = operations[at].kind in REMOVES
        if not removes:
            yield at, errno.ENOSPC
        other = OTHERS[number // EVERY % len(OTHERS)]
        if removes or number % EVERY == 0:
            yield at, errno.EIO if removes and other in NOT_FOR_REMOVING else other


def _pattern(name: str) -> str:
    """A file's kind: its ending, and the folder of the folder it is in."""
    plain = re.sub(rf"{re.escape(TEMPORARY)}.*", "", name)
    return f"{plain.count('/')} {Path(plain).suffix}"


def _check_refusal(result: Result, place: Place, operation: Operation, where: str) -> None:
    is_signature = operation.kind == "truncate" and operation.name.endswith(".lock")  # for people, when all is over
    if result.exit_code == 0 and (operation.kind in REMOVES or is_signature):
        _check_whole(place, where)  # what is only in the way may stay
        return
    assert result.exit_code == 5, f"{where}: {result.exit_code} {result.output} {result.exception!r}"
    (line,) = error_lines(result)
    assert result.stderr.endswith(f"error: {line}\n"), where
    told = json.loads(result.stdout)["error"]
    assert told == {"kind": "MachineError", "message": line, "exit_code": 5}, where
    assert "Errno" not in line, line


def _check_files(place: Place, operation: Operation, number: int, where: str) -> None:
    now = place.digests()
    for name, digest in place.before.items():
        if not name.startswith(place.case.own):
            assert now.get(name) == digest, f"{where}: {name} of another step is not what it was"
    for name in place.case.same:
        if name in now:
            assert now[name] in (place.before.get(name), place.after[name]), f"{where}: {name} is torn"
    if operation.kind not in REMOVES and number != errno.EROFS:
        assert not [name for name in now if TEMPORARY in name], where
    assert not _open_files(place.work), f"{where}: files, and the lock with them, are still open"
    for folder in _steps(place.work):
        record = read(folder)
        if begun(folder) is None and record is not None:
            assert not damaged(folder, record), where


def _check_whole(place: Place, where: str) -> None:
    now = place.digests()
    for name in place.case.same:
        assert now[name] == place.after[name], f"{where}: {name} is not what an undisturbed run leaves"
    assert not [name for name in now if TEMPORARY in name], where
    assert now.keys() >= place.after.keys(), where
    for folder in _steps(place.work):
        record = read(folder)
        assert begun(folder) is None, where
        assert record is not None, where
        assert not damaged(folder, record), where


def _steps(work: Path) -> set[Path]:
    return {path.parent for name in (RECORD, BEGUN) for path in work.rglob(name) if "maps" not in path.parts}


def _open_files(root: Path) -> list[str]:
    """Those that are open for writing: the prepared array stays mapped for reading, which is no harm."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
            flags = int(re.search(r"flags:\s*(\d+)", Path(f"/proc/self/fdinfo/{descriptor.name}").read_text())[1], 8)
        except OSError:
            continue
        if target.startswith(f"{root}/") and flags & os.O_ACCMODE != os.O_RDONLY:
            found.append(target)
    return found
