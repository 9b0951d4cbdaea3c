"""Shares forgotten and validity, against plain arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.evidence import (
    MINIMUM_PEOPLE,
    PeopleBootstrap,
    can_drop,
    damage,
    distance,
    interval,
    knows_more,
    share_forgotten,
)

SCORES = st.floats(0, 100)


def test_vanilla_forgot_nothing_gold_all_and_less_than_gold_is_damage() -> None:
    assert share_forgotten(90.0, 90.0, 30.0) == 0
    assert share_forgotten(60.0, 90.0, 30.0) == 50
    assert share_forgotten(30.0, 90.0, 30.0) == 100
    assert (share_forgotten(0.0, 90.0, 30.0), damage(0.0, 90.0, 30.0)) == (100, 50)
    assert share_forgotten(96.0, 90.0, 30.0) == pytest.approx(-10)
    assert distance(20.0, 30.0) == distance(40.0, 30.0) == 10


@given(score=SCORES, vanilla=SCORES, gold=SCORES)
def test_no_score_makes_more_of_the_way_than_all_of_it(score: float, vanilla: float, gold: float) -> None:
    share, harm = share_forgotten(score, vanilla, gold), damage(score, vanilla, gold)
    if vanilla <= gold:
        assert math.isnan(share)
        assert math.isnan(harm)
        return
    assert share <= 100
    assert harm >= 0
    assert harm == 0 or share == 100
    assert share + harm == pytest.approx(100 * (vanilla - score) / (vanilla - gold), rel=1e-6, abs=1e-6)


def draws_of(right: list[int], people: int) -> tuple[float, np.ndarray]:
    names = [f"person {number}" for number in range(people)]
    asked = [name for name in names for _ in range(4)]
    points = [100.0 * (question < right[number]) for number in range(people) for question in range(4)]
    return float(np.mean(points)), PeopleBootstrap(names).ratio(asked, points, [1.0] * len(points))


def test_a_metric_tells_where_vanilla_knows_more_with_its_whole_interval() -> None:
    known, known_draws = draws_of([4, 4, 3, 4, 3, 4, 4, 3], 8)
    guessed, guessed_draws = draws_of([1, 0, 1, 2, 1, 0, 1, 1], 8)
    verdict = knows_more(known, guessed, known_draws, guessed_draws, 8, "gold")
    assert verdict.tells
    assert verdict.interval is not None
    assert verdict.interval[0] <= known - guessed <= verdict.interval[1]
    reversed_ = knows_more(guessed, known, guessed_draws, known_draws, 8, "gold")
    assert (reversed_.tells, reversed_.is_reversed) == (False, True)
    same = knows_more(known, known, known_draws, known_draws, 8, "gold")
    assert (same.tells, same.is_reversed, same.reason) == (False, False, "vanilla knows no more than gold")


def test_too_few_people_give_no_verdict_and_no_number() -> None:
    people = MINIMUM_PEOPLE - 1
    known, known_draws = draws_of([4] * people, people)
    verdict = knows_more(known, 0.0, known_draws, 0 * known_draws, people, "gold")
    assert not verdict.tells
    assert "too few for an interval" in verdict.reason
    # Four are the fewest of whom one alone is not in the tail of the draws: 4 / 4 ** 4 is less than 2.5 %.
    assert people / people**people > 0.025 > MINIMUM_PEOPLE / MINIMUM_PEOPLE**MINIMUM_PEOPLE


def test_in_the_long_run_a_metric_that_cannot_tell_is_called_so() -> None:
    draw = np.random.default_rng(0)
    told = 0
    for _ in range(200):
        vanilla, gold = (draws_of(list(draw.binomial(4, 0.4, size=20)), 20) for _ in range(2))
        told += knows_more(vanilla[0], gold[0], vanilla[1], gold[1], 20, "gold").tells
    # One side of a 95 % interval: 2.5 % of 200, and what a percentile interval of 20 people adds.
    assert told <= 14


def test_a_loss_shows_only_above_guessing() -> None:
    value, draws = draws_of([1] * 8, 8)
    assert not can_drop(value, draws, 25.0).tells
    value, draws = draws_of([4] * 8, 8)
    assert can_drop(value, draws, 25.0).tells


def test_an_interval_bears_as_many_undefined_draws_as_it_is_told() -> None:
    draws = np.arange(1000.0)
    draws[:30] = np.nan
    assert interval(draws) is None
    assert interval(draws, undefined=0.05) is not None
