"""The values of DICOM elements, read so that a damaged one is a reason that names the element and quotes nothing."""

import importlib
from functools import cache
from typing import Any

from murace.data.images.dicom.file import pydicom, refusing
from murace.data.images.header import ImageError

_REGIONS = {4, 4009, 4031}  # PS3.16 context groups of anatomic regions
_RETIRED = ("SRT", "SNM3", "99SDM")  # SNOMED RT, under the names it has had


def name_of(uid: str) -> str:
    """The standard's name of a UID; `unknown` where it is none of the standard's: it might be anybody's."""
    entry = pydicom().uid.UID_dictionary.get(str(uid))
    return str(entry[0]) if entry else "unknown"


def value(elements: Any, keyword: str) -> Any:
    """An element's first value; None where the element is missing or empty.

    Raises:
        ImageError: its bytes are no such value.
    """
    found = values(elements, keyword)
    return found[0] if found else None


def values(elements: Any, keyword: str) -> list[Any]:
    """All values of an element; none where it is missing or empty.

    Raises:
        ImageError: its bytes are no such values.
    """
    with refusing(f"damaged DICOM: {keyword} cannot be read"):
        found = elements.get(keyword)
        if found is None or found == "" or found == b"":
            return []
        return [found] if isinstance(found, str | bytes) or not hasattr(found, "__iter__") else list(found)


def number(elements: Any, keyword: str) -> float | None:
    """An element's first value as a number.

    Raises:
        ImageError: it is none.
    """
    found = value(elements, keyword)
    try:
        return None if found is None else float(found)
    except (TypeError, ValueError):
        raise ImageError(f"damaged DICOM: {keyword} is not a number") from None


def whole(elements: Any, keyword: str) -> int | None:
    """An element's first value as a whole number.

    Raises:
        ImageError: it is none.
    """
    found = number(elements, keyword)
    if found is not None and not found.is_integer():
        raise ImageError(f"damaged DICOM: {keyword} is not a whole number")
    return None if found is None else int(found)


def text(elements: Any, keyword: str) -> str:
    """An element's first value as text; empty where there is none.

    Raises:
        ImageError: its bytes are no text.
    """
    found = value(elements, keyword)
    return "" if found is None else str(found).strip(" \0")


def word(elements: Any, keyword: str) -> str:
    """An element's first value as a word in capitals; empty where there is none.

    Raises:
        ImageError: its bytes are no text.
    """
    return text(elements, keyword).upper()


def meaning(scheme: str, code: str) -> str:
    """The standard's English words for a code of a body part (CID 4, 4009, 4031); empty where it is none of these."""
    pydicom()
    modern, retired = _codes()
    return modern.get(retired.get(code, "") if scheme in _RETIRED else code, "")


@cache
def _codes() -> tuple[dict[str, str], dict[str, str]]:
    """SNOMED CT code -> words, and retired SNOMED code -> SNOMED CT code, from pydicom's tables."""
    concepts = importlib.import_module("pydicom.sr._concepts_dict").concepts["SCT"]
    retired = importlib.import_module("pydicom.sr._snomed_dict").mapping["SRT"]
    found = {
        code: words
        for entries in concepts.values()
        for code, (words, sets) in entries.items()
        if not _REGIONS.isdisjoint(sets)
    }
    return found, retired
