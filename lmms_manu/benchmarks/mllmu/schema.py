"""The columns of MLLMU-Bench as `datasets.Features`, exactly as the published parquet files have them."""

from __future__ import annotations

from datasets import Features, Image, List, Value

from lmms_manu.benchmarks.mllmu.names import CONFIGS, FINE_TUNING_SET, TEST_SET

_TEXT = Value("string")
_CHOICE_QUESTIONS = List(
    {
        "Question": _TEXT,
        "Options": {"A": _TEXT, "B": _TEXT, "C": _TEXT, "D": _TEXT},
        "Correct_Answer": _TEXT,
    }
)
_OPEN_QUESTIONS = List({"Type": _TEXT, "Question": _TEXT, "Ground_Truth": _TEXT})
_QUESTIONS = {
    "question": _TEXT,
    "answer": _TEXT,
    "Classification_Task": {
        "Image_Textual_Questions": _CHOICE_QUESTIONS,
        "Pure_Text_Questions": _CHOICE_QUESTIONS,
    },
    "Generation_Task": _OPEN_QUESTIONS,
    "Mask_Task": _OPEN_QUESTIONS,
}

PROFILE_FEATURES = Features({"image": Image(), "ID": _TEXT, "Directory": _TEXT, "biography": _TEXT, **_QUESTIONS})
"""A person with one picture: the full set, the forget and retain sets, the celebrities."""

TEST_FEATURES = Features({"images": List(Image()), "ID": _TEXT, "Directory": _TEXT, "biography": _TEXT, **_QUESTIONS})
"""A person of the Test set, in several pictures."""

FINE_TUNING_FEATURES = Features({"image": Image(), "ID": _TEXT, "metadata": _TEXT})
"""The question-answer pairs that the vanilla model was fine-tuned on, as JSON in `metadata`."""


def features(config: str) -> Features:
    """The columns of a configuration."""
    if config == TEST_SET:
        return TEST_FEATURES
    return FINE_TUNING_FEATURES if config == FINE_TUNING_SET else PROFILE_FEATURES


FEATURES = {config: features(config) for config in CONFIGS}
