"""What a method forgets at a cost: read off the frontier of its strengths, or said not to be reached."""

import numpy as np
import pytest

from lmms_manu.evidence.frontier import share_at


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
