"""Typed values of DICOM elements, and names of UIDs and codes.

A damaged element is refused with a reason that names the element and never quotes what it holds.
"""

import importlib
import math
from functools import cache, lru_cache
from typing import Any

from murace.data.images.dicom.file import pydicom, refusing
from murace.data.images.header import ImageError

_REGIONS = ("CID4", "CID4009", "CID4031")  # PS3.16 context groups of anatomic regions
_RETIRED = ("SRT", "SNM3", "99SDM")  # SNOMED RT, under the names it has had


def uid_name(uid: str) -> str:
    """The standard's name of a UID; `unknown` where the standard has none: a private UID might identify someone."""
    package = pydicom()
    known = package.uid.UID(str(uid), package.config.IGNORE)
    return "unknown" if known.name == known else str(known.name)


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


def numbers(elements: Any, keyword: str) -> list[float]:
    """All values of an element as numbers; not a number (NaN) for each that is none, whatever its bytes are."""
    try:
        found = values(elements, keyword)
    except ImageError:  # one that is no number hides the others
        raw = elements.get_item(keyword).value
        found = raw.decode("ascii", "replace").split("\\") if isinstance(raw, bytes) else [None]
    return [_number(part) for part in found]


def _number(found: Any) -> float:
    try:
        return float(found)
    except (TypeError, ValueError):
        return math.nan


def integer(elements: Any, keyword: str) -> int | None:
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


def code_string(elements: Any, keyword: str) -> str:
    """An element's first value as a code string (VR CS): in capitals, empty where there is none.

    Raises:
        ImageError: its bytes are no text.
    """
    return text(elements, keyword).upper()


@lru_cache(maxsize=256)
def code_meaning(scheme: str, code: str) -> str:
    """The standard's English meaning of a code for a body part (CID 4, 4009, 4031); empty where it is none of these."""
    regions = _regions()
    if scheme not in _RETIRED:
        return regions.get(code, "")
    make = importlib.import_module("pydicom.sr.coding").Code
    retired = make(code, "SRT", "")  # equal to the SNOMED CT code that has taken its place
    return next((meaning for current, meaning in regions.items() if make(current, "SCT", "") == retired), "")


@cache
def _regions() -> dict[str, str]:
    """SNOMED CT code -> meaning; of several meanings the last in the alphabet (Heart, not Endo-cardiac)."""
    pydicom()
    codes = importlib.import_module("pydicom.sr.codedict").codes
    found = [code for group in _REGIONS for code in getattr(codes, group).concepts.values()]
    return {code.value: code.meaning for code in sorted(found, key=lambda code: str(code.meaning))}
