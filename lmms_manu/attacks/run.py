"""Runs attacks on models side by side, keeps what is done, and says what came back."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.answering.teacher_forcing import NoNumberError
from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant
from lmms_manu.attacks.outcomes import (
    BEFORE,
    EDITED,
    NEVER_FORGOT,
    VANILLA,
    Measured,
    Outcome,
    never_forgot,
    unfit_gold,
)
from lmms_manu.attacks.readings import read
from lmms_manu.attacks.results import FILE, AttackResults
from lmms_manu.errors import DataError, SettingError
from lmms_manu.evidence.validity import MINIMUM_PEOPLE
from lmms_manu.methods.data import UnlearningData, load_data
from lmms_manu.methods.unlearn import UnlearningRun, plan
from lmms_manu.models.loading import Checkpoint, check_sources, configuration_of, is_text_only, load_checkpoint
from lmms_manu.models.processors import load_processor
from lmms_manu.models.rendering import tokenizer_of
from lmms_manu.models.settings import HeldModelSettings, ModelSettings

Say = Callable[[str], None]


def run(
    models: Mapping[str, Mapping[str, Any]],
    suite: Sequence[Attack],
    output: Path,
    say: Say,
) -> AttackResults:
    """Attacks each model, and compares; what stands in the output folder is not measured again.

    Args:
        models: the arguments of `vanilla` and `edited`, and of `gold` and `control` where there are such.
        suite: the attacks.
        output: folder of the results.
        say: takes a line on each model.

    Raises:
        SettingError: the folder holds results of other models or settings.
        DataError: too few people, or a gold that is none.
        ModelError: a model cannot be loaded or edited, or gives no numbers before any attack.
    """
    requests = {name: plan(own) for name, own in models.items()}
    results = _results(models, suite, output)
    data = {name: request.data or load_data(request.unlearning) for name, request in requests.items()}
    _check(requests, data[EDITED])
    output.mkdir(parents=True, exist_ok=True)
    original = functools.partial(_on_cpu, requests[VANILLA])
    for name, request in requests.items():
        variants = {
            f"{attack.name}: {variant}": (attack, way)
            for attack in suite
            for variant, way in (attack.on_vanilla() if name == VANILLA else attack.variants()).items()
        }
        _Model(name, request, data[name], original, results, output, say).measure(variants)
    results.outcomes = outcomes(suite, results)
    results.save(output / FILE)
    return results


def outcomes(suite: Sequence[Attack], results: AttackResults) -> list[Outcome]:
    """What came of each attack, from what was read."""
    measured = Measured(results.readings, results.reasons)
    if never_forgot(measured):
        return [Outcome(attack.name, NEVER_FORGOT) for attack in suite]
    if reason := unfit_gold(measured):
        return [Outcome(attack.name, reason) for attack in suite]
    return [outcome for attack in suite for outcome in attack.outcomes(measured)]


@dataclasses.dataclass(frozen=True)
class _Model:
    """One of the models: what is missing of it is measured, and kept after each step."""

    name: str
    request: UnlearningRun
    data: UnlearningData
    original: Callable[[], Checkpoint]
    results: AttackResults
    output: Path
    say: Say

    def measure(self, variants: Mapping[str, tuple[Attack, Variant]]) -> None:
        readings = self.results.readings.setdefault(self.name, {})
        reasons = self.results.reasons.setdefault(self.name, {})
        known = len(readings) + len(reasons)
        missing = [BEFORE] if BEFORE not in readings else []
        missing += [variant for variant in variants if self._misses(variant)]
        if not missing:
            self.say(f"{self.name}: {known} read")
            return
        target = self._target()
        for variant in missing:
            if variant != BEFORE and self._is_idle():
                break
            attack, way = variants.get(variant, (None, contextlib.nullcontext))
            try:
                with way(target) as attacked:
                    readings[variant] = read(attacked, in_full=attack is None or attack.in_full)
            except InapplicableError as reason:
                reasons[variant] = str(reason)
            except NoNumberError as error:
                if variant == BEFORE:
                    raise
                reasons[variant] = f"the attacked model gives no numbers ({error})"
            self.results.save(self.output / FILE)
        self.say(f"{self.name}: {len(readings) + len(reasons) - known} measured, {known} read")

    def _misses(self, variant: str) -> bool:
        if variant in self.results.readings[self.name] or variant in self.results.reasons[self.name]:
            return False
        # What could not be tried on the edited model needs no base rate.
        return self.name in (VANILLA, EDITED) or variant not in self.results.reasons[EDITED]

    def _is_idle(self) -> bool:
        """Whether it is known that there is nothing to bring back."""
        readings = self.results.readings
        both = all(BEFORE in readings.get(name, {}) for name in (VANILLA, EDITED))
        return both and never_forgot(Measured(readings, self.results.reasons))

    def _target(self) -> Target:
        checkpoint, record = self.request.load()
        if self.name == EDITED:
            self.results.checkpoint, self.results.fingerprint = record.checkpoint, record.fingerprint
            forgotten = self.data.forgotten()
            self.results.benchmark = str(forgotten.get("benchmark", ""))
            ratio = forgotten.get("forget_ratio")
            self.results.forget_ratio = None if ratio is None else int(ratio)
        return Target(checkpoint, self.data, self.original)


def _results(models: Mapping[str, Mapping[str, Any]], suite: Sequence[Attack], output: Path) -> AttackResults:
    arguments = {name: {key: str(value) for key, value in sorted(own.items())} for name, own in models.items()}
    own = {attack.name: dict(attack.settings()) for attack in suite if attack.settings()}
    if not (output / FILE).is_file():
        return AttackResults(arguments, own)
    found = AttackResults.load(output / FILE)
    if found.models != arguments:
        raise SettingError(f"output={str(output)!r} holds attacks on other models: name another folder.")
    for name, settings in own.items():
        if found.settings.setdefault(name, settings) != settings:
            raise SettingError(f"output={str(output)!r} holds {name} with other settings: name another folder.")
    return found


def _check(requests: Mapping[str, UnlearningRun], data: UnlearningData) -> None:
    """Refuses, before any weight is read, people and models of which no comparison can be made.

    Raises:
        DataError: there are too few people, or a model is of another architecture or tokenizer than vanilla.
        SettingError: a model is about other people.
        ModelError: a checkpoint is not there.
    """
    people = {example.subject for part in data.forget.values() for example in part}
    if len(people) < MINIMUM_PEOPLE:
        raise DataError(
            f"{len(people)} people to forget are too few for an interval: at least {MINIMUM_PEOPLE} are needed."
        )
    chosen = {name: request.unlearning.forgotten for name, request in requests.items()}
    for name, own in chosen.items():
        if own != chosen[EDITED]:
            said, others = (
                ", ".join(f"{key}={value}" for key, value in each.items()) for each in (own, chosen[EDITED])
            )
            raise SettingError(
                f"{name} is about {said}, the edited model about {others}: name the same people for all."
            )
    for request in requests.values():
        if not isinstance(request.model, HeldModelSettings):
            check_sources(request.model)
    kinds = {name: _kind(request.model) for name, request in requests.items()}
    for name, kind in kinds.items():
        if kind != kinds[VANILLA] and kind and kinds[VANILLA]:
            raise DataError(
                f"{name} is of another architecture or tokenizer than vanilla ({kind} and {kinds[VANILLA]}): take one "
                "of the same base model."
            )


def _kind(settings: ModelSettings) -> str:
    """A model's architecture and tokenizer in words; empty where loading will say what is wrong with it."""
    config = configuration_of(settings)
    if config is None:
        return ""
    processor = load_processor(settings, config, pictures=not is_text_only(settings))
    vocabulary = json.dumps(tokenizer_of(processor).get_vocab(), sort_keys=True)
    digest = hashlib.sha256(vocabulary.encode()).hexdigest()[:12]
    return f"{config.model_type} of width {config.get_text_config().hidden_size}, vocabulary {digest}"


def _on_cpu(request: UnlearningRun) -> Checkpoint:
    return load_checkpoint(dataclasses.replace(request.model, device="cpu", device_map=None, offload_folder=None))
