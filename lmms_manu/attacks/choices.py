"""Choices: what was asked with options to choose from, with the options turned round, and openly.

Whoever forgets one form of a question may know the answer in the other one.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant
from lmms_manu.attacks.looks import left_elsewhere, looked_at, told_apart, traces_of
from lmms_manu.attacks.outcomes import BEFORE, EDITED, PROBABILITY, VANILLA, Measured, Outcome
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.methods.data import spread

_ASKED, _TURNED, _OPENLY = "as asked", "options turned round", "asked openly"


class Choices(Attack):
    """The attack `choices`: what is left in each form of a question, beside what is left in the other one."""

    name = "choices"

    def variants(self) -> Mapping[str, Variant]:
        return {
            _ASKED: functools.partial(_with_options, turned=False),
            _TURNED: functools.partial(_with_options, turned=True),
        }

    def on_vanilla(self) -> Mapping[str, Variant]:
        return self.variants()

    def outcomes(self, measured: Measured) -> list[Outcome]:
        read = {_OPENLY: BEFORE, **{form: f"{self.name}: {form}" for form in (_ASKED, _TURNED)}}
        missing = [own for own in read.values() if None in (measured.reading(m, own) for m in (VANILLA, EDITED))]
        if missing:
            return [Outcome(self.name, measured.reason(missing[0]))]
        forms = {
            form: traces_of(
                {model: found[own][PROBABILITY] for model, found in measured.readings.items() if own in found}
            )
            for form, own in read.items()
        }
        outcomes = []
        for form in (_ASKED, _TURNED, _OPENLY):
            traces, people = forms[form]
            beside = _OPENLY if form == _ASKED else _ASKED
            other = forms[beside][0] if forms[beside][1] >= 1 and told_apart(forms[beside][0]) else None
            said = functools.partial(left_elsewhere, other=other, where=_WORDS[beside])
            outcomes.append(looked_at(f"{self.name}: {form}", traces, people, said))
        return outcomes


_WORDS = {_ASKED: "behind the options as they are asked", _OPENLY: "where it is asked openly"}


@contextlib.contextmanager
def _with_options(target: Target, *, turned: bool) -> Iterator[Target]:
    settings = target.data.settings
    if settings is None:
        raise InapplicableError("no question with options is known: the data is the caller's own")
    benchmark = get_benchmark(settings.benchmark)
    found = {
        modality: benchmark.choices(list(dict.fromkeys(one.subject for one in part)), modality, settings, turned=turned)
        for modality, part in target.data.forget.items()
    }
    if not all(found.values()):
        raise InapplicableError(f"{benchmark.title} asks nothing about the people to forget with options")
    yield target.about({modality: list(spread(part, settings.max_samples)) for modality, part in found.items()})
