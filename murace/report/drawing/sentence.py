"""A panel with a sentence in it, where there is no picture to show."""

import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (16, 17, 20)
INK = (236, 238, 241)
LETTERS = 22  # in a line
LARGEST = 64  # pixels


def written(height: int, width: int, sentence: str) -> npt.NDArray[np.uint8]:
    """Write a sentence in the middle of a panel, uint8 [height, width, 3], RGB; in small letters where it is long."""
    panel = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(panel)
    text = "\n".join(textwrap.wrap(sentence, LETTERS))
    size = min(LARGEST, width // 12)
    while True:
        font = ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
        _, _, right, bottom = pen.multiline_textbbox((0, 0), text, font=font, align="center")
        if size <= 8 or (right <= width * 0.9 and bottom <= height * 0.9):
            break
        size -= 1
    pen.multiline_text((width / 2, height / 2), text, font=font, fill=INK, anchor="mm", align="center")
    return np.asarray(panel)
