"""A plan in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator

from lmms_manu.costs.demands import Demands, SampleCounts
from lmms_manu.costs.plan import Assumptions, Cards, Plan
from lmms_manu.costs.sizes import ModelSizes

_GB = 1e9


def lines(
    name: str,
    method: str,
    sizes: ModelSizes,
    samples: SampleCounts,
    demands: Demands,
    cards: Cards,
    assumed: Assumptions,
    plan: Plan,
) -> Iterator[str]:
    """The plan of a method for people."""
    dtype = str(sizes.dtype).removeprefix("torch.")
    yield f"{name}: {sizes.parameters / 1e9:.2f} · 10⁹ parameters, {sizes.neurons} neurons, loaded as {dtype}"
    yield f"{method} on {cards}, calculated from the configuration; nothing of it is measured"
    yield ""
    rows = {
        "weights": plan.weights,
        "what is trained, gradients, optimiser": plan.trained,
        f"activations of {demands.at_once_on_each(cards.number)} samples at once": plan.activations,
        "statistics": plan.kept,
        "a process before it loads anything": assumed.overhead,
        "on the fullest card": plan.needed,
        "in the machine's memory, beside loading": plan.host,
    }
    for what, size in rows.items():
        if size:
            yield f"  {what:<40}{size / _GB:>9.2f} GB"
    yield ""
    yield f"  {verdict(cards, plan, demands)}"
    if plan.placing != "nothing fits":
        yield f"  about {_hours(plan.hours)} for the edit; loading and evaluation come on top"
    yield ""
    pictures = f", {sizes.picture_tokens} for a picture" if sizes.vision is not None else ""
    yield (
        f"Assumed: {samples.forget} samples to forget and {samples.retain} to retain of each modality, "
        f"{assumed.question_tokens} tokens each{pictures}; {assumed.tflops:g} TFLOP/s a card, of which passes reach "
        f"{100 * assumed.share:.0f} %; {100 * assumed.usable:.0f} % of a card's memory can be filled."
    )


def verdict(cards: Cards, plan: Plan, demands: Demands) -> str:
    """Whether it fits, and how."""
    if plan.placing == "nothing fits":
        if plan.fewest is not None:
            how = "device_map=balanced" if demands.trained is None else "accelerate launch, in shards"
            return f"does not fit: one model over cards of this kind takes {plan.fewest} of them ({how})"
        return (
            f"does not fit: {plan.needed / _GB:.0f} GB are needed on one card, as what is trained is not shared out. "
            "Take larger cards, tuning=lora, gradient_checkpointing=True or a smaller train_batch_size"
        )
    if plan.placing == "one model over all cards":
        return f"fits as one model over {cards.number} cards (device_map=balanced), which work one after the other"
    if plan.placing == "one model in shards":
        return f"fits in shards over {cards.number} cards (accelerate launch with FSDP or ZeRO), which work together"
    if cards.number == 1:
        return "fits on the card"
    return f"fits on each card: {cards.number} processes (torchrun --nproc-per-node {cards.number}) share the samples"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} hours"
    minutes = 60 * hours
    return f"{minutes:.0f} minutes" if minutes >= 1 else "less than a minute"
