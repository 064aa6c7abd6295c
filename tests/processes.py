"""Several processes of one run, as torchrun would start them, but forked from one that has loaded torch already."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from torch.distributed import TCPStore

from murace.system.launch import VARIABLES
from murace.system.processes import joined

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([f"murace.steps.{name}.step" for name in ("train", "finetune", "evaluate")])
PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Failure:
    """An exception, as it travels between processes."""

    kind: type[Exception]
    message: str


def together(count: int, work: Callable[..., Any], *given: Any) -> list[Any]:
    """What `work` returns in each of `count` processes: a `Failure` for an exception, None for one that died."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # outlives the processes, as torchrun's
    pipes, processes = [], []
    for rank in range(count):
        here, there = CONTEXT.Pipe(duplex=False)
        values = (rank, count, rank, count, "127.0.0.1", store.port)
        environment = {name: str(value) for name, value in zip(VARIABLES, values, strict=True)}
        environment["TORCHELASTIC_USE_AGENT_STORE"] = "True"
        process = CONTEXT.Process(target=_run, args=(there, environment, work, given))
        process.start()
        there.close()
        pipes.append(here)
        processes.append(process)
    answers = [_answer(pipe) for pipe in pipes]
    for process in processes:
        process.join(PATIENCE)
    return answers


def _answer(pipe: Connection) -> Any:
    assert pipe.poll(PATIENCE), "a process does not answer"
    try:
        return pipe.recv()
    except EOFError:
        return None  # it died


def _run(pipe: Connection, environment: dict[str, str], work: Callable[..., Any], given: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    try:
        with joined():
            answer = work(*given)
    except Exception as error:
        traceback.print_exc()
        answer = Failure(type(error), str(error))
    pipe.send(answer)
