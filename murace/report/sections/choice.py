"""Section choice of learners (Table 5): validation scores, votes, the designated learner and its stability."""

from collections.abc import Mapping
from typing import Any

from murace.report.contents import Contents
from murace.report.sections.comparison import BOLD, Comparison, compare
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Row, Table

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
        blocks=[
            *(comparison.block(metric) for metric in roster["metrics"]),
            *_stability(choices, comparison),
            *_outcome(choices, comparison),
        ],
        notes=[
            BOLD,
            "Shaded: the designated learner. The best learner of a metric gets its vote; a shared best counts "
            "for each that shares it.",
            *([GREY] if comparison.has_paper else []),
            *ties(choices),
            *near_ties(choices),
            *([stability_note(roster.get("resamples"))] if _is_resampled(choices) else []),
            "Data: calibrate/scores.csv and roster.json.",
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
    """The learner, with its share of the resamples under it, and whether the votes were a tie."""
    if choice is None:
        return Cell(text="")
    share = choice.get("stability", {}).get(choice["learner"])
    return Cell(
        text=formats.model_name(choice["learner"]),
        detail="" if share is None else f"{formats.stability(share)} of resamples",
        remark="tie" if choice["tie"] else "",
    )


def _stability(choices: Choices, comparison: Comparison) -> list[Block]:
    """How often each learner would be designated; nothing where that was not measured."""
    if not _is_resampled(choices):
        return []
    rows = [
        Row(
            name=formats.model_name(learner),
            cells=[_share(choices.get(group), learner) for group in comparison.groups],
        )
        for learner in comparison.models
    ]
    return [Block(name="Share of resamples that designate it", rows=rows)]


def _share(choice: Mapping[str, Any] | None, learner: str) -> Cell:
    if choice is None:
        return Cell(text="")
    share = choice.get("stability", {}).get(learner)
    return Cell(text=formats.stability(share), chosen=choice["learner"] == learner)


def _is_resampled(choices: Choices) -> bool:
    return any(choice.get("stability") for choice in choices.values())


def stability_note(resamples: int | None) -> str:
    """How the shares are to be read."""
    number = f"{resamples:,} bootstrap resamples" if resamples else "bootstrap resamples"
    return (
        f"Share: in how many of {number} of the validation patients the same rule would designate the learner. It "
        "covers the sampling of validation patients, not another training run."
    )


def near_ties(choices: Choices) -> list[str]:
    """A sentence that names the groups where another learner might as well have been chosen."""
    close = [formats.group_name(group) for group, choice in choices.items() if choice.get("near_tie")]
    if not close:
        return []
    return [f"Near-tie in {formats.listing(close)}: the designated learner wins fewer than 60% of the resamples."]


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
