import io
import logging
import math
import os
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from murace.config import PrepareConfig
from murace.data.images.decode import read
from murace.data.images.dicom import file as dicomfile
from murace.data.images.dicom import pixels
from murace.data.images.dicom.radiograph import read_tags
from murace.data.images.header import ImageError
from murace.errors import MachineError
from murace.steps.prepare import Operation
from murace.steps.prepare import run as run_prepare
from murace.system.opencv import cv2
from murace.system.progress import Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.data.files import CANARIES, CR, decode, dicom, dicom_elements, picture, png, read_grey

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def write(folder: Path, data: bytes, name: str = "IM000001") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def reason(folder: Path, data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        read(write(folder, data))
    found = str(error.value)
    assert "\n" not in found
    assert not any(canary in found for canary in CANARIES.values())
    return found


def deep(seed: int = 0, bits: int = 12, height: int = 48, width: int = 40) -> np.ndarray:
    """A smooth picture that uses the whole of its bits."""
    noise = np.random.default_rng(seed).random((height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.rint(smooth * (2**bits - 1)).astype(np.uint16)


def as_png(shown: np.ndarray, bits: int) -> bytes:
    """The PNG twin of a picture whose display values 0..1 are given."""
    return png(np.rint(shown * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16))


def assert_twins(folder: Path, data: bytes, shown: np.ndarray) -> None:
    """Tensors of the DICOM and of its PNG twins of both depths are within 1 grey level, whole and resized."""
    mine = write(folder, data, "mine")
    for bits in (8, 16):
        twin = write(folder, as_png(shown, bits), "twin")
        assert np.abs(read_grey(mine).astype(int) - read_grey(twin)).max() <= 1
        for fit in ("squash", "pad"):
            tensors = [decode(path, size=16, fit=fit).astype(int) for path in (mine, twin)]
            assert np.abs(tensors[0] - tensors[1]).max() <= 1


@pytest.mark.parametrize("bits", [10, 11, 12, 13, 14, 15, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_png_and_dicom_of_one_picture_give_one_tensor(tmp_path, bits, photometric):
    image = deep(bits=bits)
    shown = image / (2**bits - 1)
    data = dicom(image, BitsStored=bits, PhotometricInterpretation=photometric)
    assert_twins(tmp_path, data, 1 - shown if photometric == "MONOCHROME1" else shown)


def test_eight_bits_without_a_window_are_shown_as_they_are(tmp_path):
    image = picture() // 2  # no full range: a PNG would not be spread either
    assert np.array_equal(read(write(tmp_path, dicom(image))).grey, image)
    assert np.array_equal(
        read(write(tmp_path, dicom(image, PhotometricInterpretation="MONOCHROME1"))).grey, 255 - image
    )
    wide = image.astype(np.uint16)
    assert np.array_equal(read(write(tmp_path, dicom(wide, BitsStored=8))).grey, image)


def test_signed_values_and_a_negative_slope(tmp_path):
    image = deep()
    signed = (image.astype(np.int32) - 2048).astype(np.int16)
    assert_twins(tmp_path, dicom(signed, BitsStored=12), image / 4095)
    falling = dicom(image, BitsStored=12, RescaleSlope=-1, RescaleIntercept=4095)
    assert_twins(tmp_path, falling, 1 - image / 4095)
    windowed = dicom(image, BitsStored=12, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048, WindowWidth=4096)
    assert_twins(tmp_path, windowed, 1 - image / 4095)


def test_bits_outside_the_stored_ones_do_not_count(tmp_path):
    image = deep()
    overlaid = image | (np.random.default_rng(0).integers(0, 16, image.shape, dtype=np.uint16) << 12)
    assert_twins(tmp_path, dicom(overlaid, BitsStored=12), image / 4095)
    assert_twins(tmp_path, dicom(image << 4, BitsStored=12, HighBit=15), image / 4095)
    negative = ((image.astype(np.int32) - 2048) & 0xFFF).astype(np.uint16)  # the sign is bit 11, nothing above it
    assert_twins(tmp_path, dicom(negative, BitsStored=12, PixelRepresentation=1), image / 4095)


def formula(x: float, center: float, width: float, function: str) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 to the letter, for an output of 0 to 1."""
    if function == "LINEAR":
        if x <= center - 0.5 - (width - 1) / 2:
            return 0
        if x > center - 0.5 + (width - 1) / 2:
            return 1
        return (x - (center - 0.5)) / (width - 1) + 0.5
    if function == "SIGMOID":
        return 0.5 * (1 + math.tanh(2 * (x - center) / width))  # 1 / (1 + exp(-4 (x - c) / w)), without its overflow
    if x <= center - width / 2:
        return 0
    if x > center + width / 2:
        return 1
    return (x - center) / width + 0.5


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000.5, 300), (600, 1), (0, 2), (5000, 4000)])
def test_window_functions_are_those_of_the_standard(tmp_path, function, center, width):
    data = dicom(RAMP, BitsStored=12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    shown = np.array([formula(x, center, width, function or "LINEAR") for x in range(4096)])
    grey = read(write(tmp_path, data)).grey.ravel()
    assert grey.dtype == np.uint16
    assert np.abs(grey - 65535 * shown).max() <= 0.5001


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom_after_a_rescale(tmp_path, function):
    given = {"BitsStored": 12, "RescaleSlope": 0.5, "RescaleIntercept": -100, "WindowCenter": 700, "WindowWidth": 900}
    elements = dicom_elements(RAMP, **given, VOILUTFunction=function)
    theirs = pydicom.pixels.processing.apply_voi_lut(pydicom.pixels.apply_modality_lut(RAMP, elements), elements)
    low, high = -100, 4095 * 0.5 - 100
    grey = read(write(tmp_path, dicom(RAMP, **given, VOILUTFunction=function))).grey
    assert np.abs(grey / 65535 - (theirs - low) / (high - low)).max() < 1e-4


def test_the_first_of_several_windows_counts(tmp_path):
    one = read(write(tmp_path, dicom(RAMP, BitsStored=12, WindowCenter=900, WindowWidth=500))).grey
    two = read(write(tmp_path, dicom(RAMP, BitsStored=12, WindowCenter=[900, 9], WindowWidth=[500, 3]))).grey
    assert np.array_equal(one, two)


def table(entries: np.ndarray, first: int, bits: int, kind: str = "OW") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    if kind == "US":
        item.add_new("LUTData", "US", entries.tolist())
    else:
        data = entries.astype(np.uint8 if kind == "packed" else "<u2").tobytes()
        item.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
    return item


@pytest.mark.parametrize("kind", ["OW", "US", "packed"])
def test_a_voi_table_comes_before_the_window(tmp_path, kind):
    bits = 8 if kind == "packed" else 12
    entries = np.rint(np.linspace(0, 1, 1000) ** 2 * (2**bits - 1)).astype(np.int64)
    data = dicom(
        RAMP, BitsStored=12, WindowCenter=1, WindowWidth=9, VOILUTSequence=Sequence([table(entries, 500, bits, kind)])
    )
    place = np.clip(RAMP.astype(int) - 500, 0, 999)
    assert np.abs(read(write(tmp_path, data)).grey - entries[place] / (2**bits - 1) * 65535).max() <= 0.5001


def test_a_voi_table_may_begin_below_zero(tmp_path):
    entries = np.arange(4096)
    voi = Sequence([table(entries, -1000, 12)])
    data = dicom(RAMP, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1000, VOILUTSequence=voi)
    assert np.abs(read(write(tmp_path, data)).grey - RAMP / 4095 * 65535).max() <= 0.5001


def test_a_modality_table_comes_first(tmp_path):
    entries = np.arange(4096)[::-1]
    modality = Sequence([table(entries, 0, 12)])
    data = dicom(RAMP, BitsStored=12, ModalityLUTSequence=modality, WindowCenter=3000, WindowWidth=1000)
    shown = np.array([formula(4095 - x, 3000, 1000, "LINEAR") for x in range(4096)]).reshape(64, 64)
    assert np.abs(read(write(tmp_path, data)).grey - 65535 * shown).max() <= 0.5001


def test_the_inversion_comes_after_the_window(tmp_path):
    windowed = {"BitsStored": 12, "WindowCenter": 1000, "WindowWidth": 500}
    plain = read(write(tmp_path, dicom(RAMP, **windowed))).grey
    turned = read(write(tmp_path, dicom(RAMP, **windowed, PhotometricInterpretation="MONOCHROME1"))).grey
    assert np.abs(plain.astype(int) + turned - 65535).max() <= 1


def test_presentation_lut_shape_counts_only_where_the_photometric_interpretation_is_missing(tmp_path):
    def first(**elements):
        return read(write(tmp_path, dicom(RAMP, BitsStored=12, **elements))).grey[0, 0]

    for shape in ("IDENTITY", "INVERSE", None):
        assert first(PresentationLUTShape=shape, PhotometricInterpretation="MONOCHROME2") == 0
        assert first(PresentationLUTShape=shape, PhotometricInterpretation="MONOCHROME1") == 65535
    assert first(PresentationLUTShape="INVERSE", PhotometricInterpretation=None) == 65535
    assert first(PresentationLUTShape="IDENTITY", PhotometricInterpretation=None) == 0
    data = dicom(RAMP, BitsStored=12, PhotometricInterpretation=None)
    assert "black or white" in reason(tmp_path, data)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_does_not_steal_the_range_and_is_black(tmp_path, photometric):
    image = deep() // 8 + 1000
    padded = image.copy()
    padded[:5], padded[-5:] = 0, 7
    grey = read(
        write(
            tmp_path,
            dicom(
                padded,
                BitsStored=12,
                PixelPaddingValue=0,
                PixelPaddingRangeLimit=7,
                PhotometricInterpretation=photometric,
            ),
        )
    ).grey
    assert not grey[:5].any()
    assert not grey[-5:].any()
    inner = image[5:-5].astype(float)
    shown = (inner - inner.min()) / (inner.max() - inner.min())
    assert np.abs(grey[5:-5] - 65535 * (1 - shown if photometric == "MONOCHROME1" else shown)).max() <= 0.5001


def test_padding_of_signed_values_may_be_written_unsigned(tmp_path):
    image = (deep().astype(np.int32) // 8 + 100).astype(np.int16)
    image[:5] = -2000
    for value in (-2000, 63536):
        elements = dicom_elements(image)
        elements.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
        data = dicom(image, BitsStored=12)
        made = pydicom.dcmread(io.BytesIO(data))
        made["PixelPaddingValue"] = elements["PixelPaddingValue"]
        file = io.BytesIO()
        made.save_as(file)
        grey = read(write(tmp_path, file.getvalue())).grey
        assert not grey[:5].any()
        assert grey.max() == 65535
        assert grey[5:].min() == 0


def test_nothing_but_padding_is_refused(tmp_path):
    assert "padding" in reason(tmp_path, dicom(np.zeros((8, 8), np.uint16), BitsStored=12, PixelPaddingValue=0))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, None])
def test_uncompressed_files_of_every_order_with_and_without_preamble(tmp_path, syntax):
    for image, bits in ((deep(), 12), (picture(), 8)):
        assert_twins(tmp_path, dicom(image, syntax=syntax, BitsStored=bits), image / (2**bits - 1))


def test_bytes_that_were_written_as_big_endian_words(tmp_path):
    image = picture()
    made = pydicom.dcmread(io.BytesIO(dicom(image, syntax=ExplicitVRBigEndian)))
    made["PixelData"].VR, made.PixelData = "OW", image.view(np.uint16).byteswap().tobytes()
    file = io.BytesIO()
    made.save_as(file)
    assert np.array_equal(read(write(tmp_path, file.getvalue())).grey, image)


@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_file_may_begin_with_its_meta_group_or_its_first_element(tmp_path, is_implicit):
    image = deep()
    with_meta = dicom(image, BitsStored=12)[132:]
    file = io.BytesIO()
    dicom_elements(image, BitsStored=12).save_as(
        file, implicit_vr=is_implicit, little_endian=True, enforce_file_format=False
    )
    for data in (with_meta, file.getvalue()):
        assert_twins(tmp_path, data, image / 4095)


def recoded(folder: Path, data: bytes, kind: int) -> bytes:
    """The same picture compressed by GDCM."""
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(write(folder, data, "plain.dcm")))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(folder / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "packed.dcm").read_bytes()


GDCM = {
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    "1.2.840.10008.1.2.4.57": gdcm.TransferSyntax.JPEGLosslessProcess14,
}


@pytest.mark.parametrize("syntax", [*GDCM, JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_lossless_compression_changes_nothing(tmp_path, syntax, bits):
    image = deep(bits=bits).astype(np.uint8 if bits == 8 else np.uint16)
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    plain = dicom(image, BitsStored=bits, **window)
    packed = (
        recoded(tmp_path, plain, GDCM[syntax])
        if syntax in GDCM
        else dicom(image, BitsStored=bits, encode=syntax, **window)
    )
    assert pydicom.dcmread(io.BytesIO(packed)).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read(write(tmp_path, packed)).grey, read(write(tmp_path, plain)).grey)


@pytest.mark.parametrize("syntax", [*GDCM, JPEG2000Lossless, RLELossless])
def test_lossless_compression_of_signed_values(tmp_path, syntax):
    image = (deep().astype(np.int32) - 2048).astype(np.int16)
    plain = dicom(image, BitsStored=12)
    packed = recoded(tmp_path, plain, GDCM[syntax]) if syntax in GDCM else dicom(image, BitsStored=12, encode=syntax)
    assert np.array_equal(read(write(tmp_path, packed)).grey, read(write(tmp_path, plain)).grey)


def encapsulated(frame: bytes, syntax: str, image: np.ndarray, **elements: object) -> bytes:
    """A DICOM file around a stream that something else has compressed."""
    made = pydicom.dcmread(io.BytesIO(dicom(image, **elements)))
    made.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    made.PixelData = pydicom.encaps.encapsulate([frame])
    made["PixelData"].VR = "OB"
    file = io.BytesIO()
    made.save_as(file)
    return file.getvalue()


def test_a_stream_of_fewer_bits_than_its_container_is_read(tmp_path):
    image = deep(bits=8)
    frame = pydicom.encaps.get_frame(
        pydicom.dcmread(io.BytesIO(dicom(image.astype(np.uint8), encode=JPEG2000Lossless))).PixelData,
        0,
        number_of_frames=1,
    )
    data = encapsulated(frame, JPEG2000Lossless, image, BitsStored=12, WindowCenter=128, WindowWidth=256)
    assert_twins(tmp_path, data, image / 255)


def test_an_ordinary_jpeg_inside_dicom_is_read_as_outside(tmp_path):
    for image, photometric in ((picture(0, 64, 48), "MONOCHROME2"), (colours(), "YBR_FULL_422")):
        frame = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        data = encapsulated(frame, JPEGBaseline8Bit, image, PhotometricInterpretation=photometric)
        outside = read_grey(write(tmp_path, frame, "outside")).astype(int)
        assert np.abs(read_grey(write(tmp_path, data)).astype(int) - outside).max() <= 3


def colours() -> np.ndarray:
    return np.dstack([picture(seed, 64, 48) for seed in (1, 2, 3)])


def test_colour_becomes_grey_as_in_a_png(tmp_path):
    image = colours()
    twin = read_grey(write(tmp_path, png(np.ascontiguousarray(image[:, :, ::-1])), "twin.png")).astype(int)
    files = {
        "rgb": dicom(image),
        "planar": dicom(image, PlanarConfiguration=1),
        "big": dicom(image, syntax=ExplicitVRBigEndian),
        "rle": dicom(image, encode=RLELossless),
        "jpeg 2000": dicom(image, encode=JPEG2000Lossless),
        "jpeg lossless": recoded(tmp_path, dicom(image), gdcm.TransferSyntax.JPEGLosslessProcess14_1),
    }
    planar = pydicom.dcmread(io.BytesIO(files["planar"]))
    planar.PixelData = np.ascontiguousarray(image.transpose(2, 0, 1)).tobytes()
    file = io.BytesIO()
    planar.save_as(file)
    files["planar"] = file.getvalue()
    for name, data in files.items():
        assert np.abs(read_grey(write(tmp_path, data)).astype(int) - twin).max() <= 1, name
    full = pydicom.pixels.convert_color_space(image, "RGB", "YBR_FULL")
    data = dicom(full, PhotometricInterpretation="YBR_FULL")
    assert np.abs(read_grey(write(tmp_path, data)).astype(int) - twin).max() <= 2
    assert "palette" in reason(tmp_path, dicom(picture(), PhotometricInterpretation="PALETTE COLOR"))


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "CT Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "MR Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1"}, "X-Ray Angiographic Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2"}, "Mammography"),
        ({"SOPClassUID": CANARIES["StudyInstanceUID"]}, "unknown"),
        ({"SOPClassUID": None, "Modality": "CT"}, "not said"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "for processing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "PresentationIntentType": "FOR PROCESSING"}, "for processing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "CT"}, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": None}, "secondary capture"),
        ({"BurnedInAnnotation": "YES"}, "burned-in"),
        ({"NumberOfFrames": 2}, "multi-frame DICOM (2 frames)"),
        ({"Rows": None}, "Rows is missing"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope"),
        ({"RescaleSlope": "1e300", "RescaleIntercept": "-1e308"}, "RescaleSlope"),
        ({"BitsStored": 1}, "1 bits in 16"),
        ({"BitsStored": 17}, "17 bits in 16"),
        ({"SamplesPerPixel": 3}, "samples per pixel"),
        ({"Rows": 0}, "empty"),
    ],
)
def test_what_is_no_radiograph_is_refused_with_a_reason(tmp_path, elements, words):
    assert words in reason(tmp_path, dicom(deep(), **{"BitsStored": 12, **elements}))


@pytest.mark.parametrize(
    "elements",
    [
        {"SOPClassUID": CR},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX", "PresentationIntentType": "FOR PRESENTATION"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "CR"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "RG"},
        {"SOPClassUID": None},
        {"NumberOfFrames": 1},
        {"BurnedInAnnotation": "NO"},
    ],
)
def test_radiographs_are_accepted(tmp_path, elements):
    assert_twins(tmp_path, dicom(deep(), BitsStored=12, **elements), deep() / 4095)


@pytest.mark.parametrize("rows", [60_000, 19_000])
def test_a_bomb_is_refused_before_anything_is_decoded(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(pixels, "read_pixel_cells", lambda *_: pytest.fail("decoded"))
    assert "too large" in reason(tmp_path, dicom(deep(), BitsStored=12, Rows=rows, Columns=19_000))


@pytest.mark.parametrize("encode", [None, JPEG2000Lossless, RLELossless])
def test_the_pixels_must_be_as_many_as_declared(tmp_path, encode, monkeypatch):
    made = pydicom.dcmread(io.BytesIO(dicom(deep(), BitsStored=12, encode=encode)))
    if encode != RLELossless:
        monkeypatch.setattr(pixels, "_array", lambda *_: pytest.fail("decoded"))
    for rows, columns in ((96, 80), (48, 20), (24, 40), (40, 48 + 1)):
        if encode is None and rows * columns < deep().size:  # of uncompressed pixels the rest is left out
            continue
        made.Rows, made.Columns = rows, columns
        file = io.BytesIO()
        made.save_as(file)
        assert re.search("declare|RLE", reason(tmp_path, file.getvalue()))


def test_an_rle_bomb_stops_at_what_is_declared(tmp_path):
    made = pydicom.dcmread(io.BytesIO(dicom(deep(), BitsStored=12, encode=RLELossless)))
    body = b"\x81\x00" * 2**20  # 128 MiB unpacked
    frame = struct.pack("<16I", 2, 64, 64 + len(body), *[0] * 13) + body + body
    made.PixelData = pydicom.encaps.encapsulate([frame])
    file = io.BytesIO()
    made.save_as(file)
    assert "another length" in reason(tmp_path, file.getvalue())


def test_a_deflated_file_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr("zlib.decompress", lambda *_: pytest.fail("inflated"))
    data = dicom(deep(), BitsStored=12, syntax=DeflatedExplicitVRLittleEndian)
    for deflated in (data, data[132:]):
        assert "deflated" in reason(tmp_path, deflated)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", CANARIES["StudyInstanceUID"]])
def test_an_unreadable_transfer_syntax_is_named_if_it_is_the_standards(tmp_path, syntax):
    data = dicom(deep(), BitsStored=12).replace(b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0", header(syntax))
    assert ("MPEG2" if syntax.endswith("100") else "unknown") in reason(tmp_path, data)


def header(syntax: str) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid


@pytest.mark.parametrize("encode", [None, JPEG2000Lossless, RLELossless])
def test_a_truncated_file_is_refused(tmp_path, encode):
    data = dicom(deep(), BitsStored=12, encode=encode)
    for length in [140, 200, 300, *range(400, len(data) - 8, 97), len(data) - 9]:
        reason(tmp_path, data[:length])


def test_a_compressed_picture_without_its_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "_array", lambda *_: pytest.fail("decoded"))  # a decoder may well be content
    whole = pydicom.dcmread(io.BytesIO(dicom(deep(), BitsStored=12, encode=JPEG2000Lossless)))
    frame = pydicom.encaps.get_frame(whole.PixelData, 0, number_of_frames=1)
    for length in (200, len(frame) - 20):
        assert "truncated" in reason(tmp_path, encapsulated(frame[:length], JPEG2000Lossless, deep(), BitsStored=12))


def test_sequences_without_end_are_refused(tmp_path):
    data = dicom(deep(), BitsStored=12)
    place = data.index(b"\x28\0\x02\0")
    nested = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    assert "damaged" in reason(tmp_path, data[:place] + nested * 20_000 + data[place:])


def test_random_bytes_and_other_files_are_not_taken_for_dicom(tmp_path):
    random = np.random.default_rng(0)
    for start in (b"\x08\0", b"\x02\0", b"\x08\0\x05\0", b"\x08\0\x05\0CS", b"\x02\0\0\0UL\x04\0", b"\x08\0\0\0"):
        for _ in range(200):
            path = write(tmp_path, start + random.bytes(600))
            assert read_tags(path) is None
            with pytest.raises(ImageError, match="not a PNG, JPEG or DICOM"):
                read(path)


MUTATIONS = {
    "window": ("WindowCenter", "DS", b"CANARY-ID "),
    "window as text": ("WindowCenter", "LO", b"CANARY-ID "),
    "rows": ("Rows", "US", b"CANARY"),
    "frames": ("NumberOfFrames", "IS", b"CANARY"),
    "slope": ("RescaleSlope", "DS", b"19561231x "),
    "modality": ("SOPClassUID", "UI", b"1.2.826.0.1.56473829"),
    "photometric": ("PhotometricInterpretation", "CS", b"CANARY^NAME "),
    "function": ("VOILUTFunction", "CS", b"CANARY-ACC"),
    "charset": ("SpecificCharacterSet", "CS", b"CANARY HOSPITAL "),
    "padding": ("PixelPaddingValue", "US", b"CANARY"),
    "bits": ("BitsStored", "US", b"CA"),
    "intent": ("PresentationIntentType", "CS", b"CANARY"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_identifier_reaches_a_reason_the_log_or_the_terminal(tmp_path, name, caplog, capfd):
    keyword, kind, value = MUTATIONS[name]
    made = pydicom.dcmread(
        io.BytesIO(dicom(deep(), BitsStored=12, WindowWidth=99, WindowCenter=50, RescaleIntercept=0))
    )
    tag = pydicom.datadict.tag_for_keyword(keyword)
    made._dict[pydicom.tag.Tag(tag)] = pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(tag), kind, len(value), value, 0, False, True
    )
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(file)
    assert value in file.getvalue()
    caplog.set_level(logging.DEBUG)
    path = write(tmp_path, file.getvalue())
    told = []
    for ask in (read, read_tags):
        try:
            told.append(repr(ask(path)))
        except ImageError as error:
            told.append(str(error))
    everything = "".join([*told, caplog.text, *capfd.readouterr()])
    assert not any(canary in everything for canary in ("CANARY", "19561231", "56473829", "91827364", "20260713"))


def test_tags_name_the_regions_and_hide_the_patient(tmp_path):
    elements = {"BodyPartExamined": "ELBOW", "AnatomicRegionSequence": Sequence([code("16953009", "SCT")])}
    path = write(tmp_path, dicom(deep(), BitsStored=12, **elements))
    tags = read_tags(path)
    assert tags is not None
    assert tags.regions == (("AnatomicRegionSequence", "Elbow joint"), ("BodyPartExamined", "ELBOW"))
    assert (tags.patient_id, tags.study_uid) == (CANARIES["PatientID"], CANARIES["StudyInstanceUID"])
    assert not any(canary in repr(tags) for canary in CANARIES.values())
    assert re.fullmatch("[0-9a-f]{16}", tags.study)
    other = read_tags(write(tmp_path, dicom(picture(), StudyInstanceUID=tags.study_uid), "other"))
    third = read_tags(write(tmp_path, dicom(picture(), StudyInstanceUID="1.2.3"), "third"))
    assert other is not None
    assert third is not None
    assert (tags.study == other.study, tags.study == third.study) == (True, False)


def code(value: str, scheme: str, meaning: str = "anything") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


@pytest.mark.parametrize(
    ("value", "scheme", "words"),
    [("76505004", "SCT", "Thumb"), ("T-15430", "SRT", "Elbow joint"), ("X", "99LOCAL", "anything")],
)
def test_codes_old_and_new_become_the_standards_words(tmp_path, value, scheme, words):
    tags = read_tags(write(tmp_path, dicom(picture(), AnatomicRegionSequence=Sequence([code(value, scheme)]))))
    assert tags is not None
    assert tags.regions == (("AnatomicRegionSequence", words),)


def test_tags_of_no_dicom_are_none_and_of_a_damaged_one_empty(tmp_path):
    assert read_tags(write(tmp_path, png(picture()))) is None
    assert read_tags(tmp_path / "none") is None
    tags = read_tags(write(tmp_path, b"\0" * 128 + b"DICM\2\0"))
    assert tags is not None
    assert (tags.study, tags.regions) == ("", ())


def run(code: str, path: Path, *, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
    )


READ = (
    "import sys; from pathlib import Path; from murace.data.images.decode import read; "
    "print(read(Path(sys.argv[1])).grey.sum())"
)


def test_pydicom_is_loaded_for_dicom_alone_and_warnings_are_no_errors(tmp_path):
    loaded = "; print('pydicom' in sys.modules)"
    assert run(READ + loaded, write(tmp_path, png(picture()))).stdout.split()[-1] == "False"
    done = run("import warnings; warnings.simplefilter('error'); " + READ + loaded, write(tmp_path, dicom(picture())))
    assert (done.stdout.split()[-1], done.stderr) == ("True", "")


TAGS = (
    "import sys; from pathlib import Path; from murace.data.images.dicom.radiograph import read_tags; "
    "print(read_tags(Path(sys.argv[1])).regions)"
)


def test_what_pydicom_warns_of_is_no_error_and_not_shown(tmp_path):
    data = dicom(deep(), SpecificCharacterSet="ISO_IR 100", BodyPartExamined="ELBOW", BitsStored=12)
    path = write(tmp_path, data.replace(b"ISO_IR 100", b"CANARY SET"))
    for action in ("error", "always"):
        begin = f"import warnings; warnings.simplefilter('{action}'); "
        for code, told in ((READ, str(read(path).grey.sum())), (TAGS, "(('BodyPartExamined', 'ELBOW'),)")):
            done = run(begin + code, path)
            assert (done.stdout.strip(), done.stderr) == (told, "")


def test_what_is_warned_of_while_a_value_is_converted_is_not_shown(tmp_path):
    """pydicom converts a value when it is asked for, and then warns in the name of the module that asks."""
    warn = f"; import warnings; warnings.warn_explicit('CANARY', UserWarning, 'f', 1, module='{pixels.__name__}')"
    done = run("import warnings; warnings.simplefilter('always'); " + READ + warn, write(tmp_path, dicom(picture())))
    assert (done.stdout.strip(), done.stderr) == (str(picture().sum()), "")


def test_a_missing_pydicom_or_decoder_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    hidden = "import sys; sys.modules['pydicom'] = None; "
    done = run(hidden + READ, write(tmp_path, dicom(picture())))
    assert done.stderr.splitlines()[-1] == (
        'murace.errors.MachineError: DICOM needs pydicom: pip install "murace[dicom]"'
    )
    monkeypatch.setitem(pixels._DECODERS, JPEG2000Lossless, "another")
    with pytest.raises(MachineError, match=r'JPEG 2000 .* needs another: pip install "murace\[dicom\]"'):
        read(write(tmp_path, dicom(deep(), encode=JPEG2000Lossless)))


def test_a_folder_named_dl_does_no_harm(tmp_path):
    (tmp_path / "dl").mkdir()
    data = recoded(tmp_path, dicom(picture()), gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    done = run(READ, write(tmp_path, data), environment={"PYTHONPATH": f"{os.pathsep.join(sys.path)}:{tmp_path}"})
    assert (done.stdout.strip(), done.stderr) == (str(picture().sum()), "")


def test_prepare_gets_the_same_pixels_from_dicom_as_from_png(tmp_path):
    arrays = []
    for kind in ("png", "dicom"):
        folder = tmp_path / kind
        folder.mkdir()
        rows = ["path,label"]
        for number in range(20):
            image = deep(number)
            data = as_png(image / 4095, 16) if kind == "png" else dicom(image, BitsStored=12)
            write(folder, data, f"IM{number:04d}")  # archives' names have no ending
            rows.append(f"IM{number:04d},{number % 2}")
        (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
        workspace = Workspace(tmp_path / f"workspace-{kind}")
        run_prepare(
            folder / "manifest.csv",
            workspace,
            PrepareConfig(size=16),
            operation=Operation(jobs=1),
            rerun=Rerun(),
            reporter=Reporter(),
        )
        arrays.append(np.load(workspace.root / "prepare" / "pixels.npy").astype(int))
        assert (workspace.root / "prepare" / "rejected.csv").read_text().count("\n") == 1
    assert arrays[0].shape == (20, 16, 16)
    assert np.abs(arrays[0] - arrays[1]).max() <= 1


REAL = Path(os.environ.get("MURACE_DICOM", "none"))
real = pytest.mark.skipif(not REAL.is_dir(), reason="MURACE_DICOM names no folder")


@real
def test_bone_is_bright_and_would_be_dark_without_the_inversion(monkeypatch):
    # A lower leg: the tibia's shaft, and the air beside it, at places looked up in the picture.
    def contrast(grey):
        return grey[250:450, 835:890].mean() - grey[250:450, 480:560].mean()

    lossless, lossy = (read_grey(REAL / name) for name in ("RG3_J2KR.dcm", "RG3_J2KI.dcm"))
    assert contrast(lossless) > 100
    assert contrast(lossy) > 100
    assert np.abs(lossless.astype(int) - lossy).mean() < 1
    sizes = [decode(REAL / name, size=256, fit="squash").astype(int) for name in ("RG3_J2KR.dcm", "RG3_J2KI.dcm")]
    assert np.abs(sizes[0] - sizes[1]).max() <= 3
    monkeypatch.setattr("murace.data.images.dicom.chain._is_inverse", lambda _: False)
    assert contrast(read_grey(REAL / "RG3_J2KR.dcm")) < -100


@real
def test_real_tags():
    tags = [read_tags(REAL / name) for name in ("RG1_J2KI.dcm", "RG3_J2KR.dcm", "RG3_J2KI.dcm")]
    assert [each.regions for each in tags if each] == [
        (("BodyPartExamined", "CHEST"),),
        *[(("BodyPartExamined", "EXTREMITY"),)] * 2,
    ]
    lossless, lossy = tags[1:]
    assert lossless
    assert lossy
    assert lossless.study == lossy.study
    assert lossless.instance != lossy.instance  # a picture that is compressed with losses is an instance of its own


def test_a_padding_value_that_no_word_holds_is_no_bug(tmp_path):
    elements = dicom_elements(deep(), BitsStored=12)
    elements.add_new("PixelPaddingValue", "FD", 2.0**70)
    file = io.BytesIO()
    elements.save_as(file, implicit_vr=False, little_endian=True, enforce_file_format=False)
    path = write(tmp_path, file.getvalue())
    assert read(path).grey.shape == deep().shape


def with_items(count: int) -> bytes:
    """Empty items of a sequence of undefined length that nobody asked for, before the patient's group."""
    data = dicom(deep(), BitsStored=12)
    place = data.index(b"\x10\x00\x10\x00PN")
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * count
    start, end = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return data[:place] + start + items + end + data[place:]


def test_a_huge_header_is_refused_before_all_of_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(dicomfile, "MAX_HEADER", 2**14)
    assert read(write(tmp_path, with_items(10))).grey.shape == deep().shape
    assert "pixels do not begin within its first" in reason(tmp_path, with_items(5_000))
    assert read_tags(write(tmp_path, with_items(5_000))) is not None


def test_a_pipe_has_no_tags(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read_tags(tmp_path / "pipe") is None


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_compressed_file_that_was_cut_off_is_called_damaged(tmp_path, share):
    data = dicom(deep(), BitsStored=12, encode=JPEG2000Lossless)
    assert "ends too early" in reason(tmp_path, data[: -int(len(data) * (1 - share) / 2) or None])


@pytest.mark.parametrize("place", ["filereader.read_partial", "pixels.decoders.base.Decoder.as_array"])
def test_too_little_memory_is_not_the_files_fault(tmp_path, monkeypatch, place):
    data = dicom(deep(), BitsStored=12, encode=JPEG2000Lossless)

    def fails(*_given, **_named):
        raise MemoryError

    monkeypatch.setattr(f"pydicom.{place}", fails)
    with pytest.raises(MachineError, match="out of memory while a DICOM file was read"):
        read(write(tmp_path, data))
