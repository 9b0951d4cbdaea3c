"""Controls: the same edit, made for people that nobody asked to forget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmms_manu.benchmarks.draw_by_rule import first_by_rule
from lmms_manu.errors import DataError
from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.rendered import RenderedExample

CONTROL: Mapping[str, str] = {"control": "control"}
"""What the variant of a control has beside the settings; draws are told apart by their seeds, as runs are."""

CONTROL_HELP = (
    "A control of the same size: in the place of those to forget, as many people drawn from those to retain are "
    "forgotten; those to forget are in neither set."
)


def retained_people_as_forgotten(examples: Parts, seed: int) -> Parts:
    """The examples of a control: people drawn at random from those to retain are to be forgotten.

    Args:
        examples: questions with answers, by set and modality.
        seed: of the draw.

    Returns:
        As many people to forget as `examples` has, and the other people to retain.

    Raises:
        DataError: fewer people are to be retained than it takes, or nobody says who they are.
    """
    wanted, known = (len(_people(examples, group)) for group in ("forget", "retain"))
    if wanted == 0 or known <= wanted:
        raise DataError(
            f"random_control=True draws as many people from the retain set as the forget set has, {wanted}, and has to "
            f"leave some: there are {known}. Use more people to retain (retain_samples=all)."
        )
    drawn = set(first_by_rule(_people(examples, "retain"), wanted, seed, "control"))
    sets: dict[Part, Sequence[RenderedExample]] = {}
    for part, passages in examples.items():
        if part.set == "retain":
            sets[Part("forget", part.modality)] = [one for one in passages if one.subject in drawn]
            sets[part] = [one for one in passages if one.subject not in drawn]
    return sets


def _people(examples: Parts, group: str) -> set[str]:
    found = {one.subject for part, passages in examples.items() if part.set == group for one in passages}
    return found - {""}
