from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from lmms_manu import likelihood_metrics as metrics

answers = st.lists(st.floats(-20, -1e-3), min_size=1, max_size=12)


@given(answers, st.lists(answers, min_size=1, max_size=4))
def test_truth_ratio_is_open_unlearnings(right, wrong):
    """exp of minus the mean loss over the wrong answers, over that of the right one; then its three aggregations."""
    loss = [-sum(each) / len(each) for each in wrong]
    ratio = math.exp(-sum(loss) / len(loss)) / math.exp(sum(right) / len(right))
    log_ratio = metrics.log_truth_ratio(right, wrong)
    assert math.exp(log_ratio) == pytest.approx(ratio)
    assert metrics.closer_to_one(log_ratio) == pytest.approx(min(ratio, 1 / ratio))
    assert metrics.true_better(log_ratio) == pytest.approx(max(0, 1 - ratio), abs=1e-12)
    true, false = metrics.answer_probability(right), metrics.answer_probability(wrong[0])
    assert metrics.prob_mean(right, wrong[:1]) == pytest.approx(true / (true + false))


def test_truth_ratio_of_a_log_made_by_hand():
    right, wrong = [math.log(0.5), math.log(0.5)], [[math.log(0.2)], [math.log(0.05)]]
    log_ratio = metrics.log_truth_ratio(right, wrong)
    assert math.exp(log_ratio) == pytest.approx(0.1 / 0.5)
    assert metrics.closer_to_one(log_ratio) == pytest.approx(0.2)
    assert metrics.true_better(log_ratio) == pytest.approx(0.8)
    assert metrics.prob_mean(right, wrong) == pytest.approx(0.5 / 0.75)


def test_a_ratio_beyond_all_numbers_stays_a_number():
    log_ratio = metrics.log_truth_ratio([-2000.0], [[-0.1]])
    assert (metrics.closer_to_one(log_ratio), metrics.true_better(log_ratio)) == (0.0, 0.0)
    assert metrics.prob_mean([-2000.0], [[-0.1]]) == 0.0


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_memorisation_and_extraction_are_what_a_plain_search_finds(likeliest):
    shortest = next(k for k in range(len(likeliest) + 1) if all(likeliest[k:]))
    assert metrics.extraction_strength(likeliest) == pytest.approx(1 - shortest / len(likeliest))
    assert metrics.exact_memorisation(likeliest) == sum(likeliest) / len(likeliest)


def test_ks_of_a_log_made_by_hand():
    edited, gold = {"a": [0.1, 0.2], "b": [0.3, 0.4]}, {"a": [0.35, 0.6], "b": [0.7, 0.8]}
    test = metrics.forget_quality(edited, gold)
    assert test.statistic == pytest.approx(0.75)
    assert test.p_questions == pytest.approx(ks_2samp([0.1, 0.2, 0.3, 0.4], [0.35, 0.6, 0.7, 0.8]).pvalue)
    assert (test.questions, test.people) == (4, 2)
    # Of the four exchanges of two people, two leave the statistic what it is; the others lower it.
    assert test.p_people == pytest.approx(0.5, abs=0.03)


def test_ties_count_once():
    test = metrics.forget_quality({"a": [1.0, 1.0, 2.0]}, {"a": [1.0, 1.0, 2.0]})
    assert (test.statistic, test.p_questions, test.p_people) == (0.0, 1.0, 1.0)


def test_the_permutation_test_keeps_its_size_where_a_test_over_questions_does_not():
    """Twenty people with five questions each, alike in both models but for what each model makes of a person."""
    draws = np.random.default_rng(0)
    rejected = {"people": 0, "questions": 0}
    runs = 400
    for _ in range(runs):
        sides = []
        for _ in range(2):
            person = draws.normal(size=20)
            sides.append({str(n): (person[n] + 0.3 * draws.normal(size=5)).tolist() for n in range(20)})
        test = metrics.forget_quality(*sides, permutations=199)
        rejected["people"] += test.p_people <= 0.05
        rejected["questions"] += test.p_questions <= 0.05
    # Three standard errors of a share of 5 %.
    assert abs(rejected["people"] / runs - 0.05) < 3 * math.sqrt(0.05 * 0.95 / runs)
    assert rejected["questions"] / runs > 0.2


@pytest.mark.parametrize(
    ("edited", "gold"),
    [({}, {}), ({"a": [1.0]}, {"b": [1.0]}), ({"a": [1.0]}, {"a": [1.0, 2.0]}), ({"a": [math.nan]}, {"a": [1.0]})],
)
def test_what_cannot_be_compared_is_refused(edited, gold):
    with pytest.raises(ValueError, match="forget quality"):
        metrics.forget_quality(edited, gold)


@given(answers, st.floats(0.05, 1.0))
def test_min_k_is_the_mean_of_the_lowest(log_probs, share):
    count = max(1, int(len(log_probs) * share))
    assert metrics.min_k(log_probs, share) == pytest.approx(-sum(sorted(log_probs)[:count]) / count)
    assert metrics.min_k(log_probs, 1.0) == pytest.approx(metrics.loss(log_probs))
    assert metrics.min_k_plus_plus(log_probs, [0.0] * len(log_probs), [4.0] * len(log_probs), share) == pytest.approx(
        metrics.min_k(log_probs, share) / 2
    )


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_auc_is_the_area_under_the_curve(higher, lower):
    labels = [1] * len(higher) + [0] * len(lower)
    assert metrics.auc(higher, lower) == pytest.approx(roc_auc_score(labels, [*higher, *lower]))
