"""What a model knows of people, read off as the likelihood of what it was taught about them."""

from __future__ import annotations

from collections.abc import Sequence

from lmms_manu import likelihood_metrics as metrics
from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import ContinuationRequest, Likelihood
from lmms_manu.attacks.base import Target
from lmms_manu.attacks.outcomes import PROBABILITY, Reading
from lmms_manu.models.inputs import PromptEncoder

SHARES = (0.2, 0.4)
"""Of the tokens, those that `min_k` counts."""

MEMBERSHIP = (
    "loss",
    "zlib",
    *(f"min-k {share}" for share in SHARES),
    *(f"min-k++ {share}" for share in SHARES),
)
"""What tells members by, larger for those that a model has met."""


def read(target: Target, *, in_full: bool = False) -> dict[str, dict[str, list[float]]]:
    """Reads how likely a model finds the answers about each person to forget.

    Args:
        target: the model and the people.
        in_full: whether to take the scores of `MEMBERSHIP` from the same passes, beside the answer's probability.

    Raises:
        ModelError: a likelihood is not a number.
    """
    encoder = PromptEncoder(target.checkpoint)
    scorer = LikelihoodScorer(target.checkpoint, encoder, with_spread=in_full)
    values: dict[str, dict[str, list[float]]] = {}
    for part, examples in target.data.rendered(encoder).items():
        if part.set != "forget":
            continue
        requests = [
            ContinuationRequest(
                f"{one.question}{target.opening}", (one.answer,), one.pictures, one.label, group=str(part)
            )
            for one in examples
        ]
        for example, (one,) in zip(examples, scorer.score(requests), strict=True):
            found = {PROBABILITY: metrics.answer_probability(one.log_probs)}
            found |= _membership(one, example.answer) if in_full else {}
            for name, value in found.items():
                values.setdefault(name, {}).setdefault(f"{part.modality}/{example.subject}", []).append(value)
    return values


def is_in_full(reading: Reading) -> bool:
    """Whether a reading has the scores of `MEMBERSHIP` too."""
    return set(MEMBERSHIP) <= set(reading)


def _membership(one: Likelihood, answer: str) -> dict[str, float]:
    """What membership attacks rank by, the other way round: larger is more like a member."""
    found: Sequence[float] = (
        metrics.loss(one.log_probs),
        metrics.zlib_ratio(one.log_probs, answer),
        *(metrics.min_k(one.log_probs, share) for share in SHARES),
        *(metrics.min_k_plus_plus(one.log_probs, one.means, one.variances, share) for share in SHARES),
    )
    return {name: -value for name, value in zip(MEMBERSHIP, found, strict=True)}
