"""The figures of a card as a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NOT_YET = (
    "Not measured yet: nothing here has run on a card. `make test-gpu` on a machine with one takes the figures, "
    "and `python scripts/fill_docs.py` puts them here."
)

_ROWS: Sequence[tuple[str, str, Sequence[str], str]] = (
    ("parameters, 10⁹; weights, GiB", "size", ("parameters_b", "weights_gib"), "{:.2f}; {:.1f}"),
    ("made on the card, s", "making", ("making_s",), "{:.1f}"),
    ("written; loaded from disk, s", "loading", ("writing_s", "loading_s"), "{:.1f}; {:.1f}"),
    ("measuring to bare forward passes: with pictures; text", "measuring", ("multimodal_ratio", "text_ratio"),
     "{:.2f}; {:.2f}"),
    ("share of the card that bare passes reach: with pictures; text", "measuring",
     ("multimodal_share_of_card", "text_share_of_card"), "{:.0%}; {:.0%}"),
    ("measured whole, samples/s", "measuring", ("samples_per_s",), "{:.1f}"),
    ("scoring; zeroing 2 %; reading back, s", "pruning", ("scoring_s", "zeroing_s", "reading_back_s"),
     "{:.2f}; {:.2f}; {:.2f}"),
    ("classification with five exemplar pictures, prompts/s: shared; batch 1; simple loop", "answering",
     ("shared_per_s", "batch_1_per_s", "loop_per_s"), "{:.1f}; {:.1f}; {:.1f}"),
    ("answers of 50 tokens, tokens/s: batched; simple loop", "generating", ("tokens_per_s", "loop_tokens_per_s"),
     "{:.0f}; {:.0f}"),
    ("LoRA, 4 pictured samples, steps/s: NPO; KL", "training", ("npo_steps_per_s", "kl_steps_per_s"),
     "{:.2f}; {:.2f}"),
    ("paths, 4 points, samples/s: language; vision", "paths", ("language_samples_per_s", "vision_samples_per_s"),
     "{:.2f}; {:.2f}"),
    ("second moments of a block over 8 samples; closed form of a block, s", "erasing",
     ("moments_s_per_batch", "solving_s_per_block"), "{:.2f}; {:.2f}"),
)  # fmt: skip
"""What a row says, the section it is from, its figures, and their form."""

_PEAKS = ("measuring", "answering", "generating", "training", "erasing", "paths", "loading")


def table(file: Path) -> str:
    """The table of the figures in a file; what there is to say where there is none."""
    if not file.is_file():
        return NOT_YET
    figures = json.loads(file.read_text(encoding="utf-8"))
    versions = figures["versions"]
    models = figures["models"]
    rows = [
        f"Measured on {figures['date']}, {figures['card']} ({figures['product_tflops']:g} TFLOP/s in a product of two "
        f"large bfloat16 matrices), torch {versions['torch']}, transformers {versions['transformers']}; random weights "
        "in bfloat16.",
        "",
        f"| | {' | '.join(models)} |",
        f"|---|{'---|' * len(models)}",
    ]
    for what, section, names, form in _ROWS:
        cells = [_cell(sections.get(section, {}), names, form) for sections in models.values()]
        rows.append(f"| {what} | {' | '.join(cells)} |")
    for section in _PEAKS:
        cells = [_cell(sections.get(section, {}), ("peak_gib",), "{:.1f}") for sections in models.values()]
        rows.append(f"| peak memory of {section}, GiB | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(figures: Mapping[str, Any], names: Sequence[str], form: str) -> str:
    if "failed" in figures:
        return "failed"
    if any(name not in figures for name in names):
        return "not measured"
    return form.format(*(figures[name] for name in names))
