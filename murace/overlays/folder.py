"""A study's folder of overlays: one picture per view, and `study.json`, written last, which says what was answered.

A folder is `cam`'s own where its record or, after a kill, its note of what was begun names the files in it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from murace.cam import Floats, Maps, over_original, probability
from murace.data.studies import Study, view_names
from murace.data.views import Bytes, Views
from murace.device import Place
from murace.errors import UsageError
from murace.files import read_json, sha256, write_bytes, write_json
from murace.metrics.scores import THRESHOLD
from murace.opencv import cv2
from murace.report.overlay import triptych
from murace.vocabulary import DISCLAIMER

RECORD, BEGUN = "study.json", "begun.json"
MODEL, VIEWS = "model_sha256", "views_sha256"


@dataclass(frozen=True)
class Member:
    """Who answers: a learner fine-tuned for the group, its weights, and how pictures are brought to its size."""

    learner: str
    weights: Path
    weights_sha256: str
    place: Place
    size: int
    fit: str


@dataclass(frozen=True)
class Answer:
    """A member's answer about a study: maps [V, h, w] in logits, and log-odds [V]."""

    maps: Maps
    log_odds: Floats


def refuse_foreign(study: Study) -> None:
    """Never overwrite what `cam` has not written.

    Raises:
        UsageError: a file of that name is there, and neither the record nor the note names it.
    """
    note = study.folder / BEGUN
    ours = {view["file"] for view in _recorded(study.folder / RECORD).get("views", [])}
    ours |= set(read_json(note)["files"] if note.is_file() else [])
    for name in view_names(study.views):
        if name not in ours and (study.folder / name).exists():
            raise UsageError(f"{study.folder / name} was not written by murace cam: choose another --out")


def drawn_before(study: Study, member: Member) -> dict[str, Any] | None:
    """The study's record, where it says that this very model has drawn these very files, and nothing has been begun."""
    old = _recorded(study.folder / RECORD)
    names = view_names(study.views)
    if (study.folder / BEGUN).exists():
        return None
    if old.get(MODEL) != member.weights_sha256 or [view["file"] for view in old.get("views", [])] != names:
        return None
    if not all((study.folder / name).is_file() for name in names):
        return None
    return old if old.get(VIEWS) == [_digest(view) for view in study.views] else None


def draw(study: Study, views: Views, answer: Answer, member: Member) -> dict[str, Any]:
    """Write one overlay per view and the record, last; returns the record.

    Raises:
        MachineError: the disk is full or the folder cannot be written to.
    """
    names = view_names(study.views)
    write_json(study.folder / BEGUN, {"files": names})
    chances = probability(answer.log_odds)
    content = _content(study, answer, member, names)
    told = f"study {content['probability']:.2f} {content['decision']}   {study.group}   {member.learner}"
    for name, original, heat, chance in zip(names, views.originals, answer.maps, chances, strict=True):
        height, width = original.shape
        laid = over_original(heat, width=width, height=height, fit=member.fit)
        _write_png(study.folder / name, triptych(original, laid, caption=f"p = {chance:.2f}   {told}"))
    content |= {MODEL: member.weights_sha256, VIEWS: list(views.sha256)}
    write_json(study.folder / RECORD, content)
    (study.folder / BEGUN).unlink()
    return content


def _content(study: Study, answer: Answer, member: Member, names: list[str]) -> dict[str, Any]:
    chances = probability(answer.log_odds)
    mean = float(chances.mean())
    return {
        "group": study.group,
        "learner": member.learner,
        "probability": mean,
        "decision": "abnormal" if mean >= THRESHOLD else "normal",
        "threshold": THRESHOLD,
        "views": [
            {"file": name, "probability": float(chance), "log_odds": float(odds)}
            for name, chance, odds in zip(names, chances, answer.log_odds, strict=True)
        ],
        "notice": DISCLAIMER,
    }


def _recorded(path: Path) -> dict[str, Any]:
    """What a study's record says; nothing where there is none."""
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        content = None
    if not isinstance(content, dict) or (content and MODEL not in content):
        raise UsageError(f"{path} was not written by murace cam: choose another --out")
    return content


def _digest(path: Path) -> str | None:
    """None where the file cannot be read: reading it as a picture will say why."""
    try:
        return sha256(path) if path.is_file() else None
    except OSError:
        return None


def _write_png(path: Path, drawn: Bytes) -> None:
    done, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV cannot encode PNG"
    write_bytes(path, png.tobytes())
