"""Which of a benchmark's splits sums are made of."""

from __future__ import annotations

from collections.abc import Sequence

from lmms_manu.benchmarks.base import Role, Split


def first(splits: Sequence[Split], role: Role) -> Split | None:
    """The first split of a role; None without one."""
    return next((split for split in splits if split.role == role), None)


def further(splits: Sequence[Split]) -> tuple[list[Split], list[Split]]:
    """The forgotten and the kept splits beside the first one of role `forget` and the first of role `retain`."""
    main = (first(splits, "forget"), first(splits, "retain"))
    others = [split for split in splits if split not in main]
    return [split for split in others if split.is_forgotten], [split for split in others if not split.is_forgotten]
