"""The chain, undisturbed, with a copy of the workspace before and after each step."""

import shutil
from pathlib import Path

from murace.data.store import write_frame
from murace.steps.finetune import step as finetune
from murace.system.progress import Reporter
from tests.crash.killing import run
from tests.crash.steps import ANNOUNCED, STEPS, WISH, space
from tests.workshop import CPU, tiny_index, tiny_members, tiny_pixels, tiny_source

ORDER = ("prepare", "train", "calibrate", "finetune", "evaluate", "cam", "predict", "export")


def make_ground(folder: Path) -> Path:
    index = tiny_index()
    index = tiny_source(folder / "pictures", index, tiny_pixels(index))
    index = index.assign(path="pictures/" + index["path"])
    write_frame(folder / "manifest.csv", index[["path", "label", "group", "patient", "study", "split"]])
    test = index[index["split"] == "test"]
    for number, (group, path) in enumerate(zip(test["group"], test["path"], strict=True)):
        if number % 6 == 0:  # a few new studies of each group
            study = folder / f"patients/XR_{group.upper()}/patient{number:05d}/study1_negative"
            study.mkdir(parents=True)
            shutil.copy(folder / path, study / "image1.png")
    base = folder / "whole"
    (base / "workspace").mkdir(parents=True)
    for step in ORDER:
        shutil.copytree(base, folder / f"before-{step}")
        run(STEPS[step], base, root=base / "workspace")
        if step == "finetune":
            shutil.copytree(base, folder / f"after-{step}")
            run(_other_member, base, root=base / "workspace")
        else:
            shutil.copytree(base, folder / f"after-{step}")
        (base / ANNOUNCED).unlink(missing_ok=True)
    return folder


def _other_member(base: Path) -> None:

    finetune.run(space(base), tiny_members(epochs=1), groups=["wrist"], machine=CPU, rerun=WISH, reporter=Reporter())
