"""What is understood of a user's tables, in lines for people."""

from __future__ import annotations

import collections

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.benchmarks.own.names import KINDS
from lmms_manu.benchmarks.own.people import People


def describe(people: People) -> tuple[list[str], bool]:
    """What there is in each set, what is left out and why, and whether the tables can be used together."""
    lines = []
    for name, rows in people.sets.items():
        lines.append(f"{name}: {len({row.subject for row in rows})} people, {len(rows)} rows")
        for kind in KINDS:
            counts = {modality: len(people.asked(name, kind, modality)) for modality in MODALITIES}
            lines.append(f"  {kind:<15}" + ", ".join(f"{count} {modality}" for modality, count in counts.items()))
        shown = [row for row in rows if row.picture is not None]
        whole = {row.place for row in people.whole(shown)}
        lines.append(f"  pictures       {len(whole)} of {len(shown)} can be read")
        lines += [f"  picture missing or cut off: {row.place}" for row in shown if row.place not in whole]
        lines += [f"  left out: {reason}" for reason in people.skipped[name]]
        asked = collections.Counter((row.subject, row.question, row.text_question) for row in rows)
        lines += [f"  {count} times: {key[0]}: {key[1]}" for key, count in asked.items() if count > 1]
    both = people.in_both()
    lines += [f"error: {subject} is to be forgotten and to be kept" for subject in both]
    lines += [f"warning: the pictures of {one} and {other} are byte-equal" for one, other in people.same_pictures()]
    return lines, not both
