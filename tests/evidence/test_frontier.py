"""What a method forgets at a cost: read off the frontier of its strengths, or said not to be reached."""

import numpy as np
import pytest

from lmms_manu.evidence.frontier import beyond, share_at


def test_a_share_lies_on_the_line_between_two_strengths_and_between_vanilla_and_the_mildest():
    assert share_at([1, 4], [5, 20], 2) == pytest.approx(10)
    assert share_at([4], [20], 2) == pytest.approx(10)


def test_a_strength_that_costs_more_and_forgets_less_is_no_part_of_the_frontier():
    assert share_at([1, 2, 4], [30, 10, 20], 3) == 30
    assert share_at([4, 1], [20, 5], 2) == share_at([1, 4], [5, 20], 2), "in whatever order they come"


def test_a_cost_that_no_strength_has_is_not_reached():
    assert np.isnan(share_at([1, 1.5], [5, 20], 2))
    assert np.isnan(share_at([], [], 2))
    assert share_at([-1, 3], [100, 100], 2) == 100, "as for gold, which costs nothing"


def test_every_draw_of_people_has_a_frontier_of_its_own():
    found = share_at([[1, 2], [4, 4]], [[5, 6], [20, 30]], 2)
    assert found.tolist() == pytest.approx([10, 6])
    assert np.isnan(share_at([[1, 2]], [[5, 6]], 1.5)).tolist() == [True, False]


def test_several_costs_are_read_off_at_once():
    assert share_at([1, 4], [5, 20], [0, 1, 2, 4]).tolist() == pytest.approx([0, 5, 10, 20])
    of_draws = share_at([[1, 2], [4, 4]], [[5, 6], [20, 30]], [1, 2, 5])
    assert of_draws.shape == (3, 2)
    assert of_draws[:2].tolist() == [pytest.approx([5, 3]), pytest.approx([10, 6])]
    assert np.isnan(of_draws[2]).all()


@pytest.mark.parametrize("seed", range(5))
def test_every_draw_is_what_numpy_interpolates(seed):
    random = np.random.default_rng(seed)
    costs, shares = random.uniform(-2, 8, (3, 50)), random.uniform(-10, 100, (3, 50))
    costs[random.random(costs.shape) < 0.1] = np.nan
    asked = [0.0, 2.0, 5.0, 9.0]
    found = share_at(costs, shares, asked)
    for draw in range(50):
        known = np.isfinite(costs[:, draw])
        x, y = np.append(costs[known, draw], 0), np.append(shares[known, draw], 0)
        order = np.argsort(x)
        plain = np.interp(asked, x[order], np.maximum.accumulate(y[order]), right=np.nan)
        assert found[:, draw] == pytest.approx(plain, nan_ok=True)


def test_what_a_model_forgot_is_held_against_what_others_forgot_at_its_own_cost():
    assert beyond([4], [20], 2, 15) == pytest.approx(5), "half of what costs twice as much"
    assert beyond([[4, 4], [8, 8]], [[20, 10], [30, 30]], [2, 6], [15, 15]).tolist() == pytest.approx([5, -5])
    assert beyond([4], [20], 5, 90) == pytest.approx(65), "the line goes on where no other one costs so much"
    assert beyond([4, 2], [80, 10], 40, 90) == pytest.approx(-10), "to all of the way and no further"
    assert beyond([0], [3], 1, 5) == pytest.approx(2)
