"""The records of the steps in a workspace: is a step done, unfinished or stale, why, and how is it completed.

A step's folder holds two small records. `begun.json` is written when work starts and says what the run is about;
`step.json` is written last and means "complete". Both name the semantic parameters and the digests of what was
consumed, so the next invocation can tell done from unfinished from changed, and say why.
"""

from murace.workspace.commit import commit
from murace.workspace.decision import Action, Plan, Rerun, StepRun, decide, may_answer_from_record
from murace.workspace.lock import writing
from murace.workspace.record import EPOCHS, FACTS, OPERATIONAL, Record, begin, begun, damaged, forget, read, read_sound
from murace.workspace.status import State, examine, require

__all__ = [
    "EPOCHS",
    "FACTS",
    "OPERATIONAL",
    "Action",
    "Plan",
    "Record",
    "Rerun",
    "State",
    "StepRun",
    "begin",
    "begun",
    "commit",
    "damaged",
    "decide",
    "examine",
    "forget",
    "may_answer_from_record",
    "read",
    "read_sound",
    "require",
    "writing",
]
