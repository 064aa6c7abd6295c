"""Cases 39 to 46: models, checkpoints, records and workspaces that are not what murace left there.

A digest that fits is no proof: whoever can write a record can make it fit. So most of what is planted here has one.
"""

import errno
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from murace.system.files import sha256
from murace.system.sealed import read_sealed, write_sealed
from tests.cli.typed import CPU, NARROW, environment
from tests.corpus.case import Case
from tests.corpus.unsteady import meanwhile
from tests.data.files import picture, png

SPACE = Path("workspace")
STATES = SPACE / "train/convnet/checkpoint"
TRAIN = ("train", "--arch", "convnet", *NARROW, "--epochs", 2, "-w", SPACE)
CAM = ("cam", "a.png", "--group", "elbow", *CPU, "-w", SPACE)
PREDICT = ("predict", "a.png", *CPU)
MEMBER, LEARNER = SPACE / "finetune/elbow/model.safetensors", SPACE / "train/convnet/model.safetensors"
MARKER = "touched"
HUGE = 100 * 2**20
Change = Callable[[], object]


class Gadget:
    """A pickle that runs a program when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {MARKER}",)


def evil() -> bytes:
    """The gadget, as `torch.save` would never write it."""
    return pickle.dumps(Gadget())


def evil_zip() -> bytes:
    """The gadget as `torch.save` writes it."""
    import torch

    file = io.BytesIO()
    torch.save({"net": Gadget()}, file)
    return file.getvalue()


def evil_array() -> bytes:
    """The gadget as numpy stores objects."""
    file = io.BytesIO()
    np.save(file, np.array([Gadget()], dtype=object), allow_pickle=True)
    return file.getvalue()


def newest() -> Path:
    """The weights of the newest state."""
    return max(STATES.glob("0*.safetensors"))


def in_state(data: Callable[[], bytes]) -> Change:
    """Bytes in the newest state's place, with their digest in its record."""

    def change() -> None:
        path = newest()
        path.write_bytes(data())
        record = read_sealed(path.with_suffix(".json"))
        record["file"]["sha256"] = sha256(path)
        write_sealed(path.with_suffix(".json"), record)

    return change


def in_step(path: Path, data: Callable[[], bytes]) -> Change:
    """Bytes in a result's place, with their digest in its step's record."""

    def change() -> None:
        content = data()
        path.write_bytes(content)
        place, record = path.parent / "step.json", read_sealed(path.parent / "step.json")
        state = {"size": len(content), "modified": path.stat().st_mtime_ns, "sha256": sha256(path)}
        write_sealed(place, {**record, "produced": {**record["produced"], path.name: state}})

    return change


def as_it_is(data: Callable[[], bytes]) -> Change:
    """Bytes in the newest state's place, of which no record knows."""
    return lambda: newest().write_bytes(data())


def flipped(path: Path) -> bytes:
    """The file with one bit changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


def tensors(path: Path, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """A weights file with other tensors, and what it says of itself."""
    from safetensors.torch import load, save

    data = path.read_bytes()
    said = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__")
    found = load(data)
    edit(found)
    return save(found, metadata=said)


def spoil(found: dict[str, Any]) -> None:
    """Weights that are no numbers."""
    for name, tensor in found.items():
        if tensor.is_floating_point() and not name.startswith(("losses", "best")):
            tensor.fill_(float("nan"))


def lose(found: dict[str, Any]) -> None:
    """A tensor less."""
    del found[next(name for name in sorted(found) if name.endswith("weight"))]


def gain(found: dict[str, Any]) -> None:
    """A tensor more."""
    found["net.more"], found["more"] = (next(iter(found.values())).clone() for _ in range(2))


def long_header() -> bytes:
    """A header that says it has 100 MB."""
    return HUGE.to_bytes(8, "little") + b"{" * 64


def overlapping() -> bytes:
    """Two tensors that share their bytes."""
    form = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"a": form, "b": form}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def enormous() -> bytes:
    """A tensor of 4 TB in a file of some bytes."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 2**42]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def newer(path: Path) -> Change:
    """A record of a murace to come."""
    return lambda: write_sealed(path, {**read_sealed(path), "schema": 99})


def other_data() -> None:
    """`prepare` was run again, on other pictures."""
    from tests.workshop import tiny_workspace

    shutil.rmtree(SPACE / "prepare")
    tiny_workspace(SPACE, seed=9)


