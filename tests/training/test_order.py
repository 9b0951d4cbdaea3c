"""The order of a training is fixed before it begins."""

from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.training.order import Item, order, without

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=40)


def items(lengths):
    return [Item(f"sample {number}", length) for number, length in enumerate(lengths)]


@given(LENGTHS, LENGTHS, st.integers(1, 6), st.integers(1, 3), st.integers(0, 5))
def test_each_epoch_shows_each_sample_once_beside_as_many_to_retain(text, pictured, size, epochs, seed):
    learn = {"text": items(text), "multimodal": items(pictured)}
    retain = {"text": items(pictured), "multimodal": items(text)}
    turns = order(learn, retain, batch_size=size, epochs=epochs, seed=seed)
    assert turns == order(learn, retain, batch_size=size, epochs=epochs, seed=seed)
    for modality, own in learn.items():
        seen = [place for turn in turns if turn.modality == modality for place in turn.learn]
        assert sorted(seen) == sorted([*range(len(own))] * epochs)
    assert all(len(turn.learn) == len(turn.retain) <= size for turn in turns)


@given(LENGTHS, st.integers(0, 5))
def test_the_samples_to_retain_are_gone_through_before_one_comes_again(lengths, seed):
    learn, retain = {"text": items([1] * 100)}, {"text": items(lengths)}
    turns = order(learn, retain, batch_size=4, epochs=1, seed=seed)
    seen = [place for turn in turns for place in turn.retain]
    assert sorted(seen[: len(lengths)]) == [*range(len(lengths))]


def test_batches_hold_samples_of_about_the_same_length():
    lengths = [number % 37 for number in range(320)]
    turns = order({"text": items(lengths)}, {}, batch_size=4, epochs=1, seed=0)
    spread = [max(own) - min(own) for own in ([lengths[place] for place in turn.learn] for turn in turns)]
    assert sum(spread) / len(spread) < 8


def test_without_some_people_the_others_come_in_the_same_batches():
    everyone = {"text": items([number % 7 for number in range(60)])}
    turns = order(everyone, {}, batch_size=4, epochs=2, seed=3)
    gone = frozenset(item.name for item in everyone["text"][::6])
    fewer = without(turns, everyone, gone)
    assert len(fewer) == len(turns)
    for turn, rest in zip(turns, fewer, strict=True):
        assert rest.learn == tuple(place for place in turn.learn if place % 6)


def test_a_fraction_of_an_epoch_is_that_fraction_of_its_batches():
    learn = {"text": items([1] * 20)}
    halves = [order(learn, {}, batch_size=2, epochs=epochs, seed=0) for epochs in (0.5, 1.0, 1.5)]
    assert [len(turns) for turns in halves] == [5, 10, 15]
    assert halves[2][:10] == halves[1]
    assert halves[1][:5] == halves[0]
