"""Intervals by drawing people."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.evidence.bootstrap import PeopleBootstrap, interval

PEOPLE = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=12, unique=True)


def test_the_interval_agrees_with_scipy() -> None:
    generator = np.random.default_rng(1)
    people = [f"p{number}" for number in range(60)]
    counts = generator.integers(1, 6, 60)
    scores = generator.random(60) * counts
    draws = PeopleBootstrap(people, 20_000).ratio(people, scores.tolist(), counts.tolist())
    expected = scipy.stats.bootstrap(
        (scores, counts),
        lambda top, bottom, axis: top.sum(axis) / bottom.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=generator,
    ).confidence_interval
    assert interval(draws) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_questions_of_one_person_are_drawn_together() -> None:
    people = ["a", "b"]
    draws = PeopleBootstrap(people, 2000).ratio([*"aaaa", *"bbbb"], [1.0] * 4 + [0.0] * 4, [1.0] * 8)
    assert set(np.round(draws, 6)) == {0.0, 0.5, 1.0}


@given(PEOPLE, st.randoms(use_true_random=False))
def test_draws_do_not_depend_on_the_order_of_people_or_questions(people: list[str], random: object) -> None:
    scores = {person: len(person) + index for index, person in enumerate(people)}
    shuffled = list(people)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (
        PeopleBootstrap(order, 50).ratio(order, [float(scores[person]) for person in order], [1.0] * len(order))
        for order in (people, shuffled)
    )
    np.testing.assert_allclose(one, other, rtol=1e-12)


@given(PEOPLE, st.floats(-5, 5))
def test_a_constant_difference_has_an_interval_of_no_width(people: list[str], difference: float) -> None:
    bootstrap = PeopleBootstrap(people, 50)
    scores = [float(index) for index in range(len(people))]
    ones = [1.0] * len(people)
    shifted = bootstrap.ratio(people, [score + difference for score in scores], ones)
    found = interval(shifted - bootstrap.ratio(people, scores, ones))
    assert found == pytest.approx((difference, difference), abs=1e-9)


def test_seeds_and_people_change_the_draws() -> None:
    people = list("abcdefgh")
    numbers = [float(number) for number in range(8)]
    base = PeopleBootstrap(people, 100).ratio(people, numbers, [1.0] * 8)
    assert not np.array_equal(base, PeopleBootstrap(people, 100, seed=1).ratio(people, numbers, [1.0] * 8))
    assert np.array_equal(base, PeopleBootstrap(people, 100, seed=0).ratio(people, numbers, [1.0] * 8))


def test_draws_without_any_of_the_asked_are_left_out_if_they_are_rare() -> None:
    rare = PeopleBootstrap(list("abcdefgh"), 4000).ratio(list("abcdef"), [1.0] * 6, [1.0] * 6)
    assert interval(rare) == (1.0, 1.0)
    common = PeopleBootstrap(list("ab"), 4000).ratio(["a"], [1.0], [1.0])
    assert np.isnan(common).any()
    assert interval(common) is None
    assert interval(None) is None
