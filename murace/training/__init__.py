"""Train one net: a `Job` (job.py) becomes a `Result` (run.py) through one resumable loop (loop.py).

It knows arrays, frames and paths, and no workspace: the steps `train` and `finetune` make its jobs.
"""

from murace.training.epoch import study_scores
from murace.training.job import Job, Result
from murace.training.loop import fit
from murace.training.state import Progress, SplitArrays, Training, TrainingEvent, TrainingSetup, split_arrays, start

__all__ = [
    "Job",
    "Progress",
    "Result",
    "SplitArrays",
    "Training",
    "TrainingEvent",
    "TrainingSetup",
    "fit",
    "split_arrays",
    "start",
    "study_scores",
]
