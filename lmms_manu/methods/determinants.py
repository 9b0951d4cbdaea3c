"""What the answers of a loaded model depend on, beside what it is asked."""

from __future__ import annotations

from typing import Any

from lmms_manu.errors import ModelError
from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
from lmms_manu.methods.finished import code_fingerprint
from lmms_manu.models.loading import Checkpoint
from lmms_manu.versions import library_versions


def answer_determinants(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Weights with their edits, processor, arithmetic, versions and code; None where the weights cannot be told."""
    try:
        weights = weights_fingerprint(checkpoint)
    except ModelError:
        return None
    model = checkpoint.model
    return {
        "weights": weights,
        "processor": processor_fingerprint(checkpoint),
        "dtype": str(model.dtype),
        "device": checkpoint.device.type,
        "attention": str(getattr(model.config, "_attn_implementation", None)),
        "versions": library_versions(),
        "code": code_fingerprint(),
    }