def bundle(data: Callable[[], bytes]) -> Change:
    """A file that claims to be an exported ensemble."""
    return lambda: Path("a.murace").write_bytes(data())


def evil_bundle() -> bytes:
    """The true form, digests and all, around weights that are a pickle."""
    from tests.inference.bundle.made_up import manifest, pack, sources

    parts = {**sources(), "members/elbow.safetensors": evil()}
    return pack(manifest(parts=parts).dump(), parts)


def after(change: Change, *words: object) -> Callable[[Path], Sequence[object]]:
    """The change is made, then the words are typed; a view lies ready."""

    def build(folder: Path) -> Sequence[object]:
        Path("a.png").write_bytes(png(picture(3, 32, 32)))
        change()
        return words

    return build


def nothing() -> None:
    """No change."""


def unmarked(folder: Path, answer: dict[str, Any]) -> None:
    """Nothing ran that came with the data."""
    assert not (folder / MARKER).exists()


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that was mounted so."""
    opened, made = os.open, os.mkdir

    def refuse(path: Any, flags: int = os.O_CREAT) -> None:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def open_(path: Any, flags: int, *given: Any, **more: Any) -> int:
        refuse(path, flags)
        return opened(path, flags, *given, **more)

    def mkdir(path: Any, *given: Any, **more: Any) -> None:
        if not Path(path).is_dir():
            refuse(path)
        made(path, *given, **more)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "mkdir", mkdir)


HOLD = (
    "import sys; from pathlib import Path; from murace.workspace import writing\n"
    "with writing(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def held() -> Iterator[subprocess.Popen[str]]:
    """Another process writes into the folder of `train`."""
    command = [sys.executable, "-c", HOLD, str(STATES.parent)]
    with subprocess.Popen(
        command, env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def killed() -> None:
    """Another process was at it and died without a word."""
    with held() as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (STATES.parent / ".lock").read_text()  # it could not wipe what it had signed


DIFFERS, NO_MODEL = "SHA-256 differs", "does not hold a murace model"
DONE = tuple(f"workspace/train/convnet/{name}" for name in ("*.safetensors", "*.csv", "step.json", "checkpoint/*"))
GONE_ON = {"exit_code": 0, "leaves": DONE, "moves": ("workspace/train/convnet/*",)}


def state(number: str, name: str, change: Change, **more: Any) -> Case:
    """The unfinished training goes on after the change."""
    words = more.pop("words", TRAIN)
    return Case(
        **{"number": number, "name": name, "build": after(change, *words), "exit_code": 4, "check": unmarked, **more},
    )


UNFINISHED = [
    state("39a", "a pickle as state", as_it_is(evil), says=DIFFERS),
    state("39b", "a pickle with its digest", in_state(evil), says="checkpoint"),
    state("39c", "torch.save with its digest", in_state(evil_zip), says="checkpoint"),
    state("40a", "cut", as_it_is(lambda: newest().read_bytes()[:1000]), says=f"{DIFFERS}.*delete .*000001-000001.json"),
    state("40b", "no byte", as_it_is(lambda: b""), says=DIFFERS),
    state("40c", "HTML", as_it_is(lambda: b"<!DOCTYPE html><p>404"), says=DIFFERS),
    state("40d", "one bit", as_it_is(lambda: flipped(newest())), says=DIFFERS),
    state("40e", "one bit of its record", lambda: newest().with_suffix(".json").write_bytes(
        flipped(newest().with_suffix(".json"))), says="000001-000001.json is damaged, .*; delete"),
    state("41a", "a record without its file", lambda: newest().unlink(), says="missing or damaged"),
    state("41b", "a file without its record", lambda: newest().with_suffix(".json").unlink(),
          **GONE_ON, says="resuming after epoch 1"),
    state("41c", "what a kill left", lambda: (STATES / ".x.json.tmp.1.ab").write_text("{"),
          **GONE_ON, says="resuming after epoch 1 and 1 steps"),
    state("41d", "files and no record", lambda: [path.unlink() for path in STATES.glob("*.json")],
          **GONE_ON, says="had saved no state yet: starting from its beginning"),
    state("42a", "another width", nothing, words=(*TRAIN, "--width", "0.2"), says=r"differs: --width 0\.1 -> 0\.2\. "),
    state("42b", "two differences", nothing, words=(*TRAIN, "--width", "0.2", "--lr", "0.5"),
          says=r"differs: --lr 0\.003 -> 0\.5; --width 0\.1 -> 0\.2\. "),
    state("42c", "other data", other_data, says=r"differs: prepare/pixels\.npy has changed"),
    state("42d", "a newer record", newer(SPACE / "train/convnet/begun.json"), says="not written by this version"),
    state("43a", "a state of NaN", in_state(lambda: tensors(newest(), spoil)), exit_code=2,
          says="the loss is not finite"),
    state("44a", "a tensor less", in_state(lambda: tensors(newest(), lose)), says="does not fit this run"),
    state("44b", "a tensor more", in_state(lambda: tensors(newest(), gain)), says="does not fit this run"),
    state("44c", "a state's long header", in_state(long_header), says="checkpoint"),
    state("46a", "a second writer", nothing, during=held,
          says=r"convnet is in use by process \d+ on \S+ since 20\d\d-\d\d-\d\dT\S+: wait for it, or end that process"),
    state("46b", "the first one was killed", killed, **GONE_ON, says="resuming after epoch 1"),
]  # fmt: skip

FINISHED = [
    state("39d", "a pickle as a member", in_step(MEMBER, evil), words=CAM, says=NO_MODEL),
    state("39e", "torch.save as a member", in_step(MEMBER, evil_zip), words=CAM, says=NO_MODEL),
    state("39f", "a pickle as the recogniser", in_step(SPACE / "calibrate/recogniser.safetensors", evil),
          words=(*PREDICT, "-w", SPACE), says="does not hold a group recogniser"),
    state("39g", "a pickle as pixels", in_step(SPACE / "prepare/pixels.npy", evil), words=TRAIN, says="cannot be read"),
    state("39h", "objects as pixels", in_step(SPACE / "prepare/pixels.npy", evil_array), words=TRAIN,
          says="cannot be read"),
    state("39i", "a pickle to predict with", bundle(evil), words=(*PREDICT, "--model", "a.murace"), says="refused"),
    state("39j", "torch.save to predict with", bundle(evil_zip), words=(*PREDICT, "--model", "a.murace"),
          says="refused"),
    state("39k", "a pickle in true form", bundle(evil_bundle), words=(*PREDICT, "--model", "a.murace"), says="refused"),
    state("40f", "one bit of a member", lambda: MEMBER.write_bytes(flipped(MEMBER)), words=CAM,
          says=r"finetune/elbow in workspace is damaged \(model\.safetensors is damaged .*Run: murace finetune"),
    state("42e", "a member of another form", in_step(MEMBER, lambda: LEARNER.read_bytes().replace(
        b'\\"size\\": 64', b'\\"size\\": 32')), words=CAM, says=NO_MODEL),
    state("42f", "a newer step", newer(SPACE / "prepare/step.json"), words=TRAIN, says="not written by this version"),
    state("43b", "a member of NaN", in_step(MEMBER, lambda: tensors(MEMBER, spoil)), words=CAM,
          says="not finite"),
    state("44d", "a long header", in_step(MEMBER, long_header), words=CAM, says=NO_MODEL),
    state("44e", "overlapping tensors", in_step(MEMBER, overlapping), words=CAM, says=NO_MODEL),
    state("44f", "a tensor of terabytes", in_step(MEMBER, enormous), words=CAM, says=NO_MODEL),
    state("44g", "a member with less", in_step(MEMBER, lambda: tensors(MEMBER, lose)), words=CAM,
          says="1 tensors are missing"),
    state("44h", "a member with more", in_step(MEMBER, lambda: tensors(MEMBER, gain)), words=CAM, says="too many"),
]  # fmt: skip

NOWHERE = ("-w", "nowhere")
PLACES = [
    state("45a", "no workspace", nothing, words=("train", *CPU, *NOWHERE),
          says="^prepare in nowhere is missing. Run: murace prepare SOURCE -w nowhere$"),
    state("45b", "the state of no workspace", nothing, words=("status", *NOWHERE), exit_code=0,
          says='"state": "missing"'),
    state("45c", "a file as workspace", lambda: Path("file").write_text("mine"), words=("prepare", ".", "-w", "file"),
          exit_code=5, says=r"cannot write file/prepare/\.lock: Not a directory"),
    state("45d", "a place without room", nothing, words=("prepare", ".", "-w", "/proc/nowhere"),
          exit_code=5, says="cannot write /proc/nowhere/prepare"),
    state("45e", "a read-only disk", nothing, words=("prepare", ".", *NOWHERE), during=meanwhile(read_only),
          exit_code=5, says="cannot write nowhere/prepare.*: Read-only file system"),
]  # fmt: skip
