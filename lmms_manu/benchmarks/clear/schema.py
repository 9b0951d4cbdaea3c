"""The columns of CLEAR as `datasets.Features`."""

from __future__ import annotations

from datasets import Features, Image, List, Value

from lmms_manu.benchmarks.clear.names import CONFIGS, REAL_FACES, REAL_WORLD

_TEXT, _TEXTS = Value("string"), List(Value("string"))

CAPTIONS = Features({"image": Image(), "caption": _TEXT})
NAMED_CAPTIONS = Features({**CAPTIONS, "name": _TEXT})
WITH_TEXT = Features({**CAPTIONS, "question": _TEXT, "answer": _TEXT})
PERTURBED = Features(
    {
        **NAMED_CAPTIONS,
        "perturbed_captions": _TEXTS,
        "paraphrased_caption": _TEXT,
        "perturbed_names": _TEXTS,
    }
)
CHOICES = Features({"image": Image(), "question": _TEXT, "answer": _TEXT, "options": _TEXTS})


def features(config: str) -> Features:
    """The columns of a configuration; a row of `+tofu` has a caption with its picture, or a question without one."""
    if config in (REAL_FACES, REAL_WORLD):
        return CHOICES
    if config.endswith("+tofu"):
        return WITH_TEXT
    if config.endswith("_perturbed"):
        return PERTURBED
    return CAPTIONS if config == "default" else NAMED_CAPTIONS


FEATURES = {config: features(config) for config in CONFIGS}
