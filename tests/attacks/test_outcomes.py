"""What is said of an attack, from readings made by hand."""

from __future__ import annotations

import pytest

from lmms_manu.attacks.choices import Choices
from lmms_manu.attacks.membership import Membership
from lmms_manu.attacks.modality import ModalitySwap
from lmms_manu.attacks.outcomes import (
    BEFORE,
    CONTROL,
    EDITED,
    GOLD,
    NEVER_FORGOT,
    VANILLA,
    Measured,
    never_forgot,
    recoveries,
    unfit_gold,
)
from lmms_manu.attacks.readings import MEMBERSHIP
from lmms_manu.attacks.relearning import Relearning

WAYS = ["way"]
KNOWN = (0.9, 1.0, 0.9, 0.95, 0.9)
UNKNOWN = (0.1, 0.1, 0.1, 0.12, 0.1)


def probability(*values, modality="text"):
    """One question about each of some people."""
    return {"probability": {f"{modality}/{number}": [value] for number, value in enumerate(values)}}


def measured(**sides):
    """What was read of models, each before the attack and under it where that is given."""
    readings = {
        name: {BEFORE: probability(*own[0]), **({"attack: way": probability(*own[1])} if len(own) > 1 else {})}
        for name, own in sides.items()
    }
    return Measured(readings, {})


def test_what_comes_back_is_a_share_of_what_was_lost_beside_golds():
    lost, back = (0.1, 0.2, 0.1, 0.15, 0.2), (0.5, 0.6, 0.55, 0.6, 0.5)
    gold = (UNKNOWN, tuple(value + 0.08 for value in UNKNOWN))
    (found,) = recoveries("attack", WAYS, measured(vanilla=[KNOWN], edited=[lost, back], gold=gold))
    whole = sum(KNOWN) - sum(lost)
    assert found.found.value == pytest.approx((sum(back) - sum(lost)) / whole)
    low, high = found.found.interval or (0, 0)
    assert low < found.found.value < high
    assert found.base.value == pytest.approx(5 * 0.08 / whole)
    assert found.is_hidden
    assert found.control is None
    assert found.read == pytest.approx({"before": sum(lost) / 5, "after": sum(back) / 5})


def test_what_gold_gives_too_did_not_come_back():
    lost, back = (0.1, 0.2, 0.1, 0.15, 0.2), (0.5, 0.6, 0.55, 0.6, 0.5)
    gold = (UNKNOWN, (0.5, 0.51, 0.56, 0.57, 0.41))
    (found,) = recoveries("attack", WAYS, measured(vanilla=[KNOWN], edited=[lost, back], gold=gold))
    assert found.found.value > 0.4
    assert not found.is_hidden
    assert found.verdict == "not found: no more than the base rate"


def test_a_sure_return_of_next_to_nothing_is_not_called_one():
    back = tuple(value + 0.01 for value in UNKNOWN)
    (found,) = recoveries("attack", WAYS, measured(vanilla=[KNOWN], edited=[UNKNOWN, back], gold=[UNKNOWN, UNKNOWN]))
    low, _ = found.found.interval or (0, 0)
    assert low > 0
    assert found.verdict == "not found: less than 5% came back"


def test_a_control_is_measured_by_what_it_lost_itself():
    lost, back = UNKNOWN, tuple(value + 0.1 for value in UNKNOWN)
    control = (tuple(value - 0.4 for value in KNOWN), KNOWN)
    (found,) = recoveries("attack", WAYS, measured(vanilla=[KNOWN], edited=[lost, back], control=control))
    assert found.control.value == pytest.approx(1)
    assert "no gold: the base rate is not known" in found.verdict


def test_a_model_that_never_forgot_has_no_number():
    same = measured(vanilla=[KNOWN], edited=[KNOWN, tuple(value + 0.05 for value in KNOWN)])
    assert never_forgot(same)
    (found,) = recoveries("attack", WAYS, same)
    assert (found.found, found.verdict) == (None, NEVER_FORGOT)


def test_too_few_people_have_no_number():
    (found,) = recoveries("attack", WAYS, measured(vanilla=[KNOWN[:3]], edited=[UNKNOWN[:3], KNOWN[:3]]))
    assert found.found is None
    assert found.verdict == "3 people are too few for an interval: at least 4 are needed"


def test_gold_and_vanilla_exchanged_are_noticed():
    assert "exchange the two" in unfit_gold(measured(vanilla=[UNKNOWN], edited=[UNKNOWN], gold=[KNOWN]))
    assert unfit_gold(measured(vanilla=[KNOWN], edited=[UNKNOWN], gold=[UNKNOWN])) == ""
    assert unfit_gold(measured(vanilla=[KNOWN], edited=[UNKNOWN])) == ""


def both(pictured, told):
    """What was read before any attack, with pictures and as text."""
    places = {**probability(*pictured, modality="multimodal")["probability"], **probability(*told)["probability"]}
    return {BEFORE: {"probability": places}}


def test_what_was_forgotten_with_the_picture_alone_is_hidden_and_asked_for_by_name():
    readings = {VANILLA: both(KNOWN, KNOWN), EDITED: both(UNKNOWN, KNOWN), GOLD: both(UNKNOWN, UNKNOWN)}
    pictured, told = ModalitySwap().outcomes(Measured(readings, {}))
    assert (pictured.attack, pictured.found.value, pictured.is_hidden) == ("modality: multimodal", 0, False)
    assert (told.attack, told.found.value, told.is_hidden) == ("modality: text", 1, True)


