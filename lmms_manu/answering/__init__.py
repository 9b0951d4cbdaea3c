"""Answering prompts with a loaded model: batches that fit, starts that are computed once, likelihoods.

Its settings are read where no model is, so its names are imported when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.lazy import lazily

if TYPE_CHECKING:
    from lmms_manu.answering.engine import AnsweringEngine
    from lmms_manu.answering.generation import Generation
    from lmms_manu.answering.likelihood import LikelihoodScorer
    from lmms_manu.answering.requests import Answer, ContinuationRequest, Likelihood, PromptRequest
    from lmms_manu.answering.settings import AnsweringSettings

__all__ = [
    "Answer",
    "AnsweringEngine",
    "AnsweringSettings",
    "ContinuationRequest",
    "Generation",
    "Likelihood",
    "LikelihoodScorer",
    "PromptRequest",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Answer": "lmms_manu.answering.requests",
        "AnsweringEngine": "lmms_manu.answering.engine",
        "AnsweringSettings": "lmms_manu.answering.settings",
        "ContinuationRequest": "lmms_manu.answering.requests",
        "Generation": "lmms_manu.answering.generation",
        "Likelihood": "lmms_manu.answering.requests",
        "LikelihoodScorer": "lmms_manu.answering.likelihood",
        "PromptRequest": "lmms_manu.answering.requests",
    },
)
