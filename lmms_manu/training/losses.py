"""Losses of unlearning as pure functions of log-probabilities; each sequence has a loss of its own.

Args that recur:
    log_probs: float `[sequences]`, the log-probability of each sequence's trained tokens, summed.
    lengths: int `[sequences]`, how many tokens these are.
    reference: as `log_probs`, of the reference model.

None of them depends on what else is in a batch, so that a batch's mean is a mean over sequences.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """The mean over a sequence's tokens of minus their log-probability: what fine-tuning minimises. `[sequences]`."""
    return -log_probs / lengths


def ascent(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """The negative of `cross_entropy`: gradient ascent, without a bound (Thudi et al., 2022). `[sequences]`."""
    return log_probs / lengths


def npo(log_probs: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Negative preference optimisation: `-2/β log σ(-β (log π - log π_ref))` (Zhang et al., 2024, eq. 3).

    As β goes to 0, its gradient becomes that of the log-probability itself, which is gradient ascent's.

    Returns:
        float `[sequences]`, at least 0, and `2 log(2) / β` where nothing has changed.
    """
    return -2 / beta * F.logsigmoid(-beta * (log_probs - reference))


def simnpo(log_probs: Tensor, lengths: Tensor, beta: float, margin: float) -> Tensor:
    """NPO by the mean log-probability and without a reference: `-2/β log σ(-β/|y| log π - γ)` (Fan et al., 2024).

    Returns:
        float `[sequences]`.
    """
    return -2 / beta * F.logsigmoid(-beta / lengths * log_probs - margin)


def kl(reference: Tensor, current: Tensor) -> Tensor:
    """How far `current` has moved from `reference`: KL(reference ‖ current) at each token.

    Args:
        reference: float `[tokens, vocabulary]`, log-probabilities.
        current: the same of the model in training.

    Returns:
        float `[tokens]`, at least 0.
    """
    return (reference.exp() * (reference - current)).sum(-1)


def undial(reference: Tensor, current: Tensor, tokens: Tensor, strength: float) -> Tensor:
    """Cross-entropy to the reference with the true token's logit lowered by `strength` (Dong et al., 2024, eq. 4).

    Args:
        reference: float `[tokens, vocabulary]`, logits or log-probabilities.
        current: log-probabilities of the model in training.
        tokens: int `[tokens]`, the true ones.
        strength: how much the true token's logit is lowered.

    Returns:
        float `[tokens]`.
    """
    lowered = reference.scatter_add(-1, tokens.unsqueeze(-1), reference.new_full((len(tokens), 1), -strength))
    return -(lowered.softmax(-1) * current).sum(-1)


def misdirection(hidden: Tensor, target: Tensor) -> Tensor:
    """The mean square distance of hidden states from where they are to be: RMU (Li et al., 2024). `[tokens]`.

    Args:
        hidden: float `[tokens, features]`.
        target: the same, or `[features]`.
    """
    return (hidden - target).square().mean(-1)


def token_log_probs(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability of each true token, `[tokens]`, of those of the whole vocabulary, `[tokens, vocabulary]`."""
    return log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def per_sequence(values: Tensor, lengths: Tensor) -> Tensor:
    """The sums of values `[tokens]`, which stand sequence after sequence, over each sequence: `[sequences]`."""
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    return values.new_zeros(len(lengths)).index_add(0, rows, values)
