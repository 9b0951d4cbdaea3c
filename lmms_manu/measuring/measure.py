"""Measuring what each neuron does on the forget and the retain set, with pictures and as text.

measure
    for each part (set x modality) that there are examples of
        known already: read from the cache
        else, batch by batch: encode (one batch ahead), run, gather
        put the shards of all processes together, store
    NeuronStatistics

`measure_parts` is the same for whoever runs the model otherwise, with gradients say, or gathers something else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure_part import PartMeasurement
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import Part, Parts, parts_with_examples
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample, digest_of_examples
from lmms_manu.measuring.runner import ActivationRunner, Runner
from lmms_manu.measuring.settings import MeasureSettings, PassSettings
from lmms_manu.measuring.statistics import MOMENTS, Statistic
from lmms_manu.measuring.statistics_cache import StatisticsCache
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.versions import library_versions

# Raised whenever the values that the same input gives would change.
_FORMAT = 3

Determinants = Mapping[Part, Mapping[str, Any]]
"""Everything that the values of each part depend on."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """What parts of the data leave behind.

    Args:
        values: of each part, those of all blocks joined.
        measured: how many of the parts were measured now; the others were known from before.
        seconds: what that took.
    """

    values: Mapping[Part, Tensor]
    measured: int
    seconds: float


def measure(
    checkpoint: Checkpoint,
    blocks: Sequence[MlpBlock],
    parts: Parts,
    settings: MeasureSettings,
    *,
    statistics: tuple[Statistic, ...] = MOMENTS,
    cache: StatisticsCache | None = None,
    progress: bool = True,
) -> NeuronStatistics:
    """Statistics of every neuron in `blocks`, over each part of the data that there are examples of.

    Every process of a torch.distributed group has to call this with the same arguments; each does its share, and all
    return the same statistics.

    Args:
        checkpoint: the model and its processor.
        blocks: the blocks to measure.
        parts: what the model reads.
        settings: which tokens count, the threshold, the batch size, whether to use the cache.
        statistics: what is measured.
        cache: where statistics are kept; the user's own cache if None.
        progress: whether to show a progress bar (in the first process).

    Raises:
        DataError: one set has examples of a modality, and the other has none.
        ModelError: an activation is NaN or infinite, one example alone does not fit into memory, or another process
            failed.
    """
    gathering = PerNeuron(NeuronLayout.of(blocks), statistics, settings.tau)
    determinants = determinants_of_parts(checkpoint, blocks, parts, settings, statistics=gathering.about())

    def runner() -> ActivationRunner:
        return ActivationRunner(checkpoint, PromptEncoder(checkpoint), blocks, gathering, settings.tokens)

    found = measure_parts(runner, parts, determinants, settings, name=checkpoint.name, cache=cache, progress=progress)
    first = next(iter(determinants.values()))
    about = {
        "checkpoint": checkpoint.name,
        "samples": {str(part): len(parts[part]) for part in determinants},
        "settings": settings.as_dict(),
        "determinants": {name: value for name, value in first.items() if name != "data"},
        "data": {str(part): of_part["data"] for part, of_part in determinants.items()},
    }
    names = tuple(statistic.name for statistic in statistics)
    return NeuronStatistics(names, found.values, gathering.layout, about, found.measured, found.seconds)


def measure_parts(
    runner: Callable[[], Runner[Any]],
    parts: Parts,
    determinants: Determinants,
    settings: PassSettings,
    *,
    name: str,
    cache: StatisticsCache | None = None,
    store: bool = True,
    progress: bool = True,
) -> Measured:
    """Measures the parts that `determinants` has, by whatever runner, as `measure` does.

    Args:
        runner: makes the runner; called only if a part has to be measured.
        parts: what the model reads.
        determinants: as `determinants_of_parts` gives them; what the runner does has to be among them.
        settings: the batch size, and whether to use the cache.
        name: of the checkpoint, for people who look into the cache.
        cache: where values are kept; the user's own cache if None.
        store: whether whole parts are kept; what an interrupted measurement had reached is, in any case.
        progress: whether to show a progress bar (in the first process).
    """
    started = time.perf_counter()
    processes = Processes.current()
    kept = (cache or StatisticsCache.default()) if settings.statistics_cache else None
    made: Runner[Any] | None = None
    values: dict[Part, Tensor] = {}
    measured = 0
    for part, of_part in determinants.items():
        # Who waits here for another start that measures the same finds its values.
        with kept.alone(of_part) if kept and store and processes.world == 1 else contextlib.nullcontext():
            known = processes.from_first(kept.load(of_part) if kept and processes.first else None)
            if known is None:
                measured += 1
                made = made or runner()
                examples, unfinished = _in_order(parts[part]), kept.partial(of_part) if kept else None
                measurement = PartMeasurement(made, examples, settings.statistics_batch_size, unfinished)
                known = measurement.run(processes, f"measuring {part}", progress)
                about = {"part": str(part), "checkpoint": name}
                if kept and processes.first and (not store or kept.store(of_part, known, about)):
                    measurement.forget_unfinished()
        values[part] = known
    return Measured(values, measured, time.perf_counter() - started)


def determinants_of_parts(
    checkpoint: Checkpoint, blocks: Sequence[MlpBlock], parts: Parts, settings: PassSettings, **more: Any
) -> dict[Part, dict[str, Any]]:
    """Everything that the values of each part depend on, for the parts that there are examples of.

    Without a cache nobody asks for more than the data.

    Args:
        checkpoint, blocks, parts, settings: as of `measure`.
        more: what else they depend on, as JSON can hold it.

    Raises:
        DataError: one set has examples of a modality, and the other has none.
    """
    there = parts_with_examples(parts)
    shared = {**determinants_of(checkpoint, blocks, settings), **more} if settings.statistics_cache else {}
    return {part: {**shared, "data": digest_of_examples(_in_order(parts[part]))} for part in there}


def determinants_of(checkpoint: Checkpoint, blocks: Sequence[MlpBlock], settings: PassSettings) -> dict[str, Any]:
    """Everything but the data that a forward pass's activations, and which of them count, depend on."""
    model = checkpoint.model
    return {
        "format": _FORMAT,
        "weights": weights_fingerprint(checkpoint),
        "processor": processor_fingerprint(checkpoint),
        "blocks": _digest_of_blocks(blocks),
        "tokens": settings.tokens,
        **({"tau": settings.tau} if isinstance(settings, MeasureSettings) else {}),
        "batch_size": settings.statistics_batch_size,
        "dtype": str(model.dtype),
        "device": checkpoint.device.type,
        "attention": str(getattr(model.config, "_attn_implementation", None)),
        "versions": library_versions(),
    }


def _in_order(examples: Sequence[RenderedExample]) -> list[RenderedExample]:
    """By length, so that batches hold examples of about the same."""
    return sorted(examples, key=lambda example: len(example.text))


def _digest_of_blocks(blocks: Sequence[MlpBlock]) -> str:
    """Changes with the blocks, and with what of them the activations are read from."""
    description = [(block.name, block.down, block.tower, block.layer, block.neurons, block.experts) for block in blocks]
    return hashlib.sha256(json.dumps(description).encode()).hexdigest()
