"""One training loop, a generator: it yields whenever there is something worth saving, and its caller saves.

`train` and `finetune` share it. Nothing here knows a file.
"""

from murace.fit.judge import study_scores
from murace.fit.loop import fit
from murace.fit.memory import largest_batch, require_memory
from murace.fit.setting import Moment, Part, Progress, Setting, Training, part_of, start
from murace.system.failures import is_out_of_memory

__all__ = [
    "Moment",
    "Part",
    "Progress",
    "Setting",
    "Training",
    "fit",
    "is_out_of_memory",
    "largest_batch",
    "part_of",
    "require_memory",
    "start",
    "study_scores",
]
