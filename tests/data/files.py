"""Small radiographs and sources, drawn for tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from murace.data.images.decode import read
from murace.data.images.resize import resize, to_eight_bits
from murace.system.opencv import cv2

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CR = "1.2.840.10008.5.1.4.1.1.1"
CANARIES = {
    "PatientName": "CANARY^NAME",
    "PatientID": "CANARY-ID",
    "PatientBirthDate": "19561231",
    "StudyDate": "20260713",
    "AccessionNumber": "CANARY-ACC",
    "InstitutionName": "CANARY HOSPITAL",
    "StudyInstanceUID": "1.2.826.0.1.56473829",
    "SOPInstanceUID": "1.2.826.0.1.91827364",
}


def picture(seed: int = 0, height: int = 24, width: int = 16) -> npt.NDArray[np.uint8]:
    """A smooth grey picture, different for every seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.5)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(image: npt.NDArray[np.generic], *extra: bytes) -> bytes:
    """A PNG file; `extra` chunks come right after the header."""
    data = cv2.imencode(".png", image)[1].tobytes()
    return data[:33] + b"".join(extra) + data[33:]


def raw_png(width: int, height: int, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG file from its header's numbers and its chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF block with nothing but an orientation."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)


def jpeg(image: npt.NDArray[np.uint8], orientation: int | None = None) -> bytes:
    """A JPEG file, with an EXIF block where an orientation is given."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    if orientation is None:
        return data
    body = b"Exif\0\0" + exif(orientation)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def dicom_elements(image: npt.NDArray[Any], **elements: Any) -> Dataset:
    """A CR image with canaries for identifiers; an element given as None is left out."""
    bits = 8 * image.dtype.itemsize
    made = Dataset()
    values: dict[str, Any] = {
        "SOPClassUID": CR, "Modality": "CR", **CANARIES, "Rows": image.shape[0], "Columns": image.shape[1],
        "SamplesPerPixel": image.shape[2] if image.ndim == 3 else 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits, "BitsStored": bits, "PixelRepresentation": int(image.dtype.kind == "i"),
    }  # fmt: skip
    if image.ndim == 3:
        values |= {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    values |= elements
    if values["BitsStored"]:
        values.setdefault("HighBit", values["BitsStored"] - 1)
    for keyword, value in values.items():
        if value is not None:
            setattr(made, keyword, value)
    made.add_new("PixelData", "OB" if bits == 8 else "OW", image.tobytes() + b"\0" * (image.nbytes % 2))
    return made


def dicom(
    image: npt.NDArray[Any], *, syntax: str | None = ExplicitVRLittleEndian, encode: str | None = None, **elements: Any
) -> bytes:
    """A DICOM file; without preamble where `syntax` is None, compressed where `encode` names how."""
    made, file = dicom_elements(image, **elements), io.BytesIO()
    if syntax is None:
        made.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
        return file.getvalue()
    if syntax == ExplicitVRBigEndian and image.dtype.itemsize == 2:
        made.PixelData = image.astype(image.dtype.newbyteorder(">")).tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = CR, "1.2.3"
    if encode is not None:
        made.compress(encode, generate_instance_uid=False)
        syntax = encode
    is_little = syntax != ExplicitVRBigEndian
    made.save_as(file, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=is_little, enforce_file_format=True)
    return file.getvalue()


def make_mura(folder: Path, *, regions: tuple[str, ...] = ("ELBOW", "WRIST"), patients: int = 8) -> Path:
    """A small MURA folder: in each region and part `patients` patients, every second one positive, two views each."""
    number = 0
    for part in ("train", "valid"):
        images, studies = [], []
        for region in regions:
            for place in range(patients):
                number += 1
                word = ("negative", "positive")[place % 2]
                study = f"{part}/XR_{region}/patient{number:05d}/study1_{word}"
                (folder / study).mkdir(parents=True)
                studies.append(f"MURA-v1.1/{study}/,{place % 2}\n")
                for view in (1, 2):
                    (folder / study / f"image{view}.png").write_bytes(png(picture(10 * number + view)))
                    images.append(f"MURA-v1.1/{study}/image{view}.png\n")
        (folder / f"{part}_image_paths.csv").write_text("".join(images))
        (folder / f"{part}_labeled_studies.csv").write_text("".join(studies))
    return folder


def make_manifest(folder: Path, *, count: int = 40, header: str = "path,label", row: str = "{path},{label}") -> Path:
    """A manifest of `count` pictures, every second one positive; `row` may use path, label, number."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [header]
    for number in range(count):
        path = f"image{number:03d}.png"
        (folder / path).write_bytes(png(picture(number)))
        rows.append(row.format(path=path, label=number % 2, number=number))
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder / "manifest.csv"


def read_grey(path: Path) -> npt.NDArray[np.uint8]:
    """A radiograph at its own resolution, upright, uint8 [H, W]."""
    return to_eight_bits(read(path).grey)


def decode(path: Path, *, size: int, fit: str) -> npt.NDArray[np.uint8]:
    """A radiograph as `prepare` keeps it, uint8 [size, size]."""
    return resize(read(path).grey, size=size, fit=fit)
