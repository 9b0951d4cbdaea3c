"""Measuring what each neuron does on the forget and the retain set, in both modalities.

measure
    for each of the four parts (set x modality)
        known already: read from the cache
        else, batch by batch: encode (one batch ahead), forward pass, five sums per neuron
        add up the shards of all processes, store
    Statistics
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from lmms_manu._version import __version__
from lmms_manu.errors import DataError
from lmms_manu.measuring.cache import StatisticsCache
from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.part import PartMeasurement
from lmms_manu.measuring.passages import Passage, digest_of_passages
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.runner import BatchRunner
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.statistics import Statistics
from lmms_manu.measuring.sums import MODALITIES, SETS
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint

Parts = Mapping[tuple[str, str], Sequence[Passage]]
"""The passages of each set (of `SETS`) in each modality (of `MODALITIES`)."""

_LIBRARIES = ("transformers", "tokenizers", "pillow", "torchvision", "timm", "flash-attn", "peft")

# Raised whenever the sums that the same input gives would change.
_FORMAT = 2


def measure(
    checkpoint: Checkpoint,
    blocks: Sequence[MlpBlock],
    parts: Parts,
    settings: MeasureSettings,
    *,
    determinants: Mapping[str, Mapping[str, Any]] | None = None,
    cache: StatisticsCache | None = None,
    progress: bool = True,
) -> Statistics:
    """The five sums of every neuron in `blocks`, over four parts of the data.

    Every process of a torch.distributed group has to call this with the same arguments; each does its share, and all
    return the same statistics.

    Args:
        checkpoint: the model and its processor.
        blocks: the blocks to measure.
        parts: what the model reads.
        settings: which tokens count, the threshold, the batch size, whether to use the cache.
        determinants: what `determinants_of_parts` gives for the same arguments, where that is known already.
        cache: where statistics are kept; the user's own cache if None.
        progress: whether to show a progress bar (in the first process).

    Raises:
        DataError: a part has no passage.
        ModelError: an activation is NaN or infinite, one passage alone does not fit into memory, or another process
            failed.
    """
    started = time.perf_counter()
    determinants = determinants or determinants_of_parts(checkpoint, blocks, parts, settings)
    processes = Processes.current()
    layout = NeuronLayout.of(blocks)
    kept = (cache or StatisticsCache.default()) if settings.statistics_cache else None
    runner: BatchRunner | None = None
    measured = 0
    sums: list[Tensor] = []
    for group in SETS:
        for modality in MODALITIES:
            own = determinants[f"{group} {modality}"]
            known = processes.from_first(kept.load(own) if kept and processes.first else None)
            if known is None:
                measured += 1
                runner = runner or BatchRunner(checkpoint, PromptEncoder(checkpoint), blocks, settings)
                measurement = PartMeasurement(
                    runner,
                    layout,
                    _in_order(parts[group, modality]),
                    settings.statistics_batch_size,
                    kept.partial(own) if kept else None,
                )
                known = measurement.run(processes, f"measuring {group} set, {modality}", progress)
                about_part = {"part": f"{group} {modality}", "checkpoint": checkpoint.name}
                if kept and processes.first and kept.store(own, known, about_part):
                    measurement.forget_unfinished()
            sums.append(known)
    about = {
        "checkpoint": checkpoint.name,
        "samples": {f"{group} {modality}": len(parts[group, modality]) for group, modality in parts},
        "settings": settings.as_dict(),
        "determinants": {name: value for name, value in next(iter(determinants.values())).items() if name != "data"},
        "data": {name: of_part["data"] for name, of_part in determinants.items()},
    }
    stacked = torch.stack(sums).view(len(SETS), len(MODALITIES), *sums[0].shape)
    return Statistics(stacked, layout, about, measured, time.perf_counter() - started)


def determinants_of_parts(
    checkpoint: Checkpoint, blocks: Sequence[MlpBlock], parts: Parts, settings: MeasureSettings
) -> dict[str, dict[str, Any]]:
    """Everything that the statistics of each part depend on, by names such as `forget text`.

    Without a cache nobody asks for more than the data.

    Raises:
        DataError: a part has no passage.
    """
    for part in ((group, modality) for group in SETS for modality in MODALITIES):
        if not parts.get(part):
            raise DataError(f"There is no {part[1]} sample of the {part[0]} set to measure neurons on.")
    shared = determinants_of(checkpoint, blocks, settings) if settings.statistics_cache else {}
    return {
        f"{group} {modality}": {**shared, "data": digest_of_passages(_in_order(parts[group, modality]))}
        for group in SETS
        for modality in MODALITIES
    }


def determinants_of(checkpoint: Checkpoint, blocks: Sequence[MlpBlock], settings: MeasureSettings) -> dict[str, Any]:
    """Everything but the data that statistics depend on."""
    model = checkpoint.model
    return {
        "format": _FORMAT,
        "weights": weights_fingerprint(checkpoint),
        "processor": processor_fingerprint(checkpoint),
        "blocks": _digest_of_blocks(blocks),
        "tokens": settings.tokens,
        "tau": settings.tau,
        "batch_size": settings.statistics_batch_size,
        "dtype": str(model.dtype),
        "device": checkpoint.device.type,
        "attention": str(getattr(model.config, "_attn_implementation", None)),
        "versions": library_versions(),
    }


@functools.cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that read a checkpoint, make inputs of texts and pictures, and compute."""
    versions = {"lmms-manu": __version__, "torch": torch.__version__}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _in_order(passages: Sequence[Passage]) -> list[Passage]:
    """By length, so that batches hold passages of about the same."""
    return sorted(passages, key=lambda passage: len(passage.text))


def _digest_of_blocks(blocks: Sequence[MlpBlock]) -> str:
    """Changes with the blocks, and with what of them the activations are read from."""
    told = [(block.name, block.down, block.tower, block.layer, block.neurons, block.experts) for block in blocks]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