def test_what_is_left_alike_in_both_modalities_is_not_called_hidden():
    half = tuple((one + other) / 2 for one, other in zip(KNOWN, UNKNOWN, strict=True))
    readings = {VANILLA: both(KNOWN, KNOWN), EDITED: both(half, half), GOLD: both(UNKNOWN, UNKNOWN)}
    for found in ModalitySwap().outcomes(Measured(readings, {})):
        assert found.found.value == pytest.approx(0.5)
        assert not found.is_hidden


def scores(*values):
    return {name: {f"text/{number}": [value] for number, value in enumerate(values)} for name in MEMBERSHIP}


def looked(members, others=(-1.1, -1.2, -0.9, -1.0, -1.3)):
    return {BEFORE: scores(*members), "membership: new people": scores(*others)}


def test_membership_is_the_auc_between_golds_and_vanillas():
    known, unknown = (-0.1, -0.2, -0.1, -0.3, -0.2), (-1.05, -1.25, -0.95, -1.15, -1.35)
    partly = (-0.2, -1.5, -1.25, -0.1, -1.15)
    readings = {VANILLA: looked(known), EDITED: looked(partly), GOLD: looked(unknown), CONTROL: looked(known)}
    found = Membership().outcomes(Measured(readings, {}))
    assert [one.attack for one in found] == [f"membership: {name}" for name in MEMBERSHIP]
    first = found[0]
    # Of the 25 pairs of a member and a new person: 2 * 5 + 0 + 1 + 2 for `partly`, 10 for `unknown`.
    assert first.read == pytest.approx({"vanilla": 1, "edited": 13 / 25, "gold": 10 / 25, "control": 1})
    assert first.found.value == pytest.approx((13 - 10) / (25 - 10))
    assert first.control.value == 1
    assert not first.shows


def test_membership_without_gold_starts_from_a_coin_and_says_so():
    (first, *_) = Membership().outcomes(Measured({VANILLA: looked([-0.1] * 5), EDITED: looked([-0.2] * 5)}, {}))
    assert first.found.value == 1
    assert first.shows
    assert "no gold" in first.verdict


def test_a_vanilla_that_shows_no_more_than_gold_cannot_tell():
    readings = {name: looked((-1.0, -1.2, -1.1, -0.8, -1.3)) for name in (VANILLA, EDITED, GOLD)}
    first = Membership().outcomes(Measured(readings, {}))[0]
    assert first.found is None
    assert first.verdict == "it cannot tell: vanilla shows no more than gold does"


def test_why_an_attack_was_not_made_is_said_in_its_place():
    reasons = {EDITED: {"attack: way": "nothing is asked with a picture"}}
    (found,) = recoveries("attack", WAYS, Measured(measured(vanilla=[KNOWN], edited=[UNKNOWN]).readings, reasons))
    assert (found.verdict, found.found) == ("nothing is asked with a picture", None)


def relearned(weakened, taught):
    """What was read for the attack by relearning, whose positive control went from one state to the other."""
    readings = measured(vanilla=[KNOWN], edited=[UNKNOWN], gold=[UNKNOWN]).readings
    name = "relearning: forgotten people"
    for model in (EDITED, GOLD):
        readings[model][name] = readings[model][BEFORE]
    readings[VANILLA]["relearning: weakened vanilla"] = probability(*weakened)
    readings[VANILLA]["relearning: weakened vanilla, taught"] = probability(*taught)
    return Relearning().outcomes(Measured(readings, {}))


def test_relearning_says_whether_it_could_have_brought_anything_back():
    weakened = tuple(value - 0.3 for value in KNOWN)
    first, *_, control = relearned(weakened, tuple(value + 0.1 for value in weakened))
    assert first.verdict == "not found: no more than the base rate"
    assert (control.attack, control.verdict) == (
        "relearning: weakened vanilla",
        "it works: what was only weakened came back",
    )
    assert control.found.value == pytest.approx(1 / 3)


def test_relearning_that_brings_back_nothing_of_what_is_there_says_nothing_elsewhere():
    weakened = tuple(value - 0.3 for value in KNOWN)
    first, *_, control = relearned(weakened, weakened)
    assert first.verdict == "not found: no more than the base rate; too weak to tell"
    assert control.verdict.startswith("too weak to tell")


def formed(openly, asked, turned):
    """What was read of a question openly, with its options, and with them turned round."""
    forms = {"choices: as asked": asked, "choices: options turned round": turned}
    return {BEFORE: probability(*openly), **{form: probability(*values) for form, values in forms.items()}}


def test_an_answer_that_is_gone_behind_options_alone_is_hidden_where_it_is_asked_openly():
    readings = {
        VANILLA: formed(KNOWN, KNOWN, KNOWN),
        EDITED: formed(KNOWN, UNKNOWN, UNKNOWN),
        GOLD: formed(UNKNOWN, UNKNOWN, UNKNOWN),
    }
    asked, turned, openly = Choices().outcomes(Measured(readings, {}))
    assert (asked.found.value, asked.is_hidden) == (0, False)
    assert (turned.found.value, turned.is_hidden) == (0, False)
    assert openly.verdict == "hidden, not gone: more is left than behind the options as they are asked"
