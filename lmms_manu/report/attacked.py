"""The attacks that were made on the model of a run."""

from __future__ import annotations

from lmms_manu.attacks.outcomes import Outcome
from lmms_manu.attacks.results import FILE, AttackResults
from lmms_manu.report.residuals import beside, place, unedited
from lmms_manu.report.runs import Run


def attacks_on(run: Run, forget_ratio: int | None, benchmark: str) -> tuple[Outcome, ...]:
    """What came of the attacks whose file lies beside or above a run's results; none of other weights or people.

    Raises:
        DataError: a file of that name is damaged.
    """
    wanted = (place(unedited(run)), run.fingerprint, benchmark, forget_ratio)
    for file in beside(run, FILE):
        found = AttackResults.load(file)
        if (place(found.checkpoint), found.fingerprint, found.benchmark, found.forget_ratio) == wanted:
            return tuple(found.outcomes)
    return ()
