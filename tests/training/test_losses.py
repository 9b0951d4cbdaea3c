"""The losses against values by hand, and by what must hold of each."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.training import losses

NUMBERS = st.floats(-60, 0, allow_nan=False)
SOME = st.lists(NUMBERS, min_size=1, max_size=6)


def table(seed, tokens=5, vocabulary=7):
    return torch.randn(tokens, vocabulary, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def test_the_losses_of_a_sequence_are_those_computed_by_hand():
    log_probs, lengths, reference = torch.tensor([-6.0]), torch.tensor([3]), torch.tensor([-4.0])
    assert losses.cross_entropy(log_probs, lengths).item() == 2
    assert losses.ascent(log_probs, lengths).item() == -2
    # -2/0.5 log(1 / (1 + exp(0.5 * (-6 + 4))))
    assert losses.npo(log_probs, reference, 0.5).item() == pytest.approx(4 * math.log(1 + math.exp(-1)))
    # -2/2 log(1 / (1 + exp(-(2/3 * 6 - 1))))
    assert losses.simnpo(log_probs, lengths, 2.0, 1.0).item() == pytest.approx(math.log(1 + math.exp(-3)))


def test_kl_and_undial_are_those_computed_by_hand():
    reference, current = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert losses.kl(reference, current).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    # The true token's odds are divided by 3: (1/6 : 1/2) = (1/4 : 3/4).
    lowered = losses.undial(reference, current, torch.tensor([0]), math.log(3))
    assert lowered.item() == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert losses.misdirection(torch.tensor([[1.0, 3.0]]), torch.tensor([1.0, 1.0])).item() == 2


@given(st.integers(0, 2**31))
def test_kl_is_zero_without_a_difference_and_positive_with_one(seed):
    one, other = table(seed), table(seed + 1)
    assert losses.kl(one, one).abs().max() < 1e-6
    assert losses.kl(one, other).min() > 0


@given(SOME, SOME, st.floats(0.05, 5))
def test_npo_starts_at_its_middle_and_falls_as_answers_become_less_likely(log_probs, others, beta):
    own = torch.tensor(log_probs, dtype=torch.float64)
    assert torch.allclose(losses.npo(own, own, beta), torch.full_like(own, 2 * math.log(2) / beta))
    moved = losses.npo(own - 1, own, beta)
    assert (moved < 2 * math.log(2) / beta).all()
    assert (moved >= 0).all()


@given(SOME)
def test_npo_becomes_gradient_ascent_as_beta_goes_to_zero(log_probs):
    own = torch.tensor(log_probs, dtype=torch.float64, requires_grad=True)
    reference = own.detach() + 1
    (gradient,) = torch.autograd.grad(losses.npo(own, reference, 1e-6).sum(), own)
    lengths = torch.ones(len(own))
    (ascending,) = torch.autograd.grad(losses.ascent(own, lengths).sum(), own)
    assert torch.allclose(gradient, ascending, atol=1e-5)


@given(SOME, SOME)
def test_what_else_is_in_a_batch_does_not_change_the_loss_of_a_sequence(log_probs, others):
    own, more = torch.tensor(log_probs), torch.tensor([*log_probs, *others])
    for loss in (
        lambda values: losses.cross_entropy(values, torch.full_like(values, 3)),
        lambda values: losses.npo(values, values + 0.5, 0.9),
        lambda values: losses.simnpo(values, torch.full_like(values, 3), 4.5, 0.0),
    ):
        assert torch.equal(loss(more)[: len(own)], loss(own))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_values_are_added_up_over_their_own_sequence(lengths):
    values = torch.cat([torch.full((length,), float(number)) for number, length in enumerate(lengths)])
    sums = losses.per_sequence(values, torch.tensor(lengths))
    assert sums.tolist() == [number * length for number, length in enumerate(lengths)]
