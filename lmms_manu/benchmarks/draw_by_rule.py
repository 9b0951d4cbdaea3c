"""Drawing by rule instead of at random: a function of a seed and the IDs, and nothing else.

Everything that could be drawn is sorted by `sha256("{seed}/{purpose}/{ID}")` and the first ones are taken, so that
every machine, process and order of rows gives the same choice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def first_by_rule(candidates: Iterable[str], count: int, seed: int, purpose: str) -> tuple[str, ...]:
    """The `count` first of the `candidates` in the order of the rule; fewer if there are fewer."""
    return tuple(sorted(set(candidates), key=lambda identity: (rank(seed, purpose, identity), identity))[:count])


def rank(seed: int, purpose: str, identity: str) -> str:
    """What an ID is sorted by: a hash, as hexadecimal digits."""
    return hashlib.sha256(f"{seed}/{purpose}/{identity}".encode()).hexdigest()
