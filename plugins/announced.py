"""The tasks that the harness was asked for, told to the model, which the harness makes before it loads them."""

from __future__ import annotations

from collections.abc import Iterable

from lmms_manu.mllmu.names import RATIOS, everything_name, leaves

_RATIOS = {everything_name(ratio): ratio for ratio in RATIOS} | {
    name: leaf.ratio for leaf in leaves() if leaf.ratio is not None for name in (leaf.name, leaf.group)
}

_announced: tuple[str, ...] = ()


def announce(tasks: Iterable[str]) -> None:
    """Remembers the tasks and groups that the next model will be asked."""
    global _announced
    _announced = tuple(tasks)


def take_announced_ratios() -> dict[str, int]:
    """The forget ratio of each announced task that has one; the model after this one is told anew."""
    tasks = _announced
    announce(())
    return {task: _RATIOS[task] for task in tasks if task in _RATIOS}
