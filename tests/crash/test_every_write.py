"""Row R2: killed at every moment of its writing, each step goes on by itself and ends with the same results."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from murace.system.files import TEMPORARY
from murace.workspace.chain import step_statuses
from tests.crash.conftest import Stand
from tests.crash.killing import run, spread
from tests.crash.steps import STEPS, lines, results, space

pytestmark = pytest.mark.crash
ALL = 10**6
# How many moments each run of the suite tries; `-m nightly` tries them all.
MOST = {"prepare": 30, "train": ALL, "calibrate": 12, "finetune": 40, "evaluate": 16, "cam": 16, "predict": 20}


def survive(stand: Stand, step: str, event: int) -> None:
    """Kill the step there, look around, let it go on, and compare."""
    base = stand.before(step)
    root, work = space(base).root, STEPS[step]
    assert run(work, base, root=root, kill_at=event).killed, event
    step_statuses(space(base))  # whoever looks at what is left is not disturbed by it
    told = [epoch for word, epoch in lines(base) if word == "finished"]
    run(work, base, root=root)
    later = lines(base)[len(told) :]
    if told and later and later[0][0] == "finished":
        pytest.fail(f"moment {event}: epochs {told} were finished, and it began anew")
    if told and later:
        assert later[0] >= ("resumed", told[-1]), f"moment {event}: a finished epoch is lost"
    assert results(base, step) == results(stand.after(step), step), event
    assert not [path for path in root.rglob("*") if TEMPORARY in path.name], event
    shutil.rmtree(base)


def survive_all(stand: Stand, step: str, most: int) -> None:
    base = stand.before(step)
    whole = run(STEPS[step], base, root=space(base).root)
    assert results(base, step) == results(stand.after(step), step)  # two runs without a kill agree, or nothing can
    assert whole.moments > 10
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda event: survive(stand, step, event), spread(whole.moments, most)))


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_moment_it_goes_on_and_loses_nothing(stand: Stand, step: str) -> None:
    survive_all(stand, step, MOST.get(step, 8))
