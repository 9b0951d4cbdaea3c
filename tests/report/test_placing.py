"""Names in a plot: none meets another, or a point."""

from __future__ import annotations

import itertools
import random

import pytest

from lmms_manu.report.page.placing import LINE, Box, leader_end, place_names, text_width


@pytest.mark.parametrize("width", [1060.0, 620.0, 290.0])
@pytest.mark.parametrize("seed", range(5))
def test_names_of_a_crowd_meet_neither_each_other_nor_points(width: float, seed: int) -> None:
    draw = random.Random(seed)
    height = 520.0
    names = [f"method {number} %" for number in range(18)]
    # As runs lie that forget little and cost little: most in one corner.
    points = [(draw.expovariate(6) * width % width, height - draw.expovariate(8) * height % height) for _ in names]
    placed = place_names(names, points, [], width, height)
    boxes = []
    for name, (x, y), place in zip(names, points, placed, strict=True):
        half = text_width(name) / 2
        across, down = x + place.right, y + place.down
        boxes.append(Box(across - half, down - LINE / 2, across + half, down + LINE / 2))
    assert all(box.within(width, height) for box in boxes)
    assert not any(one.meets(other) for one, other in itertools.combinations(boxes, 2))
    assert not any(box.left < x < box.right and box.top < y < box.bottom for box in boxes for x, y in points)


def test_a_name_alone_stands_right_beside_its_point() -> None:
    (place,) = place_names(["npo"], [(100.0, 100.0)], [], 300.0, 300.0)
    assert place.right == 12 + text_width("npo") / 2
    assert (place.down, place.has_leader) == (0, False)


def test_a_line_leads_to_a_name_that_is_far_away() -> None:
    crowd = Box(0.0, 60.0, 300.0, 140.0)
    (place,) = place_names(["npo"], [(100.0, 100.0)], [], 300.0, 300.0, [crowd])
    assert place.has_leader
    assert abs(leader_end(place, "npo")[1]) >= 40
