"""Read a DICOM radiograph: whether it is accepted, its display picture, and its study, patient and body part tags.

Accepted are CR and DX images for presentation, and secondary captures that say they are radiographs (digitised film).
Patient identifiers never leave this module but in fields of `Tags` that no representation shows.
"""

import hashlib
import io
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from murace.data.images.dicom import chain as dicomchain
from murace.data.images.dicom import file as dicomfile
from murace.data.images.dicom import pixels
from murace.data.images.dicom import values as dicomvalues
from murace.data.images.dicom.chain import chain_of
from murace.data.images.dicom.display import Grey, display
from murace.data.images.dicom.values import code_string, text, value, values
from murace.data.images.header import ImageError
from murace.system.opencv import cv2

ANATOMIC_REGION, BODY_PART = "AnatomicRegionSequence", "BodyPartExamined"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_RADIOGRAPHS = (_STORAGE + "1", _STORAGE + "1.1")
_PROCESSING, _SECONDARY = _STORAGE + "1.1.1", _STORAGE + "7"
_RADIOGRAPHY = ("CR", "DX", "RG", "DR", "XR")
_READ = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "PresentationIntentType", "BurnedInAnnotation",
    *dicomchain.KEYWORDS, *pixels.KEYWORDS,
)  # fmt: skip
_TAGS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", ANATOMIC_REGION, "PatientID", "PatientBirthDate",
    "PatientSex", BODY_PART, "StudyInstanceUID", "Rows",
)  # fmt: skip
_DIRECTORY = "1.2.840.10008.1.3.10"  # the table of contents of a CD


class Content(StrEnum):
    """What a DICOM file holds: a DICOMDIR is a table of contents; reports and the like have no pixels."""

    PICTURE = "picture"
    NO_PIXELS = "no pixels"
    DIRECTORY = "directory"


@dataclass(frozen=True)
class Tags:
    """What a file says besides its pixels.

    `study` and `instance` are digests of StudyInstanceUID and SOPInstanceUID (empty where there is none); `regions`
    holds, best source first, each element that names a body part, and its text, values parted by a backslash. PatientID
    and StudyInstanceUID themselves are for the predictions' csv, when the user asks; the former tells patients apart,
    too, and so do `born` and `sex`, digests of PatientBirthDate and PatientSex (empty where there is none).
    """

    study: str
    regions: tuple[tuple[str, str], ...] = field(repr=False)
    patient_id: str = field(repr=False)
    study_uid: str = field(repr=False)
    instance: str = field(default="", repr=False)
    content: Content = Content.PICTURE
    born: str = field(default="", repr=False)
    sex: str = field(default="", repr=False)


def read_grey(data: bytes) -> tuple[Grey, tuple[str, ...]]:
    """Decode a DICOM file to its display picture, uint8 or uint16 [H, W], black to white over the type's full range.

    Returns the picture, and remarks on where it is not shown as its header says.

    Raises:
        ImageError: no radiograph, not one to be looked at, or not readable; the text holds nothing of the file's texts.
        MachineError: pydicom or a decoder is missing.
    """
    dicomfile.require_short_header(data)
    elements = dicomfile.read_elements(io.BytesIO(data), _READ)
    if not len(elements):  # pydicom gives nothing of a file that ends within an element
        raise ImageError("damaged DICOM: it ends too early")
    _check_kind(elements)
    shape = pixels.shape_of(elements)
    chain = chain_of(elements, shape.stored)
    picture = pixels.read_pixel_cells(elements, shape)
    surplus = (pixels.SURPLUS,) if pixels.has_surplus(elements, shape) else ()
    if shape.samples == 3:
        return cast(Grey, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)), surplus
    return display(picture, chain), (*chain.remarks, *surplus)


def read_tags(path: Path) -> Tags | None:
    """Read what a file says besides its pixels, without reading these; None where it is no DICOM file.

    A damaged DICOM file says nothing here: all is empty, and the reason comes from `decode.read`.

    Raises:
        MachineError: it is DICOM, and pydicom is missing.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe might never answer
            return None
        with path.open("rb") as file:
            if not dicomfile.is_dicom(file.read(dicomfile.HEAD)):
                return None
            file.seek(0)
            start = file.read(dicomfile.MAX_HEADER // 4)  # all that is asked for stands far in front
        elements = dicomfile.read_elements(io.BytesIO(start), _TAGS)
        uid = text(elements, "StudyInstanceUID")
        instance = _anonymous(text(elements, "SOPInstanceUID"))
        patient, regions = text(elements, "PatientID"), tuple(_regions(elements))
        born, sex = _anonymous(text(elements, "PatientBirthDate")), _anonymous(code_string(elements, "PatientSex"))
        return Tags(_anonymous(uid), regions, patient, uid, instance, _content(elements), born, sex)
    except OSError:
        return None
    except ImageError:
        return Tags("", (), "", "")


def _content(elements: Any) -> Content:
    """A file without Rows may be a damaged picture: it is an object without pixels if its class is of no images."""
    kind = text(elements, "SOPClassUID") or str(elements.file_meta.get("MediaStorageSOPClassUID", ""))
    if kind == _DIRECTORY:
        return Content.DIRECTORY
    if not kind or value(elements, "Rows") is not None or "Image" in dicomvalues.uid_name(kind):
        return Content.PICTURE
    return Content.NO_PIXELS


def _check_kind(elements: Any) -> None:
    """Refuse what is no radiograph to be looked at.

    Raises:
        ImageError: the reason.
    """
    kind, modality = str(value(elements, "SOPClassUID") or ""), code_string(elements, "Modality")
    if kind == _PROCESSING or code_string(elements, "PresentationIntentType") == "FOR PROCESSING":
        raise ImageError("DICOM for processing, the detector's raw values: export the image for presentation")
    if kind == _SECONDARY and modality not in _RADIOGRAPHY:
        raise ImageError("DICOM secondary capture that does not say it is a radiograph (Modality CR, DX or RG)")
    if kind not in (*_RADIOGRAPHS, _SECONDARY) and (kind or modality not in _RADIOGRAPHY):
        raise ImageError(f"DICOM of another kind than CR or DX: {dicomvalues.uid_name(kind) if kind else 'not said'}")
    if code_string(elements, "BurnedInAnnotation") == "YES":
        raise ImageError("DICOM with burned-in annotation, which may name the patient: de-identify its pixels first")


def _anonymous(uid: str) -> str:
    return hashlib.sha256(f"murace study {uid}".encode()).hexdigest()[:16] if uid else ""


def _regions(elements: Any) -> list[tuple[str, str]]:
    """The words of each source; a code is turned into the standard's own English words."""
    found = []
    for item in values(elements, ANATOMIC_REGION)[:1]:
        scheme, code = code_string(item, "CodingSchemeDesignator"), code_string(item, "CodeValue")
        found.append((ANATOMIC_REGION, dicomvalues.code_meaning(scheme, code) or text(item, "CodeMeaning")))
    if words := "\\".join(str(part).strip(" \0") for part in values(elements, BODY_PART)):
        found.append((BODY_PART, words))
    return found
