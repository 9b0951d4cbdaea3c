"""Fictitious people: who they are and what their pictures show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lmms_manu.benchmarks.mllmu.names import RATIOS
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.vocabulary import ATTRIBUTES, FIRST_NAMES, LAST_NAMES
from lmms_manu.errors import DataError

CELEBRITIES_PER_PERSON = 153 / 500
SMALLEST_NUMBER = 20
LARGEST_NUMBER = int(len(FIRST_NAMES) * len(LAST_NAMES) / (1 + CELEBRITIES_PER_PERSON)) // 2

# How many looks there are of each feature of a picture; `drawing` gives them their colours and shapes.
FEATURES = {"background": 8, "skin": 6, "hair": 8, "cut": 4, "shirt": 8, "pattern": 4, "wear": 5}


@dataclasses.dataclass(frozen=True)
class Person:
    """A fictitious person.

    Args:
        id: the number that every configuration of the dataset knows the person by.
        name: first and last name, unique in the dataset.
        values: the value of each of `ATTRIBUTES`, in that order.
        look: the choice for each of `FEATURES`, in that order.
    """

    id: str
    name: str
    values: tuple[str, ...]
    look: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Population:
    """The people of a dataset.

    Args:
        people: the fictitious people.
        celebrities: the other people, who stand for what a model knew before.
        forget: for each forget ratio the IDs to forget, each ratio's within the next one's.
    """

    people: tuple[Person, ...]
    celebrities: tuple[Person, ...]
    forget: dict[int, frozenset[str]]


def make_population(people: int, seed: int) -> Population:
    """Draws a population; the same arguments give the same one anywhere.

    Raises:
        DataError: fewer than `SMALLEST_NUMBER` people, of whom 5 percent would be nobody, or more than there are
            names for.
    """
    celebrities = max(2, round(people * CELEBRITIES_PER_PERSON))
    if not SMALLEST_NUMBER <= people <= LARGEST_NUMBER:
        raise DataError(f"people={people} is out of range: allowed is {SMALLEST_NUMBER} to {LARGEST_NUMBER}.")
    total = people + celebrities
    names, looks = _names(total, seed), _looks(total, seed)
    everyone = tuple(
        Person(str(number + 1), names[number], _values(number, seed), looks[number]) for number in range(total)
    )
    order = RandomStream(seed, "forget").shuffled([person.id for person in everyone[:people]])
    forget = {ratio: frozenset(order[: round(people * ratio / 100)]) for ratio in RATIOS}
    return Population(everyone[:people], everyone[people:], forget)


def make_background(population: Population, people: int, seed: int) -> tuple[Person, ...]:
    """Draws people who are in no dataset: from them a base model learns to read pictures and prompts.

    Args:
        population: the people of the dataset, with whom none of these shares the name or a look that differs from
            theirs in fewer than two features.
        people: how many to draw.
        seed: another seed than that of `population`.
    """
    known = (*population.people, *population.celebrities)
    names = _names(people, seed, taken=[person.name for person in known])
    looks = _looks(people, seed, taken=[person.look for person in known])
    return tuple(
        Person(f"background {number + 1}", names[number], _values(number, seed), looks[number])
        for number in range(people)
    )


def _names(count: int, seed: int, taken: Sequence[str] = ()) -> list[str]:
    """Unique names, none of them `taken`; a last name comes again only when all of them are used up."""
    draws = RandomStream(seed, "names")
    last_names = draws.shuffled(LAST_NAMES)
    names: dict[str, None] = {}
    for number in range(count):
        last = last_names[number % len(last_names)]
        name = f"{draws.one(FIRST_NAMES)} {last}"
        while name in names or name in taken:
            name = f"{draws.one(FIRST_NAMES)} {last}"
        names[name] = None
    return list(names)


def _looks(count: int, seed: int, taken: Sequence[tuple[int, ...]] = ()) -> list[tuple[int, ...]]:
    """Looks any two of which, the `taken` ones among them, differ in at least two features: in every pose they can be
    told apart."""
    draws = RandomStream(seed, "looks")
    looks: list[tuple[int, ...]] = []
    nearby = {near for look in taken for near in _nearby(look)}
    while len(looks) < count:
        look = tuple(draws.index(options) for options in FEATURES.values())
        near = _nearby(look)
        if nearby.isdisjoint(near):
            nearby |= near
            looks.append(look)
    return looks


def _nearby(look: tuple[int, ...]) -> set[tuple[int, tuple[int, ...]]]:
    """The look with each of its features left out: what it shares with those that differ in that feature alone."""
    return {(left_out, look[:left_out] + look[left_out + 1 :]) for left_out in range(len(look))}


def _values(number: int, seed: int) -> tuple[str, ...]:
    draws = RandomStream(seed, "values", number)
    return tuple(draws.one(attribute.values) for attribute in ATTRIBUTES)
