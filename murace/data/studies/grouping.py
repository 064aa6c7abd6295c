"""Views that something puts together, parted into studies: never several people in one, never two body parts."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from murace.data.images.dicom.radiograph import Tags
from murace.data.images.dicom.regions import SIDES_AND_VIEWS, Stated, stated_region
from murace.data.studies.names import named
from murace.data.studies.search import View

MANY = 16  # views that no study has: MURA's largest has 13
_ID = "PatientID"
_PERSON: dict[str, Callable[[Tags], str]] = {
    _ID: lambda tags: tags.patient_id,
    "PatientBirthDate": lambda tags: tags.born,
    "PatientSex": lambda tags: tags.sex,
}
_BREAK = re.compile(r"[-_. ]+")


@dataclass(frozen=True)
class Part:
    """Views of one person, and what is to be said about how they were parted from others."""

    views: tuple[View, ...]
    warning: str = ""

    @property
    def is_apart(self) -> bool:
        """Whether there were others, of whom it is not known that they are the same person."""
        return bool(self.warning)


def by_patient(views: Sequence[View], *, shared: str) -> list[Part]:
    """The views parted by PatientID, and by birth date and sex where views that state them differ.

    Software that makes files anonymous may give one PatientID to everybody. Where views are parted, each that does not
    say whose it is is alone.

    Args:
        views: what something else puts together.
        shared: what puts them together, in words.
    """
    people, alone = [list(views)], list[tuple[View, str]]()
    for keyword, stated in _PERSON.items():
        parted = list[list[View]]()
        for own in people:
            told = dict[str, list[View]]()
            for view in own:
                told.setdefault(stated(view.tags).strip() if view.tags else "", []).append(view)
            silent = told.pop("", [])
            if len(told) > 1 or (told and keyword == _ID):
                parted += told.values()
                alone += ((view, keyword) for view in silent)
            else:
                parted.append(own)
        people = parted
    count = len(people)
    if count == 1 and not alone:
        return [Part(tuple(views))]
    missing = " or ".join(dict.fromkeys(keyword for _, keyword in alone))
    others = f" and {_counted(len(alone), 'file')} without {missing}" if alone else ""
    holds = f"{shared} holds {_counted(count, 'patient')}{others}"
    return [
        *(
            Part(tuple(own), f"{holds}: read apart, this is patient {number} of {count}")
            for number, own in enumerate(people, start=1)
        ),
        *(
            Part((view,), f"{holds}: read apart, this view has no {keyword} and joins nobody")
            for view, keyword in alone
        ),
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"


def region_of(views: Iterable[View], known: Collection[str]) -> tuple[Stated | None, str]:
    """The body part that the views state, and how they contradict each other; one that states none follows the others.

    Args:
        views: of one study.
        known: groups whose names in a DICOM tag mean them.
    """
    stated = [(view, found) for view in views if view.tags and (found := stated_region(view.tags, known))]
    first = {found.name: (view, found) for view, found in reversed(stated)}
    if len(first) < 2:
        return (stated[0][1] if stated else None), ""
    said = ", ".join(f"{named(view.path)} says {name}" for name, (view, _) in sorted(first.items()))
    return None, f"its views contradict each other ({said})"


def doubt_about_folder(views: Sequence[View]) -> str:
    """What speaks against one study, where nothing but a folder puts its files together; empty where nothing does."""
    prefixes = sorted({prefix for view in views if (prefix := _prefix(view.path.stem))})
    if len(prefixes) < 2 and len(views) <= MANY:
        return ""
    begin = f" (their names begin in {len(prefixes)} ways)" if len(prefixes) > 1 else ""
    return f"one study of {len(views)} views: use --each-file, or one folder a study{begin}"


def doubt_about_uid(views: Sequence[View]) -> str:
    """What speaks against one study, where a StudyInstanceUID puts its files together; empty where nothing does."""
    return (
        f"one study of {len(views)} views by its StudyInstanceUID: is it of one patient?" if len(views) > MANY else ""
    )


def _prefix(stem: str) -> str:
    """What a file's name says before its last part, or number, besides sides and views; empty where nothing stands."""
    parts = [part for part in _BREAK.split(stem) if part]
    if len(parts) > 1:
        parts.pop()
    elif parts and parts[0] != (start := parts[0].rstrip("0123456789")):
        parts = [start]
    else:
        parts = []
    return "_".join(part for part in parts if part.strip("0123456789").lower() not in SIDES_AND_VIEWS)
