"""What each method takes at the shapes of released models, calculated: the table of docs/large-models.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from shapes import SHAPES
from transformers import AutoModelForImageTextToText

from lmms_manu.costs.demands import SampleCounts
from lmms_manu.costs.plan import Cards, Plan, plan_of
from lmms_manu.costs.sizes import ModelSizes, sizes_of
from lmms_manu.methods.registry import METHODS, method_class
from lmms_manu.settings import from_arguments

MODELS = ("LLaVA-1.5-7B", "LLaVA-1.5-13B", "LLaVA-NeXT-34B", "Qwen2.5-VL-72B")
CARDS = Cards(4, 80)
SAMPLES = SampleCounts(250, 4750)
_MORE: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("npo", {"gradient_checkpointing": True, "train_batch_size": 1}),
    ("npo", {"tuning": "full", "gradient_checkpointing": True, "train_batch_size": 1}),
)
"""Other settings that change what is needed, shown of one method for all that train."""


def rows() -> Iterator[str]:
    """The table's lines."""
    every = {name: _sizes(name) for name in MODELS}
    yield f"| on {CARDS} | {' | '.join(MODELS)} |"
    yield f"|---|{'---|' * len(MODELS)}"
    for name, settings in [*((name, {}) for name in METHODS), *_MORE]:
        method = method_class(name)
        made = method(from_arguments(settings, method.config_class)[0])
        plans = [plan_of(sizes, made.demands(sizes, SAMPLES), CARDS) for sizes in every.values()]
        words = ", ".join([f"`{name}`", *(f"`{setting}={value}`" for setting, value in settings.items())])
        yield f"| {words} | {' | '.join(map(_cell, plans))} |"


def _sizes(name: str) -> ModelSizes:
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(SHAPES[name].config())
    return sizes_of(model, torch.bfloat16)


def _cell(plan: Plan) -> str:
    gigabytes = f"{plan.needed / 1e9:.0f} GB"
    if plan.placing == "nothing fits":
        return f"no: {gigabytes}" + (f", or {plan.fewest} cards" if plan.fewest else "")
    time = f"{plan.hours:.1f} h" if plan.hours >= 0.1 else f"{60 * plan.hours:.0f} min" if plan.hours else "at once"
    time = "under 1 min" if time == "0 min" else time
    how = {"one model over all cards": " (spread)", "one model in shards": " (shards)"}
    return f"{gigabytes}, {time}{how.get(plan.placing, '')}"
