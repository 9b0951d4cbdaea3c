"""A strength that is chosen while a model is loaded: it forgets most within a budget, on validation people.

check
    the method has a strength, nobody gave one, every value is allowed     (before any weight is read)
choose
    how likely the model finds the answers about the validation people
    for each strength: find the edit, make it, ask again, take it back
    the one that forgets most for no more than the budget; how it was chosen goes into the record
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.methods.base import Method
from lmms_manu.methods.choice import SELECTION, Trial, best_within, selection_of, validation_people
from lmms_manu.methods.data import UnlearningData
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.settings import UnlearningSettings

if TYPE_CHECKING:
    from lmms_manu.editing.changes import Change
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.inputs import PromptEncoder
    from lmms_manu.models.loading import Checkpoint

Found = tuple["Change | None", EditRecord]

HOW = "probability of the answers that the model was taught (geometric mean over tokens), mean over people"


def candidates(method: Method[Any], settings: UnlearningSettings, *, given: bool = False) -> dict[float, Method[Any]]:
    """The method at each strength that may be chosen, the mildest first.

    Args:
        method: with its other settings.
        settings: the budget, and the strengths.
        given: whether somebody named the strength already.

    Raises:
        SettingError: it has no strength, one was given already, or a value is not allowed.
    """
    axis, budget = method.strength, settings.retain_budget
    if axis is None:
        raise SettingError(
            f"retain_budget={budget:g}: method={method.name} has no strength to choose; leave retain_budget out."
        )
    if given:
        raise SettingError(
            f"{axis} says the strength that retain_budget={budget:g} is to choose: leave one of them out, or name "
            "several by strengths=, such as strengths=2+5+10."
        )
    values = method.strengths if settings.strengths is None else _numbers(settings.strengths)
    return {value: type(method)(dataclasses.replace(method.config, **{axis: value})) for value in values}


def check_people(data: UnlearningData | None) -> None:
    """Refuses data that cannot be divided into people to choose on and people to report.

    Raises:
        SettingError: there is no data.
        DataError: it names fewer than two people to forget, or to retain.
    """
    if data is None:
        raise SettingError("retain_budget chooses a strength on people, and this edit reads none: leave it out.")
    for name, examples in {"forget": data.forget, "retain": data.retain}.items():
        people = _subjects(examples)
        if len(people) < 2:
            raise DataError(
                f"retain_budget chooses a strength on a part of the people: there are {len(people)} to {name}, and it "
                "takes two at least. Name the strength, and leave retain_budget out."
            )


def choose(
    method: Method[Any],
    settings: UnlearningSettings,
    examples: Parts,
    checkpoint: Checkpoint,
    find: Callable[[Method[Any]], Found],
) -> tuple[Method[Any], dict[str, Any]]:
    """Tries every strength on the validation people.

    Args:
        method: with its other settings.
        settings: the budget, and the strengths.
        examples: what is known of the people, rendered for the model.
        checkpoint: the model, which is as it was afterwards.
        find: finds the change of a method, without making it.

    Returns:
        The method at the chosen strength, and how it was chosen, for the record.

    Raises:
        ModelError: every strength costs more than the budget; or an edit cannot be taken back.
    """
    # Torch, which checking arguments needs none of.
    from lmms_manu.measuring.processes import Processes
    from lmms_manu.models.inputs import PromptEncoder

    assert settings.retain_budget is not None
    started = time.monotonic()
    sets = {
        name: validation_people(_subjects({part: own for part, own in examples.items() if part.set == name}))
        for name in ("forget", "retain")
    }
    asked = {part: [one for one in own if one.subject in sets[part.set]] for part, own in examples.items()}
    # One for all strengths: it prepares each picture once.
    encoder = PromptEncoder(checkpoint)
    before = _known(checkpoint, encoder, asked)
    trials: list[Trial] = []
    methods = candidates(method, settings)
    for value, one in methods.items():
        change, _ = find(one)
        with _made(change, checkpoint) as edited:
            after = _known(edited, encoder, asked)
        trials.append(Trial(value, *(before[name] - after[name] for name in ("forget", "retain"))))
    # Another device may round otherwise: all processes take what the first one found.
    trials = Processes.current().from_first(trials)
    chosen = best_within(trials, settings.retain_budget)
    selection = selection_of(
        str(method.strength), trials, chosen, settings.retain_budget, frozenset().union(*sets.values()), HOW
    )
    selection["seconds"] = round(time.monotonic() - started, 1)
    if chosen is None:
        tried = ", ".join(f"{trial.strength:g} costs {trial.cost:.1f}" for trial in trials)
        raise ModelError(
            f"retain_budget={settings.retain_budget:g}: no {method.strength} keeps the people to retain within it "
            f"({tried}). Allow more, or name milder ones by strengths=."
        )
    return methods[chosen.strength], {SELECTION: selection}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(value) for value in text.split("+")))
    except ValueError:
        raise SettingError(f"strengths={text!r} are no numbers joined by +, such as 2+5+10.") from None


def _subjects(examples: Mapping[Any, Sequence[Any]]) -> set[str]:
    return {example.subject for own in examples.values() for example in own if example.subject}


def _known(checkpoint: Checkpoint, encoder: PromptEncoder, asked: Parts) -> dict[str, float]:
    """How likely the model finds the answers about the people of each set, of 100."""
    from lmms_manu import likelihood_metrics as metrics
    from lmms_manu.answering.likelihood import LikelihoodScorer
    from lmms_manu.answering.requests import ContinuationRequest

    chosen = [(part, example) for part, own in asked.items() for example in own]
    requests = (
        ContinuationRequest(one.question, (one.answer,), one.pictures, one.label, group=str(part))
        for part, one in chosen
    )
    values: dict[tuple[str, str], list[float]] = {}
    for (part, one), (scored,) in zip(chosen, LikelihoodScorer(checkpoint, encoder).score(requests), strict=True):
        values.setdefault((part.set, one.subject), []).append(metrics.answer_probability(scored.log_probs))
    by_set: dict[str, list[float]] = {part.set: [] for part in asked}
    for (name, _), own in values.items():
        by_set[name].append(100 * float(np.mean(own)))
    return {name: float(np.mean(own)) for name, own in by_set.items()}


@contextmanager
def _made(change: Change | None, checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """The checkpoint with a change, which is taken back at the end."""
    from lmms_manu.editing.changes import ChangedTensors, PrunedNeurons

    if change is None:
        yield checkpoint
        return
    if isinstance(change, PrunedNeurons):
        # The same effect on answers, and the shapes stay what they are.
        change = dataclasses.replace(change, mode="zero")
    undo = ChangedTensors.of(checkpoint.model, tuple(_touched(change, checkpoint)))
    try:
        yield change.apply(checkpoint)
    finally:
        undo.apply(checkpoint)


def _touched(change: Change, checkpoint: Checkpoint) -> Iterable[str]:
    """The names of the parameters that a change may change."""
    from lmms_manu.editing.changes import ChangedTensors

    if isinstance(change, ChangedTensors):
        return change.tensors
    named = checkpoint.model.named_parameters(remove_duplicate=False)
    return [name for name, parameter in named if parameter.is_floating_point()]
