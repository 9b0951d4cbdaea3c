"""What a model's probabilities of given answers say about its knowledge: pure functions of token log-probabilities.

Args that recur:
    log_probs: float `[tokens]`, the log-probability of each token of an answer, given the prompt and the tokens before.
        The token that ends an answer does not count.
    likeliest: bool `[tokens]`, whether the token is the one that the model finds likeliest at its place.

Sources: Maini et al., TOFU (arXiv 2401.06121); Dorna et al., OpenUnlearning (arXiv 2506.12618) and its code; for
membership Shi et al. (2310.16789, min-k), Zhang et al. (2404.02936, min-k++) and Carlini et al. (2012.07805, zlib).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

PERMUTATIONS = 9999

LOG_TRUTH_RATIO = "log_truth_ratio"
"""What a sample holds beside its scores: the logarithm of R, by which two models are compared."""

Numbers = Sequence[float]
_SMALLEST_VARIANCE = 1e-6


def answer_probability(log_probs: Numbers) -> float:
    """The geometric mean of the tokens' probabilities: the answer's own to the power of 1 / length."""
    return float(np.exp(np.mean(log_probs)))


def log_truth_ratio(right: Numbers, wrong: Sequence[Numbers]) -> float:
    """The logarithm of R: the geometric mean of the wrong answers' probabilities over the right one's.

    As a logarithm it cannot overflow, and a test that goes by ranks finds the same.

    Args:
        right: log-probabilities of the right answer.
        wrong: those of each wrong answer.
    """
    return float(np.mean([np.mean(each) for each in wrong]) - np.mean(right))


def closer_to_one(log_ratio: float) -> float:
    """min(R, 1/R): 1 where the right answer is no likelier than the wrong ones, 0 where one side is certain."""
    return float(np.exp(-abs(log_ratio)))


def true_better(log_ratio: float) -> float:
    """max(0, 1 - R): 0 where the right answer is no likelier than the wrong ones."""
    return float(max(0.0, -np.expm1(min(log_ratio, 0.0))))


def prob_mean(right: Numbers, wrong: Sequence[Numbers]) -> float:
    """The right answer's share of the probabilities of all: with three wrong answers, .25 is chance.

    OpenUnlearning sets the geometric mean of the wrong answers in place of their sum; with one wrong answer both are
    the same.
    """
    means = np.asarray([np.mean(right), *(np.mean(each) for each in wrong)])
    shares = np.exp(means - means.max())
    return float(shares[0] / shares.sum())


def exact_memorisation(likeliest: Sequence[bool]) -> float:
    """The share of the answer's tokens that the model finds likeliest."""
    return float(np.mean(likeliest))


def extraction_strength(likeliest: Sequence[bool]) -> float:
    """1 - k / length, where k is the shortest beginning after which the model goes on with the rest by itself."""
    (missed,) = np.nonzero(~np.asarray(likeliest, dtype=bool))
    return 1 - (int(missed[-1]) + 1) / len(likeliest) if len(missed) else 1.0


class KsTest(NamedTuple):
    """A two-sample Kolmogorov-Smirnov test, and one that knows that questions of one person are not independent.

    Args:
        statistic: the largest distance between the two distribution functions.
        p_questions: two-sided p-value as if all questions were independent.
        p_people: p-value of the permutation test over people.
        questions: how many questions there are of each model.
        people: of how many people.
    """

    statistic: float
    p_questions: float
    p_people: float
    questions: int
    people: int


def forget_quality(
    edited: Mapping[str, Numbers], gold: Mapping[str, Numbers], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> KsTest:
    """Whether two models' truth ratios could be drawn from one distribution: TOFU's forget quality, people as clusters.

    The permutation test exchanges, person by person, what the two models gave; all of a person's questions at once.

    Args:
        edited: truth ratios or their logarithms of one model, by person.
        gold: those of the model that never met the people, of the same questions.
        permutations: drawn exchanges.
        seed: of the draws.

    Raises:
        ValueError: other people or other numbers of questions on the two sides, nobody, or a value that is no number.
    """
    people = sorted(edited)
    if not people or people != sorted(gold) or any(len(edited[each]) != len(gold[each]) for each in people):
        raise ValueError("forget quality compares the same questions about the same people")
    mine, theirs = (np.concatenate([side[each] for each in people]) for side in (edited, gold))
    if not np.isfinite([mine, theirs]).all():
        raise ValueError("forget quality: a truth ratio is not a number")
    owner = np.repeat(np.arange(len(people)), [len(edited[each]) for each in people])
    # Both models' values in their common order, +1 for the first and -1 for the second: the two distribution functions
    # differ by the running sum, read where a value ends.
    values = np.concatenate([mine, theirs])
    order = np.argsort(values, kind="stable")
    ends = np.append(np.diff(values[order]) > 0, True)
    signs = np.repeat([1, -1], len(mine))[order]
    owners = np.concatenate([owner, owner])[order]
    draws = np.random.default_rng(seed).choice([-1, 1], size=(permutations, len(people)))
    observed = np.abs(np.cumsum(signs)[ends]).max()
    found = 0
    for some in np.array_split(draws, max(1, draws.size * len(owners) // (len(people) * 10**7))):
        found += int((np.abs(np.cumsum(some[:, owners] * signs, axis=1)[:, ends]).max(1) >= observed).sum())
    # Imported here, because scipy.stats takes half a second, and whoever scores an answer needs none of it.
    from scipy.stats import ks_2samp

    test = ks_2samp(mine, theirs)
    return KsTest(
        float(observed / len(mine)), float(test.pvalue), (found + 1) / (permutations + 1), len(mine), len(people)
    )


def loss(log_probs: Numbers) -> float:
    """Mean negative log-likelihood of a token."""
    return float(-np.mean(log_probs))


def zlib_ratio(log_probs: Numbers, answer: str) -> float:
    """The loss over the length of the compressed answer, which takes out how predictable the text is by itself."""
    return loss(log_probs) / len(zlib.compress(answer.encode()))


def min_k(log_probs: Numbers, share: float) -> float:
    """Minus the mean of the lowest `share` of the log-probabilities, of one of them at least."""
    count = max(1, int(share * len(log_probs)))
    return float(-np.mean(np.sort(log_probs)[:count]))


def min_k_plus_plus(log_probs: Numbers, means: Numbers, variances: Numbers, share: float) -> float:
    """`min_k` of log-probabilities that are standardised by the model's own distribution at each place.

    Args:
        log_probs: as above.
        means: float `[tokens]`, the expected log-probability of a token drawn from the model.
        variances: float `[tokens]`, its variance.
        share: of the tokens that count.
    """
    spread = np.sqrt(np.maximum(variances, _SMALLEST_VARIANCE))
    return min_k(((np.asarray(log_probs) - np.asarray(means)) / spread).tolist(), share)


def auc(higher: Numbers, lower: Numbers) -> float:
    """The chance that a value of `higher` is above one of `lower`, ties counted half: the area under the ROC curve."""
    one, other = np.asarray(higher, dtype=float)[:, None], np.asarray(lower, dtype=float)
    return float(np.mean((one > other) + 0.5 * (one == other)))
