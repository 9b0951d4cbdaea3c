"""Whom a model is to forget and to retain, and what it reads of them; where that comes from a benchmark knows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lmms_manu.benchmarks.base import MODALITIES, Benchmark, Role
from lmms_manu.benchmarks.draw_by_rule import first_by_rule
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.errors import DataError
from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.methods.settings import ALL, AUTO, MATCH, PromptForm, UnlearningSettings
from lmms_manu.models.inputs import PromptEncoder

Examples = Mapping[str, Sequence[Example]]
"""Examples by modality; a modality of which there are none is missing."""


@dataclasses.dataclass(frozen=True)
class UnlearningData:
    """What a model learned about those to forget and those to retain.

    Args:
        forget: examples, or examples by modality, which is what they become.
        retain: the same; empty where nobody is known.
        settings: what they were chosen by from a benchmark; None for a user's own.

    Raises:
        DataError: there is nobody to forget.

    Example:
        >>> from lmms_manu.benchmarks import Example
        >>> anna = Example("anna", "Where does Anna live?", "In Oslo.")
        >>> bert = Example("bert", "Where does Bert live?", "In Rome.")
        >>> UnlearningData(forget=[anna], retain=[bert]).forget["text"][0].answer
        'In Oslo.'
    """

    forget: Examples
    retain: Examples
    settings: UnlearningSettings | None

    def __init__(
        self,
        forget: Examples | Sequence[Example],
        retain: Examples | Sequence[Example] = (),
        settings: UnlearningSettings | None = None,
    ) -> None:
        object.__setattr__(self, "forget", _by_modality(forget))
        object.__setattr__(self, "retain", _by_modality(retain))
        object.__setattr__(self, "settings", settings)
        if not self.forget:
            raise DataError("forget=[]: there is nobody to forget. Give at least one example.")

    def forgotten(self) -> dict[str, str | int]:
        """Whom the examples to forget are of, for records; empty where no benchmark knows them."""
        return dict(self.settings.forgotten) if self.settings is not None else {}

    def rendered(self, encoder: PromptEncoder) -> Parts:
        """The examples rendered for a model, by set and modality; those with pictures where it takes any."""
        sets = {"forget": self.forget, "retain": self.retain}
        prompt = self.settings.prompt if self.settings is not None else "chat"
        return {
            Part(name, modality): [_rendered(example, encoder, prompt) for example in chosen]
            for name, examples in sets.items()
            for modality, chosen in examples.items()
            if modality == "text" or encoder.takes_pictures
        }


@dataclasses.dataclass(frozen=True)
class BenchmarkData:
    """A choice of a benchmark's people; read when a method asks, which has a say in how many are retained.

    Args:
        settings: who and how many.
        dataset: the folder or hub name of the benchmark's data; the one that its tasks ask about if None.
    """

    settings: UnlearningSettings
    dataset: str | None = None

    def load(self, retain_by_default: str = ALL) -> UnlearningData:
        """The examples; arguments and errors as in `load_data`."""
        return load_data(self.settings, retain_by_default, self.dataset)


def load_data(settings: UnlearningSettings, retain_by_default: str = ALL, dataset: str | None = None) -> UnlearningData:
    """Reads and chooses the examples; no model is needed.

    Args:
        settings: who and how many.
        retain_by_default: what the setting `retain_samples=auto` means: `all` or `match`.
        dataset: the folder or hub name of the benchmark's data; the one that its tasks ask about if None.

    Raises:
        DataError: the data cannot be read, or a set has no usable example.
    """
    if settings.retain_samples == AUTO:
        settings = dataclasses.replace(settings, retain_samples=retain_by_default)
    reader = _Reader(get_benchmark(settings.benchmark), settings, dataset)
    forget = reader.examples(reader.people("forget"))
    limit = settings.max_samples
    return UnlearningData(
        {modality: spread(examples, limit) for modality, examples in forget.items()},
        {modality: spread(examples, limit) for modality, examples in _retained(reader, forget).items()},
        settings,
    )


def _by_modality(examples: Examples | Sequence[Example]) -> Examples:
    if isinstance(examples, Mapping):
        return examples
    found = {modality: [each for each in examples if each.modality == modality] for modality in MODALITIES}
    return {modality: some for modality, some in found.items() if some}


def spread(examples: Sequence[Example], limit: int | None) -> Sequence[Example]:
    """At most `limit` of the examples, at even distances, so that few examples still stand for many people."""
    if limit is None or len(examples) <= limit:
        return examples
    return [examples[position * len(examples) // limit] for position in range(limit)]


@dataclasses.dataclass(frozen=True)
class _Reader:
    """A benchmark asked for one choice of people."""

    benchmark: Benchmark
    settings: UnlearningSettings
    dataset: str | None

    def people(self, role: Role) -> Sequence[str]:
        return self.benchmark.people(role, self.settings, self.dataset)

    def examples(self, people: Sequence[str]) -> Examples:
        found = {modality: self.of_modality(people, modality) for modality in MODALITIES}
        return {modality: examples for modality, examples in found.items() if examples}

    def of_modality(self, people: Sequence[str], modality: str) -> Sequence[Example]:
        return self.benchmark.examples(people, modality, self.settings, self.dataset)


def _retained(reader: _Reader, forget: Examples) -> Examples:
    """The examples of whole people drawn by seed, as many people as it takes for the wanted number of examples."""
    settings, people = reader.settings, reader.people("retain")
    if settings.retain_samples == ALL or not people:
        return reader.examples(people) if people else {}
    # Of the modality that needs no picture to be read, where there is one.
    counted = "text" if "text" in forget else next(iter(forget))
    wanted = len(forget[counted]) if settings.retain_samples == MATCH else int(settings.retain_samples)
    order = first_by_rule(people, len(people), settings.data_seed, "retained")
    per_person = len(forget[counted]) / len({example.subject for example in forget[counted]})
    number = math.ceil(wanted / per_person)
    examples = reader.of_modality(order[:number], counted)
    while len(examples) < wanted and number < len(order):
        number += math.ceil((wanted - len(examples)) / per_person)
        examples = reader.of_modality(order[:number], counted)
    last = examples[min(wanted, len(examples)) - 1].subject
    return reader.examples(order[: order.index(last) + 1])


def _rendered(example: Example, encoder: PromptEncoder, prompt: PromptForm) -> RenderedExample:
    if prompt == "chat" or not example.prompt:
        pictures = [{"type": "image"}] if example.modality == "multimodal" else []
        content = [*pictures, {"type": "text", "text": example.question}]
        question = encoder.chat_text([{"role": "user", "content": content}])
        answer = example.answer if question[-1:].isspace() else f" {example.answer}"
    else:
        question = encoder.released_text(example.prompt)
        answer = f" {example.answer}"
    return RenderedExample(example.label, question, answer, example.pictures, example.digest(), example.subject)
