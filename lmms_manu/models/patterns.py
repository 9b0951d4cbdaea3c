"""MLP blocks named by hand: the setting `mlp_blocks`.

A pattern is `TOWER:HOLDER:UP:DOWN`, or `TOWER:HOLDER:GATE+UP:DOWN` for a gated block. HOLDER is the name of the module
that holds the projections, in which `*` stands for any part of a name; UP, GATE and DOWN are the projections' names
below it. `TOWER:HOLDER` alone takes the names that are known anyway. Several patterns are separated by `;`.
"""

from __future__ import annotations

import dataclasses

from lmms_manu.errors import SettingError, one_of
from lmms_manu.models.tower_names import TOWERS


@dataclasses.dataclass(frozen=True)
class Pattern:
    """One hand-written description of MLP blocks; no `ups` where only the holder is given."""

    text: str
    tower: str
    holder: str
    ups: tuple[str, ...] = ()
    down: str = ""


def parse_patterns(text: str) -> tuple[Pattern, ...]:
    """The patterns of a setting such as `"language:model.layers.*.ff:gate+up:down"`.

    Raises:
        SettingError: a pattern has another form, or names a tower that does not exist.
    """
    patterns = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        fields = [field.strip() for field in part.split(":")]
        if len(fields) not in (2, 4) or not all(fields):
            raise SettingError(
                f"mlp_blocks={part!r} is not of the form TOWER:HOLDER:UP:DOWN, TOWER:HOLDER:GATE+UP:DOWN or "
                "TOWER:HOLDER, such as language:model.layers.*.ff:gate+up:down."
            )
        if fields[0] not in TOWERS:
            raise one_of("mlp_blocks tower", fields[0], TOWERS)
        if len(fields) == 2:
            patterns.append(Pattern(part, fields[0], fields[1]))
        else:
            patterns.append(Pattern(part, fields[0], fields[1], tuple(fields[2].split("+")), fields[3]))
    return tuple(patterns)
