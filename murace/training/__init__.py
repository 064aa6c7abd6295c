"""One training loop, a generator: it yields whenever there is something worth saving, and its caller saves.

`train` and `finetune` share it. Nothing here knows a file.
"""

from murace.system.failures import is_out_of_memory
from murace.training.epoch import study_scores
from murace.training.loop import fit
from murace.training.resources import largest_batch, require_memory
from murace.training.state import Part, Progress, Setting, Training, TrainingEvent, part_of, start

__all__ = [
    "Part",
    "Progress",
    "Setting",
    "Training",
    "TrainingEvent",
    "fit",
    "is_out_of_memory",
    "largest_batch",
    "part_of",
    "require_memory",
    "start",
    "study_scores",
]
