"""What is understood of a user's tables, in lines for people."""

from __future__ import annotations

import collections
from collections.abc import Sequence

from lmms_manu.benchmarks.base import MODALITIES
from lmms_manu.benchmarks.own.names import KINDS
from lmms_manu.benchmarks.own.people import People, picture_problem, stored_bytes
from lmms_manu.benchmarks.own.rows import Row


def describe(people: People) -> tuple[list[str], bool]:
    """What there is in each set, what is left out and why, and whether the tables can be used together."""
    lines = []
    for name, rows in people.sets.items():
        count = len({row.subject for row in rows})
        shown = "1 person" if count == 1 else f"{count} people"
        lines.append(f"{name}: {shown}, {len(rows)} row{'' if len(rows) == 1 else 's'}")
        for kind in KINDS:
            counts = {modality: len(people.asked(name, kind, modality)) for modality in MODALITIES}
            lines.append(f"  {kind:<15}" + ", ".join(f"{count} {modality}" for modality, count in counts.items()))
        lines += _pictures(people, rows)
        lines += [f"  left out: {reason}" for reason in people.skipped[name]]
        asked = collections.Counter((row.subject, row.question, row.text_question) for row in rows)
        lines += [f"  {count} times: {key[0]}: {key[1]}" for key, count in asked.items() if count > 1]
    both = people.in_both()
    lines += [f"error: {subject} is to be forgotten and to be kept" for subject in both]
    lines += [f"warning: the pictures of {one} and {other} are byte-equal" for one, other in people.same_pictures()]
    return lines, not both


def _pictures(people: People, rows: Sequence[Row]) -> list[str]:
    """How many pictures there are, how large, and which of them cannot be read."""
    named = [row for row in rows if row.picture is not None]
    whole = people.whole(named)
    lines = [f"  pictures       {len(whole)} of {len(named)} can be read"]
    pictures = [row.picture for row in whole if row.picture is not None]
    if pictures:
        sizes = sorted({picture.size() for picture in pictures}, key=lambda size: size[0] * size[1])
        span = " to ".join(f"{width} x {height}" for width, height in dict.fromkeys((sizes[0], sizes[-1])))
        largest = max(map(stored_bytes, pictures))
        lines[0] += f", {span} pixels, up to {largest / 1000:,.0f} kB"
    readable = {row.place for row in whole}
    return lines + [f"  unreadable: {picture_problem(row)}" for row in named if row.place not in readable]
