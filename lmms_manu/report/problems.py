"""Problems that results can have, and the errors that name them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

ALLOWANCES = {
    "duplicate": "where a task was evaluated twice, the newer result counts",
    "partial": "results that --limit cut short are shown, marked",
    "mixed-version": "results of different task versions, judges, datasets, seeds or exemplars are shown side by side",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something that a reader of the results has to know.

    Args:
        kind: one of `ALLOWANCES`, which stop a report unless they are allowed, or `missing`, `misplaced`, `unjudged`,
            `not-asked`, `skipped`, `published`, `no-samples`, `questions`, `not-a-number`, `selection` or `versions`.
        message: names the run and the task, and the way out where there is one.
    """

    kind: str
    message: str


def refusal(problems: Sequence[Problem]) -> str:
    """The message for problems that were not allowed, with the way to allow them."""
    kinds = sorted({problem.kind for problem in problems})
    lines = [f"  - {problem.message}" for problem in problems[:20]]
    if len(problems) > 20:
        lines.append(f"  - and {len(problems) - 20} more")
    ways = [f"  --allow {kind}: {ALLOWANCES[kind]}" for kind in kinds]
    return "\n".join(["these results cannot be reported as they are:", *lines, "If that is meant:", *ways])
