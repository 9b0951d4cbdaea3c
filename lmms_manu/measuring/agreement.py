"""Checks that all processes of a run have the same weights, data and settings, for any method or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample, digest_of_examples
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.settings import SOURCES
from lmms_manu.versions import library_versions

_OF_THIS_MACHINE = frozenset({*SOURCES, "device", "offload_folder"})
"""Settings that say where something is, which machines may call by different names: its content is compared."""


def check_agreement(
    checkpoint: Checkpoint,
    parts: Mapping[Any, Sequence[RenderedExample]] | None = None,
    settings: Mapping[str, object] | None = None,
) -> None:
    """Ends a run whose processes would mix results of different models, data, settings or libraries.

    To be called by all processes once the checkpoint is loaded, before anything is measured, trained or answered; a
    single process agrees with itself at no cost.

    Args:
        checkpoint: the loaded model.
        parts: the data that the model is edited with, by set and modality; None where none is read.
        settings: further settings that a result depends on, by name; those of the checkpoint are compared anyway.

    Raises:
        ModelError: the processes differ; in every process, with both values.
    """
    processes = Processes.current()
    if processes.world > 1:
        processes.agree(_determinants(checkpoint, parts or {}, settings or {}))


def _determinants(
    checkpoint: Checkpoint, parts: Mapping[Any, Sequence[RenderedExample]], settings: Mapping[str, object]
) -> dict[str, str]:
    model = checkpoint.model
    chosen = {**checkpoint.settings.as_dict(), **settings}
    return {
        "the weights": weights_fingerprint(checkpoint),
        "the processor": processor_fingerprint(checkpoint),
        "the type of the weights": str(model.dtype),
        "the kind of device": checkpoint.device.type,
        "the attention kernel": str(getattr(model.config, "_attn_implementation", None)),
        **{f"the data {part}": digest_of_examples(examples) for part, examples in parts.items()},
        **{f"the setting {name}": str(value) for name, value in chosen.items() if name not in _OF_THIS_MACHINE},
        **{f"the version of {name}": version for name, version in library_versions().items()},
    }
