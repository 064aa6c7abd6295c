import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (
            "libGL.so.1: cannot open shared object file: No such file or directory",
            "apt-get install libgl1 libglib2.0-0",
        ),
        ("libgthread-2.0.so.0: cannot open shared object file", "apt-get install libgl1 libglib2.0-0"),
        ("DLL load failed", "pip install --force-reinstall opencv-python"),
    ],
)
def test_an_opencv_that_cannot_load_is_one_line_that_names_the_packages(
    tmp_path: Path, reason: str, advice: str
) -> None:
    (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "murace", "sample", str(tmp_path / "sample")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 5
    assert advice in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "sample").exists()
