import json
from pathlib import Path

import pytest

from murace.config import Recipe
from murace.training import Job
from tests.workshop import tiny_workspace


@pytest.mark.parametrize("member", [False, True])
def test_a_job_comes_back_from_its_message_with_the_files_of_another_root(tmp_path: Path, member: bool) -> None:
    """As on another machine, where the workspace's disk is mounted elsewhere; the precision is the leader's."""
    here, there = tiny_workspace(tmp_path / "here").root, tmp_path / "there"
    job = Job(
        recipe=Recipe(lr=0.1 + 0.2, monitor="kappa"),
        form={"learner": "resnet", "width": 0.1, "head": "gap", "size": 64},
        index=here / "prepare" / "index.csv",
        pixels=here / "prepare" / "pixels.npy",
        consumed={"prepare/index.csv": "0" * 64},
        checkpoints=here / "train" / "resnet" / "checkpoint",
        initial=here / "train" / "resnet" / "model.safetensors" if member else None,
        group="elbow" if member else None,
        resumes=True,
    )
    assert len(job.splits[0])  # what has been read does not travel
    message = json.loads(json.dumps(job.message(here, precision="bf16")))
    assert str(tmp_path) not in json.dumps(message)
    here.rename(there)
    back = Job.from_message(message, there)
    assert back.recipe == Recipe(lr=0.1 + 0.2, monitor="kappa", precision="bf16")
    assert (back.form, back.consumed, back.group, back.resumes) == (job.form, job.consumed, job.group, True)
    assert back.about == job.about
    assert back.splits[1].equals(job.splits[1])
    assert back.checkpoints == there / "train" / "resnet" / "checkpoint"
    assert back.initial == (there / "train" / "resnet" / "model.safetensors" if member else None)
