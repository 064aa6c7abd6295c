"""OpenCV, quiet and with one thread; every module of murace imports `cv2` from here."""

import os

from murace.errors import MachineError
from murace.system.failures import machine_error

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a bad file is reported once, by murace; read when OpenCV loads

try:
    import cv2
except ImportError as error:
    if any(name in str(error) for name in ("libGL", "libgthread", "libglib")):
        raise MachineError(
            "OpenCV needs libGL: apt-get install libgl1 libglib2.0-0, "
            "or pip uninstall opencv-python && pip install opencv-python-headless"
        ) from error
    raise machine_error(error, saves=False) or MachineError(
        f"OpenCV cannot be loaded ({error}): pip install --force-reinstall opencv-python"
    ) from error

cv2.setNumThreads(0)  # processes share the cores; threads inside each would only fight over them

__all__ = ["cv2"]
