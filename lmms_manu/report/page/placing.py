"""Where names go in a plot, so that they meet neither each other nor points: plain geometry, in pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

LINE = 15.0
"""The height of a line of text."""
_LETTER = 7.0
_POINT = 7.0
_AWAY = 10.0
_RINGS = (12.0, 20.0, 30.0, 42.0, 56.0, 72.0, 90.0, 110.0, 135.0, 165.0, 200.0, 240.0, 290.0, 350.0, 420.0)
_ANGLES = 24
_LONG_LEADER = 18.0
_CROSSED, _HIDDEN = 12.0, 60.0

Point = tuple[float, float]
Segment = tuple[Point, Point]


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle; `top` is less than `bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, width: float, height: float) -> bool:
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


@dataclasses.dataclass(frozen=True)
class Place:
    """The middle of a name, from its point; `has_leader` if it is so far away that a line should lead to it."""

    right: float
    down: float
    has_leader: bool


def text_width(text: str) -> float:
    """An upper estimate of how wide a name is at 12 pixels."""
    return len(text) * _LETTER + 4


def place_names(
    names: Sequence[str],
    points: Sequence[Point],
    lines: Sequence[Segment],
    width: float,
    height: float,
    others: Sequence[Box] = (),
) -> list[Place]:
    """A place for each name, as near to its point as there is room.

    Args:
        names: the names.
        points: of the names, from the upper left corner.
        lines: horizontal and vertical ones, which are crossed only where there is no better place.
        width: of the plot.
        height: of it.
        others: what else stands there.
    """
    taken = [*others, *(Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points)]
    strips = [_strip(line) for line in lines]
    found: dict[int, Place] = {}
    # Those with the most neighbours have the least choice.
    for number in sorted(range(len(names)), key=lambda one: -_neighbours(points, one)):
        best: tuple[float, Place, list[Box]] | None = None
        for ring, place, box in _candidates(names[number], points[number]):
            if best is not None and best[0] <= ring:
                break
            leader = list(_leader(points[number], box)) if place.has_leader else []
            foreign = [other for other in taken if not _holds(other, points[number])]
            if not box.within(width, height) or any(box.meets(other) for other in taken):
                continue
            hidden = sum(any(step.meets(other) for step in leader) for other in foreign)
            cost = ring + _CROSSED * sum(box.meets(strip) for strip in strips) + _HIDDEN * hidden
            if best is None or cost < best[0]:
                best = (cost, place, [box, *leader])
        if best is None:
            best = (0.0, Place(text_width(names[number]) / 2 + _AWAY, 0.0, False), [])
        found[number] = best[1]
        taken += best[2][:1]
        strips += best[2][1:]
    return [found[number] for number in range(len(names))]


def _candidates(name: str, point: Point) -> Iterator[tuple[float, Place, Box]]:
    """Places from near to far; to the right first."""
    half, (x, y) = text_width(name) / 2, point
    for ring in _RINGS:
        for turn in range(_ANGLES):
            angle = _angle(turn)
            across, down = ring * math.cos(angle), ring * math.sin(angle)
            side = 1 if across > 0.3 * ring else -1 if across < -0.3 * ring else 0
            middle = (across + side * half, down)
            box = Box(x + middle[0] - half, y + down - LINE / 2, x + middle[0] + half, y + down + LINE / 2)
            yield ring, Place(middle[0], down, ring > _LONG_LEADER), box


def _angle(turn: int) -> float:
    """Angles that swing away from the right hand side: 0, a step down, a step up, two steps down and so on."""
    return math.tau / _ANGLES * ((turn + 1) // 2) * (1 if turn % 2 else -1)


def _leader(point: Point, box: Box) -> Iterator[Box]:
    """Small boxes along the line from a point to the nearest edge of its name."""
    end = (min(max(point[0], box.left), box.right), min(max(point[1], box.top), box.bottom))
    steps = max(2, int(math.dist(point, end) / 6))
    for step in range(1, steps):
        x, y = (start + (stop - start) * step / steps for start, stop in zip(point, end, strict=True))
        yield Box(x - 1, y - 1, x + 1, y + 1)


def leader_end(place: Place, name: str) -> Point:
    """Where the line from a point to its name ends, from the point."""
    half = text_width(name) / 2
    across = min(max(0.0, place.right - half), place.right + half)
    return across, min(max(0.0, place.down - LINE / 2), place.down + LINE / 2)


def _strip(line: Segment) -> Box:
    (x, y), (other_x, other_y) = line
    return Box(min(x, other_x) - 1, min(y, other_y) - 1, max(x, other_x) + 1, max(y, other_y) + 1)


def _holds(box: Box, point: Point) -> bool:
    return box.left <= point[0] <= box.right and box.top <= point[1] <= box.bottom


def _neighbours(points: Sequence[Point], number: int) -> int:
    return sum(math.dist(points[number], other) < 60 for other in points)
