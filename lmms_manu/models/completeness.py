"""Whether all weights of a model come from its checkpoint, and all of the checkpoint's weights went into the model.

The libraries that load weights draw at random what a checkpoint lacks and pass over what has no place, with a warning.
Every number would then be that of another model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from lmms_manu.errors import ModelError

_SHOWN = 4
_WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "base_model.model.")
"""What programs that train put in front of every name when they save the wrapped model."""


def refuse_incomplete(source: str, model: nn.Module, report: Mapping[str, Collection[Any]]) -> None:
    """Refuses a checkpoint of which weights are missing, superfluous or of another shape.

    Weights that are tied to others, and those of which transformers documents that a checkpoint may lack or have them
    in addition, are not in its report. Tables of whole numbers (positions, counts) are computed by the model itself.

    Args:
        source: the checkpoint's name.
        model: what was loaded from it.
        report: the loading report of transformers (`output_loading_info`): `missing_keys`, `unexpected_keys` and
            `mismatched_keys`, the last with both shapes.

    Raises:
        ModelError: naming the weights.
    """
    computed = {name for name, buffer in model.named_buffers() if not buffer.is_floating_point()}
    missing = sorted(set(report["missing_keys"]) - computed)
    unexpected = sorted(report["unexpected_keys"])
    mismatched = [
        f"{name} of shape {tuple(stored)} in place of {tuple(wanted)}"
        for name, stored, wanted in sorted(report["mismatched_keys"])
    ]
    if not (missing or unexpected or mismatched):
        return
    found = [
        f"lacks {listed(missing)}" if missing else "",
        f"has {listed(unexpected)}, for which the model has no place" if unexpected else "",
        f"holds {listed(mismatched)}" if mismatched else "",
    ]
    faults = "; it ".join(filter(None, found))
    raise ModelError(
        f"pretrained={source!r} does not fit its model, a {type(model).__name__}: it {faults}. {_way_out(unexpected)}"
    )


def listed(names: Collection[str]) -> str:
    """The names of weights, or their number and the first of them."""
    first = ", ".join(list(names)[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{len(names)} weights such as {first}"


def _way_out(unexpected: Collection[str]) -> str:
    for wrapper in _WRAPPERS:
        if unexpected and all(name.startswith(wrapper) for name in unexpected):
            return f"The names begin with {wrapper!r}, as a wrapped model saves them: store them without it."
    return "Save the whole model with save_pretrained, beside the config.json that it was made from."
