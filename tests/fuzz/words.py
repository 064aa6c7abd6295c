"""The gate of the command line: whatever is typed, an answer in one line and an exit code of its kind."""

import json

from murace.errors import UsageError
from tests.cli.typed import typed
from tests.fuzz.gate import Gate, scratch

# What a workspace that is not there answers to words that are fit, after usage and the machine have been looked at.
REFUSALS = {2: "UsageError", 3: "DataError", 4: "WorkspaceError", 5: "MachineError"}
WRITES = ("sample", "demo", "prepare")


def enter(data: bytes) -> None:
    """A line of words, cut at blanks."""
    words = data.decode(errors="replace").replace("\0", "").split(" ")
    if not words[0] or words[0] in WRITES or words[0].startswith("-"):
        raise UsageError("not tried: it would write here, or shows help")
    result = typed(words[0], "--json", "-w", scratch() / "nowhere", *words[1:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        assert result.exit_code in REFUSALS, result.exit_code
        error = json.loads(result.stdout.splitlines()[-1])["error"]
        assert error["kind"] == REFUSALS[result.exit_code]
        assert error["message"].isprintable()


SEEDS = [
    b"train --lr 0.1 --epochs 3 --gpu cpu",
    b"train --arch all --seed 18446744073709551616 --batch-size 2",
    b"train --width nan --head fc --precision bf16 --monitor kappa --patience 1",
    b"calibrate --val-metrics auc,acc,kappa --level image --resamples 100",
    b"finetune --groups elbow,wrist --epochs 1 --lr 1e-5 --threads 1",
    b"evaluate --resamples 1000 --slice age --models a,b --gpu 0,1",
    b"cam a.png --group elbow --method gradcam++ --scales 1,2 --check x.csv",
    b"predict a --operating-point sensitivity_90 --show-ids --model x.murace",
    b"export x.murace --onnx y --threads 1",
    b"score x.csv --models a",
    b"status",
]
GATES = [Gate(name="words", enter=enter, errors=(UsageError,), seeds=lambda: SEEDS)]
