import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.methods.manu.topk import neurons_to_prune, select

ALL_IN_ONE = st.integers(1, 60).flatmap(
    lambda neurons: st.lists(st.integers(0, 5).map(float), min_size=neurons, max_size=neurons)
)


def pruned(scores, rate):
    return select(torch.tensor(scores), neurons_to_prune(len(scores), rate))


@pytest.mark.parametrize(
    ("neurons", "rate", "expected"),
    [(100, 0, 0), (100, 100, 100), (100, 2.0, 2), (99, 2, 1), (100, 0.29, 0), (10000, 0.29, 29), (1000, 56.6, 566)],
)
def test_the_number_of_neurons_is_the_exact_floor(neurons, rate, expected):
    assert neurons_to_prune(neurons, rate) == expected


@given(scores=ALL_IN_ONE, rate=st.floats(0, 100))
def test_exactly_the_highest_scores_are_marked(scores, rate):
    marked = pruned(scores, rate)
    assert int(marked.sum()) == neurons_to_prune(len(scores), rate)
    if 0 < marked.sum() < len(scores):
        values = torch.tensor(scores)
        assert values[marked].min() >= values[~marked].max()


@given(scores=ALL_IN_ONE, rate=st.floats(0, 100))
def test_ties_go_to_the_lower_index(scores, rate):
    marked = pruned(scores, rate).tolist()
    for value in set(scores):
        tied = [mark for mark, score in zip(marked, scores, strict=True) if score == value]
        assert tied == sorted(tied, reverse=True)


def test_prune_rate_0_marks_nothing_and_100_everything():
    assert not pruned([1.0, 2.0], 0).any()
    assert pruned([1.0, 2.0], 100).all()


def test_neurons_that_are_chosen_already_stay_and_count():
    scores = torch.tensor([1.0, 5.0, 4.0, 3.0])
    chosen = torch.tensor([True, False, False, False])
    assert select(scores, 2, chosen).tolist() == [True, True, False, False]
