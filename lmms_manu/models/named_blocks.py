"""Finds the MLP blocks that patterns name in a model."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from lmms_manu.errors import ModelError
from lmms_manu.models.projections import PROJECTION_NAMES, Candidate, dense_candidate, stacked_candidate

if TYPE_CHECKING:
    from torch import nn

    from lmms_manu.models.patterns import Pattern


def candidates_of_patterns(model: nn.Module, patterns: tuple[Pattern, ...]) -> dict[str, list[Candidate]]:
    """The blocks that each pattern names, by tower, in the model's order.

    Raises:
        ModelError: a pattern matches no module, or the projections of a module that it matches do not fit together.
    """
    found: dict[str, list[Candidate]] = {}
    for pattern in patterns:
        holders = [
            (name, module) for name, module in model.named_modules() if fnmatch.fnmatchcase(name, pattern.holder)
        ]
        if not holders:
            raise ModelError(f"mlp_blocks={pattern.text!r}: no module is named {pattern.holder!r}.")
        for name, module in holders:
            candidate = _candidate(module, name, pattern)
            if candidate is None:
                children = ", ".join(f"{key} ({type(child).__name__})" for key, child in module.named_children())
                raise ModelError(
                    f"mlp_blocks={pattern.text!r}: {name} has no such projections of fitting shapes; it holds "
                    f"{children or 'no modules'}."
                )
            found.setdefault(pattern.tower, []).append(candidate)
    return found


def _candidate(module: nn.Module, name: str, pattern: Pattern) -> Candidate | None:
    if pattern.ups:
        return dense_candidate(module, name, pattern.ups, pattern.down)
    candidates = (dense_candidate(module, name, ups, down) for ups, down in PROJECTION_NAMES)
    return stacked_candidate(module, name) or next((found for found in candidates if found is not None), None)
