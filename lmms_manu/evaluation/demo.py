"""The demonstration: the embedded model forgets one in ten of the embedded people, by several methods, in the harness.

Everything is real but small: the checkpoint, the dataset and their names lie in a folder just as a user's local copies
would, and the methods are compared as `lmms-manu compare` compares them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import SPLITS, group_name
from lmms_manu.embedded import FORGET_RATIO, GOLD_NAME
from lmms_manu.evaluation.compare import Plan
from lmms_manu.evaluation.contenders import read_contenders
from lmms_manu.evaluation.evaluate import Evaluation
from lmms_manu.evaluation.suites import SuitePart
from lmms_manu.models.settings import DEFAULT_PROCESSOR

BUDGET = 5.0
CONTROLS = 3

_TRAINING = "tuning=full:learning_rate=1e-4"
"""Of the methods that train, settled before any result was looked at."""

_MISDIRECTION = "path_neurons=100:points=8:steered_layer=1:learning_rate=1e-2:retain_weight=40"
"""Of the edit along paths: chosen on as many people drawn from those to retain, with those to forget left out."""

_PRUNING = tuple(f"manu:recipe={recipe}:prune_rate=2+5+10+20" for recipe in ("paper", "released", "ratio"))
_ERASURE = "erase:directions=32:keep=16+8+4"
"""Few directions were chosen on people drawn from those to retain, as above."""

_UNTRAINED = (*_PRUNING, _ERASURE, "kvw:strength=4+8+16")
_TRAINED = tuple(
    f"{name}:{_TRAINING}:epochs={epochs}"
    for name, epochs in {"ga": "1+2", "grad_diff": "3+6", "kl": "2+4", "npo": "3+6", "mmunlearner": "3+6"}.items()
)
_ALL = (*_UNTRAINED, "prompting", *_TRAINED, f"mip_editor:{_MISDIRECTION}:epochs=1+2+4")
_QUICK = ("manu:recipe=ratio:prune_rate=5+10+20",)


@dataclasses.dataclass(frozen=True)
class Extent:
    """How much of it is shown.

    Args:
        name: what it is called.
        methods: as they are typed.
        controls: random controls of each chosen strength.
        uncontrolled: methods that get none, since each would be trained again.
        repeats: further trainings, by other seeds, of each method that trains.
    """

    name: str
    methods: tuple[str, ...]
    controls: int = CONTROLS
    uncontrolled: tuple[str, ...] = ()
    repeats: int = 0


QUICK = Extent("quick", _QUICK)
USUAL = Extent("usual", _ALL, uncontrolled=tuple(text.partition(":")[0] for text in (*_TRAINED, "mip_editor")))
FULL = Extent("full", _ALL, repeats=2)


def plan_of(extent: Extent) -> Plan:
    """What is compared."""
    return Plan(
        contenders=read_contenders(",".join(extent.methods)),
        common={"forget_ratio": FORGET_RATIO},
        budget=BUDGET,
        gold={"pretrained": GOLD_NAME, "processor": DEFAULT_PROCESSOR},
        controls=extent.controls,
        own_controls=dict.fromkeys(extent.uncontrolled, 0),
        repeats=extent.repeats,
    )


def pattern(output: Path) -> Evaluation:
    """What every model is asked, in one call of the harness; in the current directory, with its variables."""
    tasks = tuple(group_name(split, FORGET_RATIO) for split in SPLITS)
    part = SuitePart("mllmu", tasks, benchmark="mllmu")
    return Evaluation((part,), {}, output, folder=Path.cwd(), variables=dict(os.environ))


@contextlib.contextmanager
def own_surroundings(folder: Path) -> Iterator[None]:
    """Works in a folder with a cache of its own, and with none of the user's variables that choose people or a judge.

    Methods are read from the harness's processes, which inherit both.
    """
    own = {**dict.fromkeys(variables.HELP, ""), variables.JUDGE: "off", variables.CACHE: str(folder / "cache")}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
