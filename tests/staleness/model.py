"""What must happen, told without the code under test: each step's folder as a slot, and what a command makes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from murace.config import TrainConfig, params
from tests.staleness import oracle as make
from tests.staleness.oracle import FACTS, Args, Made, Oracle
from tests.staleness.source import BROKEN, GROUPS, Seen, Source

LEARNERS = ("convnet", "resnet")  # two are enough for a choice; the third stays missing
CHAIN = (
    "prepare",
    *(f"train/{name}" for name in LEARNERS),
    "calibrate",
    *(f"finetune/{g}" for g in GROUPS),
    "evaluate",
)
CHUNK = 10  # pictures of such a small source
LARGE = 1000  # bytes from which size and time are trusted in the machine's runs: some files are on either side
NET = ("model.safetensors", "predictions.csv")
READ = {  # what a step truly reads of each parent, by the parent's kind
    "train": {"prepare": ("index.csv", "pixels.npy")},
    "calibrate": {"prepare": ("index.csv", "pixels.npy"), "train": NET},
    "evaluate": {
        "prepare": ("index.csv", "pixels.npy", "counts.csv", FACTS),
        "train": (*NET, "history.csv", FACTS),
        "calibrate": ("roster.json", "scores.csv", FACTS),
        "finetune": (*NET, "history.csv", FACTS),
    },
}


class Refused(Exception):  # noqa: N818 - an outcome
    """The command must be refused, with all of these words in its message."""


@dataclass(frozen=True)
class Note:
    """A run's settings and inputs; `digest` is of the record's bytes, which nobody may change."""

    owner: str
    args: Args
    inputs: dict[str, str]
    digest: str = ""


@dataclass
class Slot:
    """A folder as the model knows it. It goes with the folder wherever that is moved."""

    done: Note | None = None
    made: Made | None = None
    stamps: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # size, time and digest at the commit
    begun: Note | None = None
    states: Note | None = None  # of a training: what its saved states are about
    seen: dict[str, tuple[tuple[int, int], int]] = field(default_factory=dict)  # prepare: state and content as read
    when: Seen | None = None
    about: Any = None  # prepare: what the chunks of an unfinished run are about
    chunks: dict[int, dict[str, tuple[tuple[int, int], int]]] = field(default_factory=dict)


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def stamp(path: Path) -> tuple[int, int, str]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, digest_of(path)


def differs(old: Note, args: Args, inputs: Mapping[str, str]) -> bool:
    before = dict(old.args)
    if before.get("epochs", 0) < args.get("epochs", 0):
        before["epochs"] = args["epochs"]  # more of them continue
    return before != dict(args) or old.inputs != dict(inputs)


class Model:
    """The whole workspace: what each command must do now."""

    def __init__(self, root: Path, source: Source, oracle: Oracle) -> None:
        self.root, self.source, self.oracle = root, source, oracle
        self.slots: dict[str, Slot] = {}

    def slot(self, place: str) -> Slot:
        return self.slots.setdefault(place, Slot())

    # --- what a folder amounts to -----------------------------------------------------------------------------------

    def has(self, place: str, record: str) -> bool:
        return (self.root / place / record).is_file()

    def is_sound(self, place: str, record: str) -> bool:
        """Whether a record is there, and to the byte what was written."""
        slot = self.slot(place)
        note = slot.done if record == "step.json" else slot.begun
        return note is not None and digest_of(self.root / place / record) == note.digest

    def damage(self, place: str, names: Sequence[str] = (), *, trusted_from: int | None = None) -> list[str]:
        """Which products are not what was committed; a large one whose size and time fit is trusted."""
        found = []
        for name, (size, time, digest) in self.slot(place).stamps.items():
            if names and name not in names:
                continue
            path = self.root / place / name
            if not path.is_file():
                found.append(name)
                continue
            now = stamp(path)
            is_trusted = trusted_from is not None and now[0] >= trusted_from and now[:2] == (size, time)
            if not is_trusted and now[2] != digest:
                found.append(name)
        return found

    def state(self, place: str) -> str:
        """The word that `status` must use, a learner trained since left aside; `unreadable` is damaged to a person."""
        for record in ("begun.json", "step.json"):
            if self.has(place, record) and not self.is_sound(place, record):
                return "unreadable"
            if self.has(place, record) and record == "begun.json":
                return "partial"
        done = self.slot(place).done
        if not self.has(place, "step.json"):
            return "missing"
        assert done is not None
        if done.owner != place or self.damage(place, trusted_from=0):
            return "damaged"
        return "stale" if self.is_outdated(place) else "done"

    def offers(self, place: str) -> dict[str, str]:
        """What a folder's record offers to children, whatever has happened to its files."""
        slot = self.slot(place)
        if not self.has(place, "step.json") or not self.is_sound(place, "step.json"):
            return {}
        assert slot.done is not None
        assert slot.made is not None
        return slot.made.offers if slot.done.owner == place else {}

    def is_outdated(self, place: str) -> bool:
        done = self.slot(place).done
        assert done is not None
        parents = {name.rpartition("|")[0] for name in done.inputs} - {""}
        now = {f"{parent}|{name}": value for parent in parents for name, value in self.offers(parent).items()}
        return any(now.get(name) != value for name, value in done.inputs.items() if "|" in name) or any(
            self.is_outdated(parent) for parent in parents
        )

    def late(self, place: str) -> list[str]:
        """Finished learners that a choice or an evaluation has not known."""
        done = self.slot(place).done
        assert done is not None
        known = {name.partition("|")[0] for name in done.inputs}
        return [name for name in LEARNERS if f"train/{name}" not in known and self.state(f"train/{name}") == "done"]

    def shown(self, place: str) -> str:
        """The word in the table of `status`."""
        state = self.state(place)
        if state == "unreadable":
            return "damaged"
        if state == "done" and place in ("calibrate", "evaluate") and self.late(place):
            return "stale"
        return state

    # --- what a command asks of its parents -------------------------------------------------------------------------

    def need(self, place: str, names: Sequence[str], mend: str) -> None:
        state = self.state(place)
        if state == "unreadable":
            raise Refused(f"Run: {mend}", " --fresh")
        if state != "done":
            raise Refused(f"Run: {mend}")
        if self.damage(place, names):
            force = [] if self.damage(place, names, trusted_from=LARGE) else [" --force"]
            raise Refused(f"Run: {mend}", *force)

    def learners(self, names: Sequence[str]) -> list[str]:
        found = []
        for name in LEARNERS:
            state = self.state(f"train/{name}")
            if state not in ("missing", "partial"):
                self.need(f"train/{name}", names, f"murace train --arch {name}")
                found.append(name)
        if not found:
            raise Refused("Run: murace train --arch all")
        return found

    def choice(self) -> dict[str, str]:
        """Group -> learner."""
        self.need("calibrate", ("roster.json", "scores.csv"), "murace calibrate")
        if self.late("calibrate"):
            raise Refused("Run: murace calibrate")
        return {group: self.offers("calibrate")[f"roster.json:{group}"] for group in GROUPS}

    def inputs(self, place: str) -> tuple[dict[str, str], list[str]]:
        """What a step will be made of, by the digests of what it truly reads; and the parents it is made from."""
        step, _, group = place.partition("/")
        prepare = "murace prepare SOURCE"
        if step == "train":
            self.need("prepare", ("index.csv",), prepare)
            return self._read(step, ["prepare"]), ["prepare"]
        if step == "calibrate":
            self.need("prepare", ("index.csv",), prepare)
            parents = ["prepare", *(f"train/{name}" for name in self.learners(NET))]
            return self._read(step, parents), parents
        if step == "finetune":
            learner = self.choice()[group]
            self.need("prepare", ("index.csv",), prepare)
            self.need(f"train/{learner}", NET[:1], f"murace train --arch {learner}")
            names = {"prepare": ("index.csv", "pixels.npy"), f"train/{learner}": NET[:1]}
            names["calibrate"] = (f"roster.json:{group}",)
            found = {f"{p}|{name}": self.offers(p)[name] for p, wanted in names.items() for name in wanted}
            # The choice was made of every learner: they all stand in its folder's record.
            return found, ["prepare", *self._compared(), "calibrate"]
        self.need("prepare", ("index.csv", "counts.csv"), prepare)
        learners = self.learners((*NET, "history.csv"))
        self.choice()
        for name in GROUPS:
            self.need(f"finetune/{name}", (*NET, "history.csv"), f"murace finetune --groups {name}")
        shown = ["prepare", *(f"train/{name}" for name in learners), "calibrate", *(f"finetune/{g}" for g in GROUPS)]
        return self._read(step, shown), [*dict.fromkeys([*shown, *self._compared()])]

    def _compared(self) -> list[str]:
        done = self.slot("calibrate").done
        assert done is not None
        return sorted({name.partition("|")[0] for name in done.inputs if name.startswith("train/")})

    def _read(self, step: str, parents: Sequence[str]) -> dict[str, str]:
        wanted = READ[step]
        return {f"{p}|{name}": self.offers(p)[name] for p in parents for name in wanted[p.partition("/")[0]]}

    def settings(self, place: str, args: Args) -> Args:
        """All that a record keeps of the settings: a member has its learner's form."""
        step, _, name = place.partition("/")
        if step == "train":
            return params(make.train_config(name, args))
        if step == "finetune":
            form = self.slot(f"train/{self.choice()[name]}").done
            assert form is not None
            recipe = make.finetune_config(args).recipe_for("resnet")
            return {**params(TrainConfig(learner="resnet", recipe=recipe)), **_form(form.args), "size": "learner's"}
        return dict(args)

    # --- what a command does ----------------------------------------------------------------------------------------

    def decide(self, place: str, args: Args, inputs: Mapping[str, str], resume: bool | None, force: bool) -> str:
        slot = self.slot(place)
        if resume is False:
            return "run"
        is_whole = all(self.is_sound(place, name) for name in ("begun.json", "step.json") if self.has(place, name))
        if self.has(place, "begun.json") and self.is_sound(place, "begun.json"):
            assert slot.begun is not None
            if differs(slot.begun, args, inputs):
                raise Refused("--fresh")
            return self._goes_on(place, args, inputs)
        if not self.has(place, "step.json") or not is_whole:
            if "/" in place and self.has_states(place):
                return self._goes_on(place, args, inputs)
            if resume:
                raise Refused("without --resume")
            return "run"
        assert slot.done is not None
        if differs(slot.done, args, inputs):
            if resume:
                raise Refused("without --resume")
            return "run"
        if force:
            return "run"
        if slot.done.args.get("epochs") != args.get("epochs") or self.damage(place, trusted_from=LARGE):
            return self._goes_on(place, args, inputs)
        return "skip"

    def _goes_on(self, place: str, args: Args, inputs: Mapping[str, str]) -> str:
        """From the states that are there: they must be of this very run, but for its epochs."""
        states = self.slot(place).states
        if "/" in place and self.has_states(place):
            assert states is not None
            epochs = {"epochs": args["epochs"]}
            saved = (self.root / place).glob("checkpoint/*.json")
            if max(int(path.stem.partition("-")[0]) for path in saved) > args["epochs"]:
                raise Refused("--fresh")
            if states.owner != place or differs(Note("", {**states.args, **epochs}, states.inputs), args, inputs):
                raise Refused("--fresh")
        return "resume"

    def has_states(self, place: str) -> bool:
        states = self.root / place / "checkpoint"
        return states.is_dir() and any(states.iterdir())

    def plan(self, place: str, args: Args, resume: bool | None, force: bool) -> tuple[str, Note, list[str]]:
        """What a step other than `prepare` must do."""
        inputs, parents = self.inputs(place)
        settings = self.settings(place, args)
        kind = self.decide(place, settings, inputs, resume, force)
        if kind != "skip":  # who uses the pixels reads them
            self.need("prepare", ("pixels.npy",), "murace prepare SOURCE")
        is_new = self.has(place, "begun.json") and not resume
        if kind == "resume" and "/" in place and not self.has_states(place) and not is_new:
            raise Refused("--fresh")
        return kind, Note(place, settings, inputs), parents

    def finished(self, place: str, note: Note, args: Args, parents: Sequence[str]) -> None:
        """A step other than `prepare` has run to its end."""
        made = {}
        for parent in parents:
            known = self.slot(parent).made
            assert known is not None
            made[parent] = known
        self._completed(place, note, self.oracle.run(place, args, note.inputs, made))

    def _completed(self, place: str, note: Note, made: Made) -> None:
        folder, slot = self.root / place, self.slot(place)
        assert make.offers_of(folder) == made.offers, f"{place} is not what recomputing everything gives"
        names = json.loads((folder / "step.json").read_bytes())["produced"]
        slot.stamps = {name: stamp(folder / name) for name in names}
        slot.done = Note(note.owner, note.args, note.inputs, digest_of(folder / "step.json"))
        slot.made, slot.begun = made, None
        slot.states = note

    def interrupted(self, place: str, note: Note) -> None:
        digest = digest_of(self.root / place / "begun.json")
        self.slot(place).begun = Note(note.owner, note.args, note.inputs, digest)
        self.slot(place).states = note

    # --- prepare ----------------------------------------------------------------------------------------------------

    def plan_prepare(self, args: Args, resume: bool | None, force: bool) -> tuple[str, Note]:
        rows, synthetic = self.source.listing
        note = Note("prepare", dict(args), {"source": repr((rows, synthetic))})
        kind = self.decide("prepare", args, note.inputs, resume, force)
        if kind == "skip" and self._source_has_changed():
            return "run", note
        return kind, note

    def _source_has_changed(self) -> bool:
        """Size and time first; the content only where they differ. A file that was refused has no digest to compare."""
        for name, (state, content) in self.slot("prepare").seen.items():
            now = self.source.state[name]
            if now != state and (content == BROKEN or self.source.contents[name] != content):
                return True
        return False

    def read_source(self, args: Args, *, afresh: bool, stop: int | None) -> bool:
        """Read what is not in the chunks of an unfinished run; whether the signal came after `stop` chunks."""
        slot, about = self.slot("prepare"), (self.source.listing, args["size"], args["fit"])
        names = [row[0] for row in self.source.rows]
        if afresh or slot.about != about:
            slot.about, slot.chunks = about, {}
        portions = [names[first : first + CHUNK] for first in range(0, len(names), CHUNK)]
        kept = {
            number: chunk
            for number, chunk in slot.chunks.items()
            if all(self.source.state[name] == chunk[name][0] for name in portions[number])
        }
        rest = [number for number in range(len(portions)) if number not in kept]
        is_stopped = stop is not None and stop <= len(rest)
        for number in rest[:stop] if is_stopped else rest:
            kept[number] = {name: (self.source.state[name], self.source.contents[name]) for name in portions[number]}
        slot.chunks = kept
        return is_stopped

    def prepared(self, note: Note, accept: int) -> str:
        """All is read: what becomes of it, `refused` where too many files are broken."""
        slot = self.slot("prepare")
        seen = {name: what for _, chunk in sorted(slot.chunks.items()) for name, what in chunk.items()}
        broken = sum(content == BROKEN for _, content in seen.values())
        slot.begun = None
        if broken > max(0.01 * len(seen), accept):
            return "refused"
        contents = tuple((name, content) for name, (_, content) in seen.items())
        slot.when = Seen(self.source.rows, contents, self.source.synthetic)
        slot.seen, slot.about, slot.chunks = seen, None, {}
        self._completed("prepare", note, self.oracle.prepare(slot.when, note.args))
        return "done"

    # --- the promise ------------------------------------------------------------------------------------------------

    def recomputed(self, place: str) -> Made:
        """Everything from the source, as `prepare` last saw it, to `place`, with the settings of the records."""
        slot = self.slot(place)
        assert slot.done is not None
        if place == "prepare":
            assert slot.when is not None
            return self.oracle.prepare(slot.when, slot.done.args)
        parents = list(dict.fromkeys(name.rpartition("|")[0] for name in slot.done.inputs))
        made = {parent: self.recomputed(parent) for parent in parents}
        inputs = {name: made[name.rpartition("|")[0]].offers[name.rpartition("|")[2]] for name in slot.done.inputs}
        assert slot.made is not None
        key = (place.partition("/")[0], inputs == slot.done.inputs)
        assert key[1], f"{place} stands as done on inputs that recomputing does not give"
        return slot.made


def _form(args: Args) -> dict[str, Any]:
    return {name: args[name] for name in ("learner", "width", "head")}
