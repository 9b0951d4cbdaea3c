"""The people to forget and to retain, and what a model reads of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, Image

from lmms_manu.measuring.parts import Part, Parts
from lmms_manu.measuring.passages import Passage
from lmms_manu.methods.settings import ALL, AUTO, MATCH, UnlearningSettings
from lmms_manu.mllmu.exemplars import first_by_rule
from lmms_manu.mllmu.names import FINE_TUNING_SET, MODALITIES
from lmms_manu.mllmu.samples import Sample, forget_ids, load_samples, retain_ids
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.models.inputs import PromptEncoder

Samples = Mapping[str, Sequence[Sample]]
"""Samples by modality."""


@dataclass(frozen=True)
class UnlearningData:
    """The samples of the people to forget and of those to retain.

    Args:
        forget: by modality.
        retain: by modality.
        settings: what they were chosen by.
    """

    forget: Samples
    retain: Samples
    settings: UnlearningSettings

    def forgotten(self) -> dict[str, str | int]:
        """Whom the samples to forget are of, for records."""
        return {"benchmark": "mllmu", "forget_ratio": self.settings.forget_ratio}

    def passages(self, encoder: PromptEncoder) -> Parts:
        """The samples rendered for a model, by set and modality."""
        sets = {"forget": self.forget, "retain": self.retain}
        return {
            Part(name, modality): [_passage(sample, encoder, self.settings.prompt) for sample in samples[modality]]
            for name, samples in sets.items()
            for modality in MODALITIES
        }


def load_data(
    settings: UnlearningSettings, retain_by_default: str = ALL, source: DatasetSource | None = None
) -> UnlearningData:
    """Reads and chooses the samples; no model is needed.

    Args:
        settings: who and how many.
        retain_by_default: what the setting `retain_samples=auto` means: `all` or `match`.
        source: the dataset; the one that the tasks use if None.

    Raises:
        DataError: the dataset cannot be read, or a set has no usable sample.
    """
    source = source or DatasetSource.resolve()
    if settings.retain_samples == AUTO:
        settings = dataclasses.replace(settings, retain_samples=retain_by_default)
    forgotten = forget_ids(source, settings.forget_ratio)
    forget = {modality: load_samples(source, forgotten, modality) for modality in MODALITIES}
    retain = _retained(source, settings, forget["text"])
    limit = settings.max_samples
    return UnlearningData(
        {modality: spread(samples, limit) for modality, samples in forget.items()},
        {modality: spread(samples, limit) for modality, samples in retain.items()},
        settings,
    )


def spread(samples: Sequence[Sample], limit: int | None) -> Sequence[Sample]:
    """At most `limit` of the samples, at even distances, so that few samples still stand for many people."""
    if limit is None or len(samples) <= limit:
        return samples
    return [samples[position * len(samples) // limit] for position in range(limit)]


def _retained(
    source: DatasetSource, settings: UnlearningSettings, forget: Sequence[Sample]
) -> Mapping[str, Sequence[Sample]]:
    """The samples of whole people drawn by seed, as many people as it takes for the wanted number of samples."""
    people = retain_ids(source, settings.forget_ratio)
    if settings.retain_samples == ALL:
        return {modality: load_samples(source, people, modality) for modality in MODALITIES}
    wanted = len(forget) if settings.retain_samples == MATCH else int(settings.retain_samples)
    order = first_by_rule(people, len(people), settings.data_seed, "retained")
    per_person = len(forget) / len({sample.person_id for sample in forget})
    number = math.ceil(wanted / per_person)
    text = load_samples(source, order[:number], "text")
    while len(text) < wanted and number < len(order):
        number += math.ceil((wanted - len(text)) / per_person)
        text = load_samples(source, order[:number], "text")
    last = text[min(wanted, len(text)) - 1].person_id
    chosen = order[: order.index(last) + 1]
    return {modality: load_samples(source, chosen, modality) for modality in MODALITIES}


def _passage(sample: Sample, encoder: PromptEncoder, prompt: str) -> Passage:
    if prompt == "chat":
        pictures = [{"type": "image"}] if sample.modality == "multimodal" else []
        content = [*pictures, {"type": "text", "text": sample.question}]
        question = encoder.chat_text([{"role": "user", "content": content}])
        answer = sample.answer if question[-1:].isspace() else f" {sample.answer}"
    else:
        question = encoder.released_text(sample.released)
        answer = sample.released_with_answer.removeprefix(sample.released)
    digest = _picture_digest(sample.source, sample.row) if sample.modality == "multimodal" else ""
    return Passage(f"{sample.person_id}: {sample.question!r}", question, answer, sample.pictures, digest)


@functools.lru_cache(maxsize=4096)
def _picture_digest(source: DatasetSource, row: int) -> str:
    """The SHA-256 of a person's picture as it is stored."""
    picture = _encoded_pictures(source)[row]["image"]
    content = picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes()
    return hashlib.sha256(content).hexdigest()


@functools.lru_cache(maxsize=8)
def _encoded_pictures(source: DatasetSource) -> Dataset:
    return source.load(FINE_TUNING_SET).select_columns("image").cast_column("image", Image(decode=False))
