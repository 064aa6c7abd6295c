"""A study's folder of overlays: one picture per view, and `study.json`, written last, which says what was answered.

A folder is `cam`'s own where its record or, after a kill, its note of what was begun names the files in it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from murace.data.images.views import Bytes, Views
from murace.errors import UsageError, WorkspaceError
from murace.explain.cam import DEFAULT_MAP_METHOD, Floats, MapMethod, Maps, flaw, over_original
from murace.explain.overlays.colours import LIMIT
from murace.explain.overlays.folders import StudyToDraw, view_names
from murace.explain.overlays.triptych import triptych, without_map
from murace.metrics.scores import THRESHOLD
from murace.nets.trained import TrainedNet, probability
from murace.system.files import sha256, sweep, write_bytes, write_json
from murace.system.opencv import cv2
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import DISCLAIMER

RECORD, BEGUN = "study.json", "begun.json"
MODEL, VIEWS = "model_sha256", "views_sha256"
METHOD, SCALES, MAP, PICTURE = "method", "scales", "map", "sha256"
TOGETHER, COUNTED = "put_together", "counted"
COPY = "A copy of another view, which does not count again."
NO_MAP_DRAWN = {
    "flat": "The map is flat: it points nowhere, so none is drawn.",
    "not finite": "The map has values that are not finite numbers, so none is drawn.",
}


@dataclass(frozen=True)
class StudyMaps:
    """What a member makes of a study: maps [V, h, w] by `map_method`, and log-odds [V], finite."""

    maps: Maps
    log_odds: Floats
    map_method: MapMethod = DEFAULT_MAP_METHOD


def refuse_foreign(study: StudyToDraw) -> None:
    """Never overwrite what `cam` has not written.

    Raises:
        UsageError: a file of that name is there, and neither the record nor the note names it.
    """
    ours = {view["file"] for view in _recorded(study.folder / RECORD).get("views", [])} | _begun(study.folder / BEGUN)
    for name in view_names(study.views):
        if name not in ours and (study.folder / name).exists():
            raise UsageError(f"{study.folder / name} was not written by murace cam: choose another --out")


def drawn_before(
    study: StudyToDraw,
    member: TrainedNet,
    map_method: MapMethod = DEFAULT_MAP_METHOD,
    *,
    digests: Sequence[str] | None = None,
) -> dict[str, Any] | None:
    """The study's record, where it says that this very model has drawn these very files in this way.

    None where it does not, where drawing has begun and not ended, or where the record or a picture is damaged.

    Args:
        study: its views, and the folder with the record.
        member: the group's net.
        map_method: how maps are made now.
        digests: the SHA-256 of each view where they have been read already.
    """
    old = sealed_record(study.folder / RECORD) or {}
    names = view_names(study.views)
    if (study.folder / BEGUN).exists() or not {"group_source", "warning", TOGETHER} <= old.keys():  # an older murace
        return None
    if (old["group_source"], old[TOGETHER]) != (study.source, study.put_together):
        return None
    if old.get(MODEL) != member.sha256 or [view["file"] for view in old.get("views", [])] != names:
        return None
    if (old.get(METHOD), old.get(SCALES)) != (map_method.method, list(map_method.scales)):
        return None
    if [view.get(PICTURE) for view in old["views"]] != [_digest(study.folder / name) for name in names]:
        return None
    now = [_digest(view) for view in study.views] if digests is None else list(digests)
    return old if old.get(VIEWS) == now else None


def draw(study: StudyToDraw, views: Views, made: StudyMaps, member: TrainedNet) -> dict[str, Any]:
    """Write one overlay per view and the record, last; returns the record.

    Raises:
        MachineError: the disk is full or the folder cannot be written to.
    """
    names = view_names(study.views)
    sweep(study.folder)
    write_json(study.folder / BEGUN, {"files": names})
    chances = probability(made.log_odds)
    content = _content(study, made, member, names)
    summary = f"study {content['probability']:.2f} {content['decision']}   {study.group}   {member.learner}"
    summary += f"   {made.map_method.name}"
    for view, original, heat, chance in zip(content["views"], views.originals, made.maps, chances, strict=True):
        drawn = _picture(original, heat, made.map_method, fit=member.fit, chance=float(chance), summary=summary)
        view[PICTURE] = _write_png(study.folder / view["file"], drawn)
    content |= {METHOD: made.map_method.method, SCALES: list(made.map_method.scales)}
    content |= {MODEL: member.sha256, VIEWS: list(views.sha256)}
    write_sealed(study.folder / RECORD, content)
    (study.folder / BEGUN).unlink()
    return content


def _picture(original: Bytes, heat: Maps, map_method: MapMethod, *, fit: str, chance: float, summary: str) -> Bytes:
    """The map beside and over the original, or a sentence where it means nothing.

    A map without unit is drawn on a scale from 0 to 1, as shares of its maximum times the probability: what hardly
    speaks for abnormal stays grey, as with logits.
    """
    caption, limit, unit = f"p = {chance:.2f}   {summary}", LIMIT, "log-odds"
    if not map_method.is_signed:
        limit, unit = 1.0, "share x p"
    if (fault := flaw(heat)) is not None:
        return without_map(original, NO_MAP_DRAWN[fault], caption=caption, limit=limit, unit=unit)
    height, width = original.shape
    laid = over_original(heat if map_method.is_signed else heat * chance, width=width, height=height, fit=fit)
    return triptych(original, laid, caption=caption, limit=limit, unit=unit)


def _content(study: StudyToDraw, made: StudyMaps, member: TrainedNet, names: list[str]) -> dict[str, Any]:
    chances = probability(made.log_odds)
    counted = study.counted or (True,) * len(chances)
    mean = float(chances[list(counted)].mean())
    return {
        "group": study.group,
        "group_source": study.source,
        "warning": study.warning,
        TOGETHER: study.put_together,
        "learner": member.learner,
        "probability": mean,
        "decision": "abnormal" if mean >= THRESHOLD else "normal",
        "threshold": THRESHOLD,
        "views": [
            {"file": name, "probability": float(chance), "log_odds": float(odds), **_view_state(heat, is_counted)}
            for name, chance, odds, heat, is_counted in zip(
                names, chances, made.log_odds, made.maps, counted, strict=True
            )
        ],
        "notice": DISCLAIMER,
    }


def _view_state(heat: Maps, is_counted: bool) -> dict[str, str | bool]:
    """What the record says of a view: its map is `drawn`, or what is wrong with it; a remark for the reader, if any."""
    fault = flaw(heat)
    remarks = ([NO_MAP_DRAWN[fault]] if fault else []) + ([] if is_counted else [COPY])
    return {MAP: fault or "drawn", COUNTED: is_counted, **({"remark": " ".join(remarks)} if remarks else {})}


def sealed_record(path: Path) -> dict[str, Any] | None:
    """What a study's record says; None where there is none, or one that is damaged or older than seals."""
    try:
        return read_sealed(path)
    except (OSError, WorkspaceError):
        return None


def _recorded(path: Path) -> dict[str, Any]:
    """What a study's record says; nothing where there is none."""
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        content = None
    if not isinstance(content, dict) or (content and MODEL not in content):
        raise UsageError(f"{path} was not written by murace cam: choose another --out")
    return content


def _begun(path: Path) -> set[str]:
    """The files that the note of what was begun names; none where there is no note."""
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else {"files": []}
    except ValueError:
        content = None
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise UsageError(f"{path} was not written by murace cam: choose another --out")
    return set(files)


def _digest(path: Path) -> str | None:
    """None where the file cannot be read: reading it as a picture will say why."""
    try:
        return sha256(path) if path.is_file() else None
    except OSError:
        return None


def _write_png(path: Path, drawn: Bytes) -> str:
    done, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV cannot encode PNG"
    return write_bytes(path, png.tobytes())
