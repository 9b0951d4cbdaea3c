import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.statistics import layout_of, moments_of

from lmms_manu.methods.manu.distributions import distributions

NONE = torch.zeros(2, dtype=torch.bool)

# Zero, or in the middle of a bin.
MEANS = st.one_of(st.just(0.0), st.integers(-90, 40).map(lambda place: 10 ** ((place + 0.5) / 10)))


def values_of(means, observations=4):
    """Statistics of which the forget set with the picture has these `means`, and the other parts were not measured."""
    values = torch.zeros(4, 5, len(means), dtype=torch.float64)
    values[0, 0] = observations
    values[0, 1] = observations * torch.tensor(means, dtype=torch.float64)
    return values


@given(st.lists(st.tuples(MEANS, st.booleans()), min_size=1, max_size=30))
def test_every_neuron_of_the_highest_six_decades_lies_in_its_bin(neurons):
    means, marked = [mean for mean, _ in neurons], torch.tensor([mark for _, mark in neurons])
    found = distributions(moments_of(values_of(means)), marked)
    if not any(means):
        assert found == {}
        return
    told = found["language"]
    shown = [(mean, mark) for mean, mark in neurons if mean > max(means) / 1e6 * 1.01]
    bins = list(itertools.pairwise(told.edges))
    assert len(bins) <= 60
    assert told.edges[0] < min(shown)[0] < told.edges[1]
    assert told.neurons["forget/multimodal"] == tuple(sum(low < mean < high for mean, _ in shown) for low, high in bins)
    assert told.pruned["forget/multimodal"] == tuple(
        sum(mark and low < mean < high for mean, mark in shown) for low, high in bins
    )


def test_bins_of_different_models_lie_on_one_grid():
    one, other = (
        distributions(moments_of(values_of(means)), NONE)["language"].edges for means in ([0.013, 0.9], [0.05, 3.0])
    )
    assert one == pytest.approx([10 ** (place / 10) for place in range(-19, 1)], rel=1e-5)
    assert set(other[:14]) <= set(one)


def test_what_was_not_measured_is_absent():
    marked = torch.tensor([True, False, True, False])
    found = distributions(moments_of(values_of([0.5, 0.5, 0.0, 0.0]), layout_of(2, 2)), marked)
    assert set(found) == {"language"}
    assert dict(found["language"].neurons) == {"forget/multimodal": (2,)}
    assert dict(found["language"].pruned) == {"forget/multimodal": (1,)}


def test_a_part_that_was_measured_and_silent_has_zeros():
    values = values_of([0.5, 0.05])
    values[3, 0] = 7
    told = distributions(moments_of(values), NONE)["language"]
    assert set(told.neurons) == {"forget/multimodal", "retain/text"}
    assert sum(told.neurons["retain/text"]) == 0
