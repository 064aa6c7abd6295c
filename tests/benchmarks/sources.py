"""Made-up radiographs for the benchmarks: PNG files as a hospital's export holds them, and the array of `prepare`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from murace.system.opencv import cv2

LONGEST = 512  # pixels; MURA's images are so large
CLASSES = ("abnormal", "normal")


@dataclass(frozen=True)
class Source:
    """A folder of two class folders, and the same pictures as uint8 arrays `pixels-SIZE.npy`."""

    folder: Path
    count: int

    @property
    def files(self) -> Path:
        """What ImageFolder and Keras read."""
        return self.folder / "files"

    def pixels(self, size: int) -> Path:
        """What murace reads."""
        path = self.folder / f"pixels-{size}.npy"
        if not path.is_file():
            found = (cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in sorted(self.files.glob("*/*.png")))
            images = [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in found]
            np.save(path, np.stack(images))
        return path


def draw(folder: Path, count: int) -> Source:
    """Draw `count` pictures, half of them in each class."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / "files" / CLASSES[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        height, width = sorted((LONGEST, int(random.integers(300, LONGEST))), reverse=bool(number % 4 < 2))
        cv2.imwrite(str(place / f"image{number:05d}.png"), _radiograph(random, height, width))
    return Source(folder, count)


def _radiograph(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Smooth shapes with a fine grain, which compress about as well as a real picture."""
    coarse = cv2.resize(random.random((6, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(random.standard_normal((height, width)).astype(np.float32), (0, 0), 1.0)
    return np.clip(coarse * 150 + fine * 9 + 20, 0, 255).astype(np.uint8)
