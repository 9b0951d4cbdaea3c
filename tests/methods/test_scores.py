import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.statistics import layout_of, moments_of

from lmms_manu.measuring.parts import PARTS
from lmms_manu.measuring.statistics import MOMENTS, reduce_activations
from lmms_manu.methods.manu import scores
from lmms_manu.methods.manu.scores import (
    MEASURED_SCORES,
    TermWeights,
    measured_scores,
    random,
)

LANGUAGE, VISION = layout_of(1), layout_of(0, 1)
MIXED = layout_of(3, 3)
EQUAL = TermWeights()

# count, sum |z|, sum z, sum z^2, active, in the order of `PARTS`. As rates:
# forget multimodal 2, 1, 5, 1/2; forget text 1, 0, 2, 1; retain multimodal 1, 1, 2, 1; retain text 1, 0, 2, 1/2.
ONE_NEURON = torch.tensor(
    [[4, 8, 4, 20, 2], [2, 2, 0, 4, 2], [4, 4, 4, 8, 4], [2, 2, 0, 4, 1]], dtype=torch.float64
).unsqueeze(-1)
FORGET_TERMS = TermWeights(1 / 3, 1 / 3, math.sqrt(1 + 1), math.sqrt(3 / 7))
RETAIN_TERMS = TermWeights(0, 1 / 3, math.sqrt(1 + 1), 0)


def score(recipe, values, layout=None, weights=EQUAL, parts=PARTS):
    return measured_scores(recipe, moments_of(values, layout, parts), weights)


def values_of(parts, tau=0.1):
    """Of the activations `[observations, neurons]` of each part: `[parts, 5, neurons]`."""
    return torch.stack([reduce_activations(MOMENTS, z, tau) for z in parts])


def activations(seed, neurons=6, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(observations, neurons, generator=generator) * scale for observations in (9, 5, 9, 5)]


def test_the_paper_recipe_is_the_sum_of_four_terms_over_the_same_of_the_retain_set():
    expected = (1 / 3 + 1 / 3 + math.sqrt(2) + math.sqrt(3 / 7)) / (0 + 1 / 3 + math.sqrt(2) + 0)
    assert score("paper", ONE_NEURON).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("term", ["absolute", "frequency", "variance", "rms"])
def test_a_weight_of_one_alone_leaves_one_term(term):
    alone = TermWeights(**{name: float(name == term) for name in ("absolute", "frequency", "variance", "rms")})
    expected = getattr(FORGET_TERMS, term) / (getattr(RETAIN_TERMS, term) + 1e-6)
    assert score("paper", ONE_NEURON, weights=alone).item() == pytest.approx(expected, rel=1e-5)


def test_the_released_recipe_scores_a_language_neuron_on_text_alone():
    # Mean, share, deviation, root mean square: 1/1, 1/0.5, sqrt 2/sqrt 2, sqrt 2/sqrt 2, each less one.
    assert score("released", ONE_NEURON, LANGUAGE).item() == pytest.approx(1.0, abs=1e-4)


def test_the_released_recipe_scores_a_vision_neuron_on_picture_and_text():
    expected = (2 / 1 - 1) + (0.5 / 1 - 1) + (2 / 1 - 1) + (math.sqrt(5 / 2) - 1)
    assert score("released", ONE_NEURON, VISION).item() == pytest.approx(expected, abs=1e-4)


def test_the_ratio_recipe_takes_the_larger_of_both_modalities():
    expected = (2 / 1 - 1) + (0.5 / 1 - 1) + (2 / 1 - 1) + (math.sqrt(5 / 2) - 1)
    assert score("ratio", ONE_NEURON, LANGUAGE).item() == pytest.approx(expected, abs=1e-4)


def test_the_invariant_recipe_uses_units_of_the_root_mean_square_and_sparseness():
    # All observations: 36 / 12 = 3. Sparseness 4/5, 1/2, 1/2, 1/2.
    forget = 1 / 3 + 0.3 / 1.3 + math.sqrt(2 / 3) + math.sqrt(3 / 7)
    assert score("invariant", ONE_NEURON).item() == pytest.approx(forget / math.sqrt(2 / 3), rel=1e-5)


def test_random_scores_follow_their_seed():
    assert torch.equal(random(50, seed=3), random(50, seed=3))
    assert not torch.equal(random(50, seed=3), random(50, seed=4))


@pytest.mark.parametrize("recipe", MEASURED_SCORES)
@given(seed=st.integers(0, 1000), permutation=st.permutations(range(6)))
def test_permuting_neurons_permutes_their_scores(recipe, seed, permutation):
    values, order = values_of(activations(seed)), torch.tensor(permutation)
    assert torch.equal(score(recipe, values[..., order]), score(recipe, values)[order])


@pytest.mark.parametrize("recipe", MEASURED_SCORES)
@given(seed=st.integers(0, 1000), empty=st.integers(0, 3))
def test_an_empty_part_of_the_data_gives_finite_scores(recipe, seed, empty):
    values = values_of(activations(seed))
    values[empty] = 0
    assert score(recipe, values, MIXED).isfinite().all()


@pytest.mark.parametrize("recipe", MEASURED_SCORES)
@pytest.mark.parametrize("level", [0.0, 0.5, -2.0, 65504.0, 6e-8])
def test_constant_activations_give_finite_and_equal_scores(recipe, level):
    scores = score(recipe, values_of([torch.full((7, 3), level, dtype=torch.float16)] * 4))
    assert scores.isfinite().all()
    assert len(scores.unique()) == 1


def test_a_neuron_that_matters_only_for_the_forget_set_scores_highest():
    parts = activations(0)
    for retained in parts[2:]:
        retained[:, 2] = 0.0
    for recipe in MEASURED_SCORES:
        scores = score(recipe, values_of(parts))
        assert scores.isfinite().all()
        assert scores.argmax() == 2, recipe


@given(
    seed=st.integers(0, 1000), factors=st.lists(st.sampled_from([0.01, 0.1, 1.0, 7.0, 100.0]), min_size=6, max_size=6)
)
def test_rescaling_neurons_leaves_the_invariant_scores_alone(seed, factors):
    plain = activations(seed)
    scale = torch.tensor(factors)
    rescaled = [z * scale for z in plain]
    before, after = score("invariant", values_of(plain)), score("invariant", values_of(rescaled))
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_rescaling_a_neuron_changes_its_paper_score():
    plain = activations(1)
    before, after = score("paper", values_of(plain)), score("paper", values_of([z * 100 for z in plain]))
    assert ((before - after).abs() > 0.01 * before).any()


@pytest.mark.parametrize("recipe", ["ratio", "released"])
@given(seed=st.integers(0, 1000))
def test_text_alone_is_scored_as_text_is_beside_pictures(recipe, seed):
    text = [part for part in PARTS if part.modality == "text"]
    values = values_of(activations(seed))
    alone = score(recipe, values[1::2], parts=text)
    beside = score("released", values)
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("recipe", MEASURED_SCORES)
def test_scores_do_not_depend_on_how_many_are_computed_at_once(recipe, monkeypatch):
    values = values_of(activations(3))
    whole = score(recipe, values, MIXED)
    monkeypatch.setattr(scores, "_AT_ONCE", 4)
    assert torch.equal(score(recipe, values, MIXED), whole)
