from murace.config import CalibrateConfig, FinetuneConfig, Recipe, params
from murace.steps.calibrate import step as calibrate
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.workspace import Rerun, State, begin
from murace.workspace.chain import next_command, step_statuses
from murace.workspace.commands import command, settings
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_config, tiny_workspace


def states(workspace: Workspace) -> dict[str, State]:
    return {status.name: status.state for status in step_statuses(workspace)}


def test_from_nothing_to_the_end_the_next_command_leads_through_the_chain(
    tmp_path: object, prepared: Workspace
) -> None:
    assert next_command(step_statuses(Workspace(prepared.root / "nowhere"))) == "murace prepare SOURCE"
    assert next_command(step_statuses(prepared)) == "murace train --arch all"
    train.run(prepared, tiny_config(epochs=1), machine=CPU, rerun=Rerun(), reporter=Reporter())
    assert next_command(step_statuses(prepared)) == "murace train --arch resnet"
    calibrate.run(prepared, CalibrateConfig(), machine=CPU, rerun=Rerun(), reporter=Reporter())
    assert next_command(step_statuses(prepared)) == "murace finetune"  # a choice was made without the other two


def test_a_finished_chain_has_nothing_next(finished: Workspace) -> None:
    assert set(states(finished).values()) == {State.DONE}
    assert next_command(step_statuses(finished)) is None


def test_new_data_make_everything_below_stale(finished: Workspace) -> None:
    tiny_workspace(finished.root, seed=7)
    found = states(finished)
    assert found.pop("prepare") is State.DONE
    assert set(found.values()) == {State.STALE}
    assert next_command(step_statuses(finished)) == command(finished, "train/convnet")


def test_members_that_were_begun_alike_are_finished_by_one_command(finished: Workspace) -> None:
    usual = settings(finished, "finetune/elbow")
    assert usual
    for group in ("elbow", "wrist"):
        finished.finetune(group).model.unlink()
    assert next_command(step_statuses(finished)) == f"murace finetune{usual}"
    begin(finished.finetune("wrist").folder, "finetune/wrist", params(FinetuneConfig().recipe_for("resnet")), {})
    assert next_command(step_statuses(finished)) == f"murace finetune{usual}"
    other = Recipe(epochs=9, batch_size=8)
    begin(finished.finetune("wrist").folder, "finetune/wrist", {**params(other), "learner": "densenet"}, {})
    assert next_command(step_statuses(finished)) == f"murace finetune --groups elbow{usual}"


def test_a_learner_trained_since_makes_the_choice_stale(prepared: Workspace) -> None:
    train.run(prepared, tiny_config(epochs=1), machine=CPU, rerun=Rerun(), reporter=Reporter())
    calibrate.run(prepared, CalibrateConfig(), machine=CPU, rerun=Rerun(), reporter=Reporter())
    train.run(prepared, tiny_config("resnet", epochs=1), machine=CPU, rerun=Rerun(), reporter=Reporter())
    (status,) = [status for status in step_statuses(prepared) if status.name == "calibrate"]
    assert (status.state, status.reasons) == (State.STALE, ("resnet was trained since",))


def test_an_unfinished_member_is_partial_and_a_lost_file_is_damage(finished: Workspace) -> None:
    begin(finished.finetune("wrist").folder, "finetune", {}, {})
    finished.train("resnet").model.unlink()
    found = states(finished)
    assert found["finetune/wrist"] is State.PARTIAL
    assert found["train/resnet"] is State.DAMAGED
    assert next_command(step_statuses(finished)) == command(finished, "train/resnet")


def test_a_record_that_cannot_be_read_is_damage_with_the_way_out(finished: Workspace) -> None:
    (finished.train("resnet").folder / "step.json").write_text('{"schema": ')
    finished.calibrate.roster.write_text("{")
    (status,) = [status for status in step_statuses(finished) if status.name == "train/resnet"]
    assert status.state is State.DAMAGED
    assert status.command == "murace train --arch resnet"
    assert "is damaged" in status.reasons[0]
