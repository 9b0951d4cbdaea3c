"""From logits to the log-probabilities of given tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from lmms_manu.answering.requests import Likelihood
from lmms_manu.errors import ModelError


class NoNumberError(ModelError):
    """A model gives log-probabilities that are no numbers."""


def likelihood(logits: torch.Tensor, wanted: torch.Tensor, label: str, *, spread: bool = False) -> Likelihood:
    """The likelihood of tokens.

    Args:
        logits: `[tokens, vocabulary]`, at the places that predict them.
        wanted: int `[tokens]`, their ids.
        label: names the prompt in an error.
        spread: whether to give the mean and variance at each place.

    Raises:
        NoNumberError: a log-probability is not a number.
    """
    log_probs = logits.float().log_softmax(-1)
    chosen = log_probs.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
    if not bool(torch.isfinite(chosen).all()):
        values = ", ".join(f"{value:g}" for value in chosen.tolist() if not math.isfinite(value))
        raise NoNumberError(
            f"{label}: the model gives log-probabilities that are no numbers ({values}). Its weights are damaged, or "
            "too large for its dtype: load it with dtype=float32, or leave it out of the comparison."
        )
    likeliest = (log_probs.argmax(-1) == wanted).tolist()
    if not spread:
        return Likelihood(tuple(chosen.tolist()), tuple(likeliest))
    probs = log_probs.exp()
    # A token that cannot come has no part in the mean, and 0 * -inf would be no number.
    finite = log_probs.where(probs > 0, log_probs.new_zeros(()))
    means = (probs * finite).sum(-1)
    variances = (probs * finite.square()).sum(-1) - means.square()
    return Likelihood(
        tuple(chosen.tolist()), tuple(likeliest), tuple(means.tolist()), tuple(variances.clamp(min=0).tolist())
    )


def rows_agree(ones: Sequence[Likelihood], others: Sequence[Likelihood], *, single: bool) -> bool:
    """Whether likelihoods of the same tokens differ by rounding only; `single` is for single precision."""
    tolerance = 1e-3 if single else 5e-2
    return all(
        abs(mine - theirs) <= tolerance * max(1.0, abs(mine))
        for one, other in zip(ones, others, strict=True)
        for mine, theirs in zip(one.log_probs, other.log_probs, strict=True)
    )
