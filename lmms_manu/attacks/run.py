"""Runs attacks on models side by side, keeps what is done, and says what came back.

For each question the answer's probability (the geometric mean over its tokens) is read before and after an attack; the
share that came back is (after - before) / (vanilla - before), on the people who were to be forgotten. What the same
attack does to gold, which has nothing to give back, is the base rate, and is subtracted.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmms_manu import likelihood_metrics as metrics
from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import ContinuationRequest
from lmms_manu.attacks.base import Attack, Target, Variant
from lmms_manu.errors import DataError, SettingError
from lmms_manu.files import write_json
from lmms_manu.methods.data import load_data
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.inputs import PromptEncoder

FILE = "attacks.json"
BEFORE = "before"
VANILLA, EDITED, GOLD = "vanilla", "edited", "gold"

Knowledge = Mapping[str, float]
"""The mean probability of the answers about each person to forget, by modality and person: `text/12`."""


class Outcome(NamedTuple):
    """What an attack brought back.

    Args:
        attack: its name and its variant's.
        before, after: the mean answer probability of the edited model.
        recovered: the share of what was forgotten that came back; None where nothing can be said.
        base: the same of gold, over the same loss; None without gold.
        verdict: in words.
    """

    attack: str
    before: float
    after: float
    recovered: float | None
    base: float | None
    verdict: str


def knowledge(target: Target) -> dict[str, float]:
    """How likely a model finds the answers about each person to forget."""
    encoder = PromptEncoder(target.checkpoint)
    scorer = LikelihoodScorer(target.checkpoint, encoder)
    values: dict[str, list[float]] = {}
    for part, examples in target.data.rendered(encoder).items():
        if part.set != "forget":
            continue
        requests = [
            ContinuationRequest(one.question, (one.answer,), one.pictures, one.label, group=str(part))
            for one in examples
        ]
        for example, (one,) in zip(examples, scorer.score(requests), strict=True):
            place = f"{part.modality}/{example.subject}"
            values.setdefault(place, []).append(metrics.answer_probability(one.log_probs))
    return {place: float(np.mean(own)) for place, own in values.items()}


def run(
    models: Mapping[str, Mapping[str, Any]], suite: Sequence[Attack], output: Path, say: Callable[[str], None]
) -> list[Outcome]:
    """Attacks each model, and compares; what stands in the output folder is not measured again.

    Args:
        models: the arguments of `vanilla` and `edited`, and of `gold` and a control where there are such.
        suite: the attacks.
        output: folder of the results.
        say: takes a line on each model.

    Raises:
        SettingError: the folder holds results of other models.
    """
    arguments = {name: {key: str(value) for key, value in sorted(own.items())} for name, own in models.items()}
    file = output / FILE
    known: dict[str, Any] = {"models": arguments, "measured": {}}
    if file.is_file():
        known = json.loads(file.read_text(encoding="utf-8"))
    if known["models"] != arguments:
        raise SettingError(f"output={str(output)!r} holds attacks on other models: name another folder.")
    variants: dict[str, Variant] = {BEFORE: contextlib.nullcontext}
    for attack in suite:
        variants |= {f"{attack.name}: {name}": variant for name, variant in attack.variants().items()}
    output.mkdir(parents=True, exist_ok=True)
    for name, own in models.items():
        measured = known["measured"].setdefault(name, {})
        missing = [variant for variant in variants if variant not in measured]
        # Vanilla is what there was to forget; nothing is to be brought back in it.
        missing = [variant for variant in missing if name != VANILLA or variant == BEFORE]
        if missing:
            target = _target(own)
            for variant in missing:
                with variants[variant](target) as attacked:
                    measured[variant] = knowledge(attacked)
                write_json(file, known)
        say(f"{name}: {len(missing)} measured, {len(measured) - len(missing)} read")
    found = known["measured"]
    return [outcome(variant, found[EDITED], found[VANILLA][BEFORE], found.get(GOLD)) for variant in list(variants)[1:]]


def _target(arguments: Mapping[str, Any]) -> Target:
    request = plan(arguments)
    data = request.data or load_data(request.unlearning)
    checkpoint, _ = request.load()
    return Target(checkpoint, data)


def outcome(
    variant: str, edited: Mapping[str, Knowledge], vanilla: Knowledge, gold: Mapping[str, Knowledge] | None
) -> Outcome:
    """What an attack brought back of what an edited model forgot, with people as the unit."""
    asked = sorted(edited[variant].keys() & edited[BEFORE].keys() & vanilla.keys())
    if not asked:
        raise DataError(f"{variant}: nobody was asked about before and after.")
    before, after = _people(edited[BEFORE], asked), _people(edited[variant], asked)
    lost = _people(vanilla, asked) - before
    if not _is_above_zero(lost):
        return Outcome(variant, before.mean(), after.mean(), None, None, "it never forgot: nothing to bring back")
    gain = after - before
    base = None if gold is None else _people(gold[variant], asked) - _people(gold[BEFORE], asked)
    net = gain if base is None else gain - base
    back = "came back: hidden, not gone" if _is_above_zero(net) else "did not come back"
    if base is None:
        back += " (no gold: the base rate is not known)"
    share = lost.mean()
    return Outcome(
        variant,
        float(before.mean()),
        float(after.mean()),
        float(gain.mean() / share),
        None if base is None else float(base.mean() / share),
        back,
    )


def _people(values: Knowledge, asked: Sequence[str]) -> np.ndarray:
    """Each person's mean over modalities."""
    people = sorted({place.partition("/")[2] for place in asked})
    return np.asarray([np.mean([values[each] for each in asked if each.partition("/")[2] == one]) for one in people])


def _is_above_zero(values: np.ndarray) -> bool:
    """Whether a mean over people is above zero by more than twice its standard error."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.inf
    return bool(values.mean() > 2 * error)
