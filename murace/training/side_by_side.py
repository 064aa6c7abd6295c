"""Trainings side by side on a CPU (`--side-by-side`): how many run at once, and their processes.

Steps too short for a second thread leave cores idle, which another training can use. Each training is what it would be
alone, to the bit: the number of its threads decides its last bits, and is not changed unless a number of trainings was
asked for without one of threads.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from murace.config import AUTO, Machine, Recipe
from murace.errors import UsageError
from murace.nets import Learner, outline
from murace.system.device import Place, free_memory, resolve_precision, threads_asked
from murace.system.launch import usable_cores
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.system.tasks import Task, run_tasks
from murace.training.resources import image_bytes, weight_bytes

PROCESS_BYTES = 450_000_000  # of a process of its own besides a training's tensors: measured, most of it torch's
THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class PlannedTraining:
    """A training that may run beside others.

    Attributes:
        name: what stands before all that is said of it.
        message: what its step is given, as JSON, besides the machine.
        recipe: its hyperparameters.
        form: what builds the net: learner, width, head and size.
        images: how many it is trained on.
    """

    name: str
    message: Mapping[str, Any]
    recipe: Recipe
    form: Mapping[str, Any]
    images: int

    @property
    def seconds(self) -> float:
        """How long it may take, in a unit of its own: what a step writes into memory takes most of its time."""
        return self._image_bytes * self.images * self.recipe.epochs

    @property
    def memory(self) -> float:
        """About how many bytes its process takes."""
        return PROCESS_BYTES + weight_bytes(self._shadow) + self._image_bytes * min(self.recipe.batch_size, self.images)

    @property
    def _shadow(self) -> Learner:
        return outline(self.form["learner"], **{key: self.form[key] for key in ("width", "head", "size")})

    @property
    def _image_bytes(self) -> float:
        device = torch.device("cpu")
        place = Place(device, resolve_precision(self.recipe.precision, device))
        return image_bytes(self._shadow, self.form["size"], place)


def at_once(machine: Machine, chosen: torch.device, count: int, reporter: Reporter) -> int:
    """How many of `count` trainings that do not depend on each other run at once: 1 means one after the other.

    `auto` is as many as have a core for each of their threads, on a CPU.

    Raises:
        UsageError: several were asked for, on a GPU or in the processes of torchrun.
    """
    asked, is_one = machine.side_by_side, process_group().size == 1
    if asked == AUTO:
        most = usable_cores() // threads_asked(machine) if chosen.type == "cpu" and is_one else 1
        return max(1, min(most, count))
    most = int(asked)
    if most > 1 and chosen.type != "cpu":
        raise UsageError(f"--side-by-side {asked} is for the CPU, and a GPU trains one net at a time: add --gpu cpu")
    if most > 1 and not is_one:
        raise UsageError(f"--side-by-side {asked} is for one process: start it without torchrun")
    if most > count:
        there_are = "there is one training" if count == 1 else f"there are {count} trainings"
        reporter.warn(f"--side-by-side {asked}: {there_are} to do")
    return min(most, count)


def side_by_side(
    module: str, trainings: Sequence[PlannedTraining], number: int, *, machine: Machine, reporter: Reporter
) -> list[Any]:
    """Carry out trainings, `number` of them at once or as many as memory takes; the longest begins first.

    Args:
        module: the program that carries out one after the other: it calls `murace.system.tasks.serve`.
        trainings: what it is given, each with the machine.
        number: as `at_once` says.
        machine: where they run; `--threads` is of each.
        reporter: shows their progress.

    Returns:
        What the program has answered for each of `trainings`.

    Raises:
        Interrupted, MuraceError: see `run_tasks`.
    """
    if not trainings:
        return []
    number = _fitting(trainings, number, machine, reporter)
    has_own_share = machine.runs_side_by_side and machine.threads is None and THREADS not in os.environ
    # Of the number that was asked for, not of those that are left or fit: typed again, the command has the same bits.
    share = max(1, usable_cores() // int(machine.side_by_side)) if has_own_share else threads_asked(machine)
    reporter.say(f"{number} training{'s' * (number > 1)} at once on the CPU, {share} thread{'s' * (share > 1)} each")
    alone = asdict(replace(machine, gpu="cpu", side_by_side="1"))
    tasks = [Task(one.name, {**one.message, "machine": alone}, one.seconds) for one in trainings]
    environment = {THREADS: str(share)} if has_own_share else {}  # a resume's recorded number comes before it
    return run_tasks(module, tasks, title="trainings", at_once=number, environment=environment, reporter=reporter)


def _fitting(trainings: Sequence[PlannedTraining], number: int, machine: Machine, reporter: Reporter) -> int:
    """How many of them fit into memory at once, at most `number`; one alone is refused by its own check."""
    free, needs = free_memory(), sorted((one.memory for one in trainings), reverse=True)[:number]
    if free is None or sum(needs) <= free:
        return len(needs)
    fit = max([1, *(count for count in range(1, len(needs)) if sum(needs[:count]) <= free)])
    text = (
        f"{len(needs)} trainings at once need about {sum(needs) / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are "
        f"free: {'one after the other' if fit == 1 else f'{fit} at once'}"
    )
    if machine.side_by_side == AUTO:
        reporter.say(text)
    else:
        reporter.warn(f"--side-by-side {machine.side_by_side}: {text}")
    return fit
