"""The table "gone or hidden": what attacks brought back of what each run forgot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmms_manu.attacks.outcomes import Outcome, Share
from lmms_manu.report.cells import Section
from lmms_manu.report.formats.numbers import DASH, interval_text, plain
from lmms_manu.report.formats.table import Entry, Head, Line, Table

_HEADS = tuple(map(Head, ("read", "came back or is left", "base rate", "control", "verdict")))


def attacks(section: Section) -> Table | None:
    """The attacks on the runs of a section; None where none was made."""
    made = {row.name: row.attacks for row in section.rows if row.attacks}
    return attack_table(f"{section.title}, gone or hidden?", made) if made else None


def attack_table(title: str, made: Mapping[str, Sequence[Outcome]]) -> Table:
    """What came of attacks, run by run, in percent of what was forgotten."""
    lines = tuple(
        Line(f"{run}: {outcome.attack}" if len(made) > 1 else outcome.attack, _entries(outcome))
        for run, outcomes in made.items()
        for outcome in outcomes
    )
    return Table(title, _HEADS, lines, " ".join(found(run, outcomes) for run, outcomes in made.items()))


def found(run: str, outcomes: Sequence[Outcome]) -> str:
    """What the attacks say of a run, in a sentence."""
    hidden = [outcome.attack for outcome in outcomes if outcome.is_hidden]
    if hidden:
        return f"{run}: hidden, not gone ({'; '.join(hidden)})."
    if not any(outcome.found for outcome in outcomes):
        return f"{run}: nothing can be said."
    shows = [outcome.attack for outcome in outcomes if outcome.shows]
    if shows:
        return f"{run}: nothing was brought back, but who was forgotten shows ({'; '.join(shows)})."
    return f"{run}: nothing was brought back."


def _entries(outcome: Outcome) -> tuple[Entry, ...]:
    read = ", ".join(f"{name} {plain(value, 3)}" for name, value in outcome.read.items())
    shares = (outcome.found, outcome.base, outcome.control)
    return (Entry(read or DASH), *map(_share, shares), Entry(outcome.verdict))


def _share(share: Share | None) -> Entry:
    if share is None:
        return Entry(DASH)
    value = 100 * share.value
    bounds = None if share.interval is None else (100 * share.interval[0], 100 * share.interval[1])
    return Entry(plain(value, 0), interval=interval_text(bounds, 0), number=value)
