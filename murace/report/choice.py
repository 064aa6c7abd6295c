"""Table 5: the validation scores that voted, and the learner that each group was given."""

from collections.abc import Mapping
from typing import Any

from murace.report import formats
from murace.report.comparison import BOLD, Comparison, compare
from murace.report.contents import Contents
from murace.report.grid import Block, Cell, Row, Table

GREY = "Grey: the paper's Table 5, for orientation; it is about MURA's validation images."
Choices = Mapping[str, Mapping[str, Any]]


def choice_table(contents: Contents) -> Table:
    """Table 5 with the votes and the choice under it."""
    roster = contents.roster
    choices: Choices = roster["groups"]
    frame = contents.validation[contents.validation["level"] == roster["level"]]
    chosen = {group: str(choice["learner"]) for group, choice in choices.items()}
    comparison = compare(frame, model="learner", paper=5, chosen=chosen)
    return Table(
        key="table-5",
        number="Table 5",
        caption=f"Validation scores, one decision per {roster['level']}, and the learner designated to each group.",
        corner="Learner",
        columns=comparison.columns({}),
        blocks=[*(comparison.block(metric) for metric in roster["metrics"]), *_outcome(choices, comparison)],
        notes=[
            BOLD,
            "Shaded: the designated learner. The best learner of a metric gets its vote; a shared best counts "
            "for each that shares it.",
            *([GREY] if comparison.has_paper else []),
            *ties(choices),
        ],
    )


def _outcome(choices: Choices, comparison: Comparison) -> list[Block]:
    """A line of votes per learner, then the chosen one."""
    votes = [
        Row(
            name=formats.model_name(learner),
            cells=[_vote(choices.get(group), learner) for group in comparison.groups],
        )
        for learner in comparison.models
    ]
    designated = Row(
        name="Designated", cells=[_designated(choices.get(group)) for group in comparison.groups], total=True
    )
    return [Block(name="Votes", rows=[*votes, designated])]


def _vote(choice: Mapping[str, Any] | None, learner: str) -> Cell:
    if choice is None:
        return Cell(text="")
    return Cell(text=str(choice["votes"].get(learner, 0)), chosen=choice["learner"] == learner)


def _designated(choice: Mapping[str, Any] | None) -> Cell:
    if choice is None:
        return Cell(text="")
    return Cell(text=formats.model_name(choice["learner"]), detail="tie" if choice["tie"] else "")


def ties(choices: Choices) -> list[str]:
    """A sentence about the groups where votes alone did not decide, and one about those where nobody had a vote."""
    silent = [formats.group_name(group) for group, choice in choices.items() if not any(choice["votes"].values())]
    tied = [
        formats.group_name(group)
        for group, choice in choices.items()
        if choice["tie"] and any(choice["votes"].values())
    ]
    sentences = []
    if tied:
        sentences.append(
            f"Tie in {formats.listing(tied)}: the votes alone did not decide; the best mean rank in the group did, "
            "then the best mean rank overall, then the alphabet."
        )
    if silent:
        sentences.append(
            f"No vote in {formats.listing(silent)}: its validation scores are undefined, so it was given the learner "
            "that is best overall."
        )
    return sentences
