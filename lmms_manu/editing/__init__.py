"""What an edit changes in a model: masks of neurons, tensors, adapters, system prompts; applied, kept, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.lazy import lazily

if TYPE_CHECKING:
    from lmms_manu.editing.changes import (
        Change,
        ChangedTensors,
        PrunedNeurons,
        SystemPrompt,
        TrainedAdapter,
        read_change,
    )
    from lmms_manu.editing.mask import NeuronMask

__all__ = [
    "Change",
    "ChangedTensors",
    "NeuronMask",
    "PrunedNeurons",
    "SystemPrompt",
    "TrainedAdapter",
    "read_change",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Change": "lmms_manu.editing.changes",
        "ChangedTensors": "lmms_manu.editing.changes",
        "NeuronMask": "lmms_manu.editing.mask",
        "PrunedNeurons": "lmms_manu.editing.changes",
        "SystemPrompt": "lmms_manu.editing.changes",
        "TrainedAdapter": "lmms_manu.editing.changes",
        "read_change": "lmms_manu.editing.changes",
    },
)
