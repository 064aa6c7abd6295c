"""A workspace, a source, and everything that a person and a disk may do to them, in any order."""

import copy
import os
import random
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from murace.config import Machine, PrepareConfig
from murace.errors import DataError, Interrupted, MuraceError
from murace.steps import prepare
from murace.system.progress import Bar, Reporter
from murace.workspace import Rerun
from murace.workspace.chain import next_command, step_statuses
from murace.workspace.paths import Workspace
from tests.staleness.model import CHAIN, LEARNERS, Model, Refused, Slot
from tests.staleness.oracle import Oracle, run_step
from tests.staleness.source import BROKEN, SPARE, Source, names
from tests.staleness.standins import Killed, epochs_run
from tests.workshop import CPU

RAM = Path("/dev/shm")
WORKSPACES = RAM if RAM.is_dir() else None
MOST_COMMANDS = 25  # until everything is done, from anywhere
DEFAULTS: dict[str, dict[str, Any]] = {
    "prepare": {"size": 8, "fit": "squash", "seed": 0},
    "train": {"epochs": 2, "lr": 0.1, "patience": 3},
    "calibrate": {"metrics": ["auc", "accuracy", "kappa"], "seed": 0},
    "finetune": {"epochs": 2, "lr": 0.1, "patience": 3},
    "evaluate": {"resamples": 100},
}
OTHERS: dict[str, dict[str, list[Any]]] = {
    "prepare": {"size": [12], "fit": ["pad"], "seed": [1]},
    "train": {"epochs": [1, 3], "lr": [0.2], "patience": [4]},
    "calibrate": {"metrics": [["auc"], ["recall", "auc"]], "seed": [1]},
    "finetune": {"epochs": [1, 3], "lr": [0.2], "patience": [4]},
    "evaluate": {"resamples": [101]},
}
reached: Counter[tuple[str, str]] = Counter()  # (step or edit, what came of it), over all examples


class Signals(Reporter):
    """Sends itself a signal after so many things done, or says that the process is killed at the first."""

    def __init__(self, stop: int | None, *, kills: bool = False) -> None:
        super().__init__()
        self.left, self.kills, self.said = stop, kills, list[str]()

    def say(self, message: str) -> None:
        self.said.append(message)

    warn = say

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        yield Bar() if title in ("nets", "comparing radiographs") else _Counted(self)


class _Counted(Bar):
    def __init__(self, reporter: Signals) -> None:
        self.reporter = reporter

    def advance(self, by: int = 1, note: str = "") -> None:
        if self.reporter.left is not None:
            self.reporter.left -= 1
            if self.reporter.left == 0:
                self.reporter.signum = signal.SIGTERM


