"""Pictures of fictitious people.

Everything is drawn by elementwise IEEE arithmetic on a grid of pixel centres, without trigonometry, fonts or a
drawing library, so that a picture has the same bytes on every machine.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lmms_manu.benchmarks.mllmu.synthetic.population import FEATURES, Person
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream

_BRIGHT = (
    (222, 60, 60),
    (240, 150, 40),
    (235, 220, 70),
    (80, 170, 75),
    (60, 190, 200),
    (60, 95, 205),
    (160, 75, 190),
    (245, 245, 245),
)
_HAIR = (
    (25, 20, 20),
    (92, 58, 32),
    (160, 105, 50),
    (235, 205, 110),
    (180, 60, 30),
    (130, 130, 135),
    (90, 40, 120),
    (30, 110, 90),
)
_SKIN = ((255, 224, 196), (240, 194, 154), (214, 160, 116), (176, 120, 78), (130, 84, 52), (88, 56, 36))
_DARK = (35, 30, 35)

_FINEST = 96


@dataclasses.dataclass(frozen=True)
class Pose:
    """How a person is pictured.

    Args:
        right, down: shift of the figure, as a share of the picture's size.
        size: size of the figure.
        lean: sideways shear of the figure.
        mirrored: whether left and right change places.
        light: factor of all colours.
    """

    right: float = 0.0
    down: float = 0.0
    size: float = 1.0
    lean: float = 0.0
    mirrored: bool = False
    light: float = 1.0


UPRIGHT = Pose()


def draw_pose(draws: RandomStream) -> Pose:
    """A random pose."""
    return Pose(
        right=draws.number(-0.06, 0.06),
        down=draws.number(-0.04, 0.04),
        size=draws.number(0.9, 1.1),
        lean=draws.number(-0.15, 0.15),
        mirrored=draws.index(2) == 1,
        light=draws.number(0.85, 1.1),
    )


def draw(person: Person, pose: Pose, size: int) -> np.ndarray:
    """A picture of `person` as uint8 [size, size, 3]; a large one is a small one enlarged."""
    if size <= _FINEST:
        return _draw(person, pose, size)
    nearest = np.arange(size) * _FINEST // size
    return _draw(person, pose, _FINEST)[nearest[:, None], nearest]


def _draw(person: Person, pose: Pose, size: int) -> np.ndarray:
    look = dict(zip(FEATURES, person.look, strict=True))
    canvas = _Canvas(pose, size, _BRIGHT[look["background"]])
    hair, skin = _HAIR[look["hair"]], _SKIN[look["skin"]]
    long_hair, crest, side_buns = (look["cut"] == cut for cut in (1, 2, 3))
    if long_hair:
        canvas.box(hair, 0.24, 0.76, 0.25, 0.78)
    if side_buns:
        canvas.ellipse(hair, 0.20, 0.32, 0.11, 0.11)
        canvas.ellipse(hair, 0.80, 0.32, 0.11, 0.11)
    if crest:
        canvas.box(hair, 0.44, 0.56, 0.02, 0.30)
    _shirt(canvas, look["shirt"], look["pattern"])
    canvas.box(skin, 0.43, 0.57, 0.60, 0.78)
    canvas.ellipse(hair, 0.50, 0.36, 0.235, 0.25)
    canvas.ellipse(skin, 0.50, 0.45, 0.20, 0.25)
    canvas.ellipse(_DARK, 0.42, 0.42, 0.03, 0.03)
    canvas.ellipse(_DARK, 0.58, 0.42, 0.03, 0.03)
    canvas.box((190, 70, 80), 0.43, 0.57, 0.585, 0.62)
    _wear(canvas, look["wear"], hair)
    return canvas.pixels()


def _shirt(canvas: _Canvas, colour: int, pattern: int) -> None:
    second = _BRIGHT[(colour + 4) % len(_BRIGHT)]
    canvas.ellipse(_BRIGHT[colour], 0.50, 1.02, 0.42, 0.32)
    if pattern == 1:
        canvas.box(second, 0.20, 0.80, 0.84, 0.92)
    elif pattern == 2:
        canvas.box(second, 0.44, 0.56, 0.72, 1.10)
    elif pattern == 3:
        canvas.ellipse(second, 0.32, 0.90, 0.06, 0.06)
        canvas.ellipse(second, 0.68, 0.90, 0.06, 0.06)


def _wear(canvas: _Canvas, kind: int, hair: tuple[int, int, int]) -> None:
    if kind == 1:
        canvas.box(_DARK, 0.30, 0.70, 0.37, 0.47)
    elif kind == 2:
        canvas.ellipse(hair, 0.50, 0.66, 0.14, 0.09)
    elif kind == 3:
        canvas.box((200, 30, 40), 0.26, 0.74, 0.14, 0.24)
    elif kind == 4:
        canvas.box((245, 210, 60), 0.24, 0.32, 0.50, 0.62)
        canvas.box((245, 210, 60), 0.68, 0.76, 0.50, 0.62)


class _Canvas:
    """Pixels in the figure's own coordinates: 0 to 1 from left to right and from top to bottom, before the pose."""

    def __init__(self, pose: Pose, size: int, background: tuple[int, int, int]) -> None:
        centres = (np.arange(size, dtype=np.float64) + 0.5) / size
        across = centres[None, :] - 0.5 - pose.right
        down = centres[:, None] - 0.5 - pose.down
        across = (across + pose.lean * down) / pose.size
        self._x = 0.5 + (-across if pose.mirrored else across)
        self._y = np.broadcast_to(0.5 + down / pose.size, self._x.shape)
        self._light = pose.light
        self._colours = np.empty((size, size, 3), dtype=np.float64)
        self._colours[:] = background
        self._colours *= 1.0 - 0.25 * centres[:, None, None]

    def ellipse(self, colour: tuple[int, int, int], x: float, y: float, width: float, height: float) -> None:
        across, down = (self._x - x) / width, (self._y - y) / height
        self._colours[across * across + down * down <= 1.0] = colour

    def box(self, colour: tuple[int, int, int], left: float, right: float, top: float, bottom: float) -> None:
        inside = (self._x >= left) & (self._x <= right) & (self._y >= top) & (self._y <= bottom)
        self._colours[inside] = colour

    def pixels(self) -> np.ndarray:
        return np.clip(np.floor(self._colours * self._light + 0.5), 0, 255).astype(np.uint8)
