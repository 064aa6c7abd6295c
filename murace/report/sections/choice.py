"""Section choice of learners (Table 5): validation scores, votes, the designated learner and its stability."""

from collections.abc import Callable, Mapping
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
    shares = _rows(choices, comparison, lambda choice, name: formats.stability(choice.get("stability", {}).get(name)))
    votes = _rows(choices, comparison, lambda choice, name: str(choice["votes"].get(name, 0)))
    designated = [_designated(choices[group]) if group in choices else Cell(text="") for group in comparison.groups]
    return Table(
        key="table-5",
        number="Table 5",
        caption=f"Validation scores, one decision per {roster['level']}, and the learner designated to each group.",
        corner="Learner",
        columns=comparison.columns({}),
        blocks=[
            *(comparison.block(metric) for metric in roster["metrics"]),
            *([Block(name="Share of resamples that designate it", rows=shares)] if _is_resampled(choices) else []),
            Block(name="Votes", rows=[*votes, Row(name="Designated", cells=designated, total=True)]),
        ],
        notes=[
            BOLD,
            "Shaded: the designated learner. The best learner of a metric gets its vote; a shared best counts "
            "for each that shares it.",
            *([GREY] if comparison.has_paper else []),
            *remarks(roster),
            "Data: calibrate/scores.csv and roster.json.",
        ],
    )


def remarks(roster: Mapping[str, Any]) -> list[str]:
    """Sentences on the choice: ties, near-ties, and how the shares of resamples are to be read where they are known."""
    choices: Choices = roster["groups"]
    number = f"{roster['resamples']:,} bootstrap resamples" if roster.get("resamples") else "bootstrap resamples"
    note = (
        f"Share: in how many of {number} of the validation patients the same rule would designate the learner. It "
        "covers the sampling of validation patients, not another training run."
    )
    return [*_ties(choices), *([note] if _is_resampled(choices) else [])]


def _rows(choices: Choices, comparison: Comparison, text: Callable[[Mapping[str, Any], str], str]) -> list[Row]:
    """A row per learner with a text of each group's choice; the designated learner's cell is marked."""
    return [
        Row(
            name=formats.model_name(learner),
            cells=[
                Cell(text=text(choices[group], learner), chosen=choices[group]["learner"] == learner)
                if group in choices
                else Cell(text="")
                for group in comparison.groups
            ],
        )
        for learner in comparison.models
    ]


def _designated(choice: Mapping[str, Any]) -> Cell:
    """The learner, with its share of the resamples under it, and whether the votes were a tie."""
    share = choice.get("stability", {}).get(choice["learner"])
    return Cell(
        text=formats.model_name(choice["learner"]),
        detail="" if share is None else f"{formats.stability(share)} of resamples",
        remark="tie" if choice["tie"] else "",
    )


def _is_resampled(choices: Choices) -> bool:
    return any(choice.get("stability") for choice in choices.values())


def _ties(choices: Choices) -> list[str]:
    """A sentence each on the groups where votes alone did not decide, nobody had a vote, or the choice was close."""
    voted = {group: any(choice["votes"].values()) for group, choice in choices.items()}
    tied = [formats.group_name(group) for group, choice in choices.items() if choice["tie"] and voted[group]]
    silent = [formats.group_name(group) for group in choices if not voted[group]]
    close = [formats.group_name(group) for group, choice in choices.items() if choice.get("near_tie")]
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
    if close:
        sentences.append(
            f"Near-tie in {formats.listing(close)}: the designated learner wins fewer than 60% of the resamples."
        )
    return sentences