def variants(step: str, defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """The defaults, as often as everything else together, and each setting changed alone."""
    others = [defaults | {name: value} for name, values in OTHERS[step].items() for value in values]
    return [defaults] * len(others) + others


RERUNS = [Rerun()] * 6 + [Rerun(force=True), Rerun(resume=True), Rerun(resume=False), Rerun(force=True, resume=False)]
# Trainings run in this process, where the stand-ins are.
MACHINES = [replace(CPU, gpu=gpu, threads=threads) for gpu in (None, "cpu") for threads in (None, 1, 2)]
ALIKE = [replace(CPU, gpu=gpu) for gpu in (None, "cpu")]  # real nets' last bits follow the number of threads
STOPS = [None] * 5 + [1, 2, 3]
NUMBERS = list(range(60))
Args = dict[str, Any]
PAIRS = [("train/convnet", "train/resnet"), ("finetune/elbow", "finetune/wrist")]


def acts_with(
    defaults: dict[str, dict[str, Any]], machines: list[Machine] = MACHINES
) -> dict[str, dict[str, list[Any]]]:
    """What may be done, and the arguments that each may be given."""
    asked = [(place, variants(step, defaults[step])) for place in CHAIN[1:] for step in [place.partition("/")[0]]]
    return {
        "prepare": {
            "args": variants("prepare", defaults["prepare"]),
            "rerun": RERUNS,
            "jobs": [None, 1, 2],
            "accept": [None, None, 0, 5],
            "stop": [None] * 4 + [1, 2],
        },
        "step": {
            "asked": asked,
            "number": NUMBERS,
            "rerun": RERUNS,
            "machine": machines,
            "stop": STOPS,
            "kills": [False] * 9 + [True],
        },
        "type_again": {"place": list(CHAIN[1:]), "machine": machines},
        "edit": {
            "name": sorted(names()),
            "spare": list(SPARE),
            "content": [0, 1, 2],
            "how": ["seen", "unseen", "touched", "broken", "row", "label", "synthetic"],
        },
        "damage": {
            "place": list(CHAIN),
            "number": NUMBERS,
            "what": ["product"] * 3 + ["step.json", "begun.json", "checkpoint"],
            "how": ["gone", "flipped", "rotten"],
        },
        "exchange": {"pair": PAIRS, "number": NUMBERS, "another": NUMBERS, "whole": [True, False]},
        "shelve": {"place": list(CHAIN), "puts_back": [True, False]},
        "move": {"keeps_times": [True, False]},
        "mend": {},
    }


WEIGHTS = {"prepare": 4, "step": 8, "type_again": 8, "edit": 4, "damage": 4, "exchange": 1, "shelve": 3, "move": 1}
WEIGHTED = ["mend", *(name for name, weight in WEIGHTS.items() for _ in range(weight))]


LARGER = {**DEFAULTS, "prepare": {**DEFAULTS["prepare"], "size": 64}}  # what nets can look at


class Staleness(RuleBasedStateMachine):
    """Every answer of the suite is foretold; what it calls done is what recomputing everything gives."""

    defaults, acts, is_real = DEFAULTS, acts_with(DEFAULTS), False
    oracle: Oracle  # one for all examples
    whole: dict[str, Slot]  # the slots of the chain that lies in the oracle's folder `whole`

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="murace-", dir=WORKSPACES))
        self.source = Source(self.folder / "source")
        self.model = Model(self.folder / "w0", self.source, self.oracle)
        self.shelf: dict[str, Any] = {}
        self.moves, self.acted = 0, Counter[int]()

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.model.root)

    def count(self, what: str, outcome: str) -> None:
        reached[what, outcome] += 1
        event(f"{what}: {outcome}")

    @rule(seed=st.integers(0, 2**32))
    def act(self, seed: int) -> None:
        """Any act, drawn from a seed: hypothesis repeats what it has drawn, and a seed's second act is another one."""
        chance = random.Random(f"{self.salt} {seed} {self.acted[seed]}")
        self.acted[seed] += 1
        name = chance.choice(WEIGHTED)
        given = {key: chance.choice(values) for key, values in self.acts[name].items()}
        note(f"{name} {given}")
        getattr(self, name)(**given)

    # --- commands ---------------------------------------------------------------------------------------------------

    @initialize(far=st.sampled_from([True, True, True, False]), salt=st.integers(0, 2**32))
    def begin(self, far: bool, salt: int) -> None:
        """Half of the examples start with a whole chain: there is more to go wrong with it."""
        self.salt = salt
        if not far:
            return
        kept = self.oracle.root / "whole"
        if kept.is_dir():
            shutil.copytree(kept, self.model.root)
            self.model.slots = copy.deepcopy(self.whole)
            return
        self.mend()
        shutil.copytree(self.model.root, kept)
        type(self).whole = copy.deepcopy(self.model.slots)

    def prepare(self, **given: Any) -> None:
        self.run_prepare(**given)

    def run_prepare(
        self, args: dict[str, Any], rerun: Rerun, jobs: int | None, accept: int | None, stop: int | None
    ) -> str:
        before = self.files()
        try:
            foretold, run = self.model.plan_prepare(args, rerun.resume, rerun.force)
        except Refused as refusal:
            foretold, words = "refuse", refusal.args
        operation, reporter = prepare.Operation(jobs=jobs, accept_rejects=accept), Signals(stop)
        config = PrepareConfig(**args)
        try:
            done = prepare.run(
                self.source.manifest, self.workspace, config, operation=operation, rerun=rerun, reporter=reporter
            )
            came, message = ("skip" if done.skipped else "done"), "; ".join(reporter.said)
        except (DataError, Interrupted, MuraceError) as error:
            came, message = self._fell(error), str(error)
        if foretold == "refuse":
            assert came == "refuse", (came, message)
            assert all(word in message for word in words), (words, message)
            assert self.files() == before
        elif foretold == "skip":
            assert came == "skip", (came, message)
            self.model.slot("prepare").about, self.model.slot("prepare").chunks = None, {}
        else:
            afresh = foretold == "run" and (rerun.force or rerun.resume is False)
            if self.model.read_source(args, afresh=afresh, stop=stop):
                assert came == "interrupted", (came, message)
                self.model.interrupted("prepare", run)
            else:
                ended = self.model.prepared(run, accept or 0)
                assert came == {"done": "done", "refused": "data"}[ended], (came, message)
            came = f"{foretold}, {came}"
        self.count("prepare", came)
        return message

    def step(self, asked: tuple[str, list[Args]], number: int, **given: Any) -> None:
        place, choices = asked
        self.run_place(place, choices[number % len(choices)], **given)

    def type_again(self, place: str, machine: Machine) -> None:
        """As most are typed: with the defaults, to the end."""
        self.run_place(place, self.defaults[place.partition("/")[0]], Rerun(), machine=machine)

    def run_place(
        self,
        place: str,
        args: Args,
        rerun: Rerun,
        *,
        machine: Machine | None = None,
        stop: int | None = None,
        kills: bool = False,
    ) -> str:
        machine = machine or CPU
        before, reporter = self.files(), Signals(stop, kills=kills)
        epochs_run.clear()
        newest = self._newest(place)
        try:
            foretold, run, parents = self.model.plan(place, args, rerun.resume, rerun.force)
        except Refused as refusal:
            foretold, words = "refuse", refusal.args
        try:
            done = run_step(place, args, self.workspace, rerun=rerun, reporter=reporter, machine=machine)
            came, message = ("skip" if done.skipped else "done"), "; ".join(reporter.said)
        except Killed:
            came, message = "killed", ""
        except MuraceError as error:
            came, message = self._fell(error), str(error)
        note(f"{place} {args} {rerun} stop {stop}: foretold {foretold}, came {came}: {message}")
        if foretold == "refuse":
            assert came == "refuse", (came, message)
            assert all(word in message for word in words), (words, message)
        elif foretold == "skip":
            assert came == "skip", (came, message)
        else:
            assert came in ("done", "interrupted", "killed"), (foretold, came, message)
            if came == "done":
                if "epochs" in args and not self.is_real:
                    first = newest if foretold == "resume" else 0
                    assert epochs_run == list(range(first + 1, args["epochs"] + 1))
                self.model.finished(place, run, args, parents)
            else:
                self.model.interrupted(place, run)
        if foretold in ("refuse", "skip"):
            assert self.files() == before, "a step that does nothing leaves everything as it was"
        else:
            came = f"{foretold}, {came}"
        self.count(place.partition("/")[0], came)
        return message

    def _fell(self, error: MuraceError) -> str:
        if isinstance(error, Interrupted):
            return "interrupted"
        assert error.exit_code in (3, 4), error
        return "data" if error.exit_code == 3 else "refuse"

    def _newest(self, place: str) -> int:
        states = (self.model.root / place).glob("checkpoint/*.json")
        return max((int(path.stem.partition("-")[0]) for path in states), default=0)

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file's size and time, but for the locks."""
        found = {}
        for path in self.model.root.rglob("*"):
            if path.is_file() and path.name != ".lock" and "partial" not in path.parts:
                status = path.stat()
                found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found

    # --- the source -------------------------------------------------------------------------------------------------

    def edit(self, name: str, spare: str, content: int, how: str) -> None:
        """Another picture of the same size, with its old time ("unseen") or not; the same one; or another listing."""
        source = self.source
        if how in ("seen", "unseen"):
            own = 100 * (1 + sorted(names()).index(name))  # no two files are alike
            source.put(name, own + content, keeps_time=how == "unseen")
        elif how == "touched":
            source.put(name, source.contents[name])
        elif how == "broken":
            source.put(spare, BROKEN)
        elif how == "row":
            source.left_out ^= {spare}
        elif how == "label":
            source.flipped ^= {spare}
        else:
            source.synthetic = not source.synthetic
        source.list()
        self.count("source", how)

    # --- the disk ---------------------------------------------------------------------------------------------------

    def product(self, place: str, number: int) -> Path | None:
        stamps = sorted(self.model.slot(place).stamps)
        path = self.model.root / place / stamps[number % len(stamps)] if stamps else None
        return path if path and path.is_file() else None

    def damage(self, place: str, number: int, what: str, how: str) -> None:
        """A file is lost or changed, with a new time or in place; in a record, any change is seen."""
        if what == "begun.json":  # there are few
            place = next((other for other in CHAIN if self.model.has(other, what)), place)
        path = self.product(place, number) if what == "product" else self.model.root / place / what
        if path is None or not path.exists():
            return
        if path.is_dir():
            shutil.rmtree(path)
        elif how == "gone":
            path.unlink()
        else:
            flip(path, keeps_time=how == "rotten")
        self.count(f"damage to {what}", how if path.suffix else "gone")

    def exchange(self, pair: tuple[str, str], number: int, another: int, whole: bool) -> None:
        """Two whole folders, each complete in itself; or two files."""
        if not whole:
            first, second = self.product(pair[0], number), self.product(pair[1], another)
        else:
            first, second = (self.model.root / place for place in pair)
        if first is None or second is None or not (first.exists() and second.exists()):
            return
        aside = self.folder / "aside"
        first.rename(aside)
        second.rename(first)
        aside.rename(second)
        if whole:
            slots = self.model.slots
            slots[pair[0]], slots[pair[1]] = self.model.slot(pair[1]), self.model.slot(pair[0])
        self.count("exchanged", "folders" if whole else "files")

    def shelve(self, place: str, puts_back: bool) -> None:
        """Keep a copy of a folder, or put an old one back."""
        folder, kept = self.model.root / place, self.folder / "shelf" / place
        if puts_back and place in self.shelf:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(kept, folder)
            self.model.slots[place] = copy.deepcopy(self.shelf[place])
            self.count("shelf", "put back")
        elif folder.is_dir():
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept)
            self.shelf[place] = copy.deepcopy(self.model.slot(place))
            self.count("shelf", "kept")

    def move(self, keeps_times: bool) -> None:
        """The whole workspace elsewhere, renamed, or copied by something that forgets times."""
        if not self.model.root.is_dir():
            return
        self.moves += 1
        new = self.folder / f"w{self.moves}"
        if keeps_times:
            self.model.root.rename(new)
        else:
            shutil.copytree(self.model.root, new, copy_function=shutil.copyfile)
            shutil.rmtree(self.model.root)
        self.model.root = new
        self.count("moved", "renamed" if keeps_times else "copied")

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def status_tells_the_truth(self) -> None:
        found = {status.name: str(status.state) for status in step_statuses(self.workspace)}
        found.pop("train/densenet")
        if "finetune/elbow" not in found:  # nobody knows the groups while there is no record of a choice
            assert not self.model.has("calibrate", "step.json") or not self.model.offers("calibrate")
        foretold = {place: self.model.shown(place) for place in CHAIN if place in found}
        assert found == foretold
        for place, state in found.items():
            reached["status", state] += 1
            if state == "done":
                self.model.recomputed(place)

    def mend(self) -> None:
        """What `status` says, and what a refusal says, leads to the end."""
        for count in range(MOST_COMMANDS):
            statuses = [status for status in step_statuses(self.workspace) if status.name != "train/densenet"]
            command = next_command(statuses)
            if command is None:
                self.count("mended", f"{min(count, 20)} commands")
                return
            self.type(command)
        raise AssertionError(f"still not done after {MOST_COMMANDS} commands; next: {command}")

    def type(self, command: str) -> None:
        """A command with the settings that it names, and with what its refusal asks for."""
        note(f"typed: {command}")
        rerun = Rerun(resume=False if "--fresh" in command else None, force="--force" in command)
        step, named = command.split()[1], re.findall(r"--(?:arch|groups) (\S+)", command)
        args = named_in(command, self.defaults[step])
        wanted = {"train": LEARNERS, "finetune": ("elbow", "wrist")}.get(step)
        for name in [""] if wanted is None else named if named and named != ["all"] else wanted:
            place = f"{step}/{name}" if name else step
            message = self.once(place, args, rerun, accept=None)
            if (mend := re.search(r"Run: (murace .*)$", message)) and mend[1] != command:
                self.type(mend[1])
            elif "--fresh" in message and "--fresh" not in command and "starting over" not in message:
                self.once(place, args, Rerun(resume=False), accept=None)
            elif more := re.search(r"--accept-rejects (\d+)$", message):
                self.once(place, args, rerun, accept=int(more[1]))

    def once(self, place: str, args: dict[str, Any], rerun: Rerun, *, accept: int | None) -> str:
        if place == "prepare":
            return self.run_prepare(args=args, rerun=rerun, jobs=None, accept=accept, stop=None)
        return self.run_place(place, args, rerun)


def named_in(command: str, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command names; the others are the usual ones."""
    found = dict(usual)
    for option, text in re.findall(r"--([a-z-]+) (\S+)", command):
        key = "metrics" if option == "val-metrics" else option
        if key in usual:
            found[key] = text.split(",") if key == "metrics" else type(usual[key])(text)
    return found


def flip(path: Path, *, keeps_time: bool = False) -> None:
    """One bit in the middle; with the file's old time where it rots in place."""
    content, times = bytearray(path.read_bytes()), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    if not content:
        return
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keeps_time:
        os.utime(path, ns=times)


class InterruptedTwice(Staleness):
    """A history made by hand: each step is interrupted in a new run and again as it resumes. Chance rarely does so."""

    @initialize()
    def begin(self) -> None:  # type: ignore[override]
        self.salt = 0
        self.mend()
        for place in CHAIN[1:]:
            args = self.defaults[place.partition("/")[0]]
            self.run_place(place, args, Rerun(force=True), stop=1)
            self.run_place(place, args, Rerun(), stop=1)
            self.mend()


class Unstubbed(Staleness):
    """The same with the real mathematics, on pictures large enough for the nets."""

    defaults, acts, is_real = LARGER, acts_with(LARGER, ALIKE), True
