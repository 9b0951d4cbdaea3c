"""What a number about forgetting stands on: intervals over people, validity, shares forgotten; arithmetic alone.

Nothing here knows a benchmark, a file or a model: scores come in as numbers, or as their draws over people.
"""

from lmms_manu.evidence.bootstrap import PeopleBootstrap, interval
from lmms_manu.evidence.shares import damage, distance, share_forgotten
from lmms_manu.evidence.validity import MINIMUM_PEOPLE, Verdict, can_drop, knows_more

__all__ = [
    "MINIMUM_PEOPLE",
    "PeopleBootstrap",
    "Verdict",
    "can_drop",
    "damage",
    "distance",
    "interval",
    "knows_more",
    "share_forgotten",
]
