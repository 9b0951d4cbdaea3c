import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.measuring.statistics import (
    MOMENTS,
    Statistic,
    are_finite,
    merge_into,
    no_observations,
    reduce_activations,
)

HIGHEST = Statistic("highest", "max", lambda z, tau: z.abs().amax(0))
LOWEST = Statistic("lowest", "min", lambda z, tau: z.amin(0))
KINDS = {"moments": MOMENTS, "some moments": MOMENTS[1:3], "mixed": (*MOMENTS, HIGHEST, LOWEST)}


def plain(statistics, activations, tau=0.1):
    """By the book: all at once, in float64."""
    z = activations.double()
    if not len(z):
        return no_observations(statistics, z.shape[1])
    return torch.stack([statistic.of(z, tau) for statistic in statistics])


def draw(rows, neurons=5, seed=0):
    return torch.randn(rows, neurons, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@given(rows=st.integers(0, 1500), seed=st.integers(0, 100))
def test_statistics_equal_a_plain_float64_computation(kind, rows, seed):
    z = draw(rows, seed=seed)
    values = reduce_activations(KINDS[kind], z, 0.1)
    torch.testing.assert_close(values, plain(KINDS[kind], z), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_given_rows_count_even_beside_nan(kind):
    z = draw(8)
    z[3] = float("nan")
    rows = torch.tensor([0, 1, 6])
    values = reduce_activations(KINDS[kind], z, 0.1, rows)
    torch.testing.assert_close(values, plain(KINDS[kind], z[rows]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), rows=st.integers(1, 40))
def test_merging_does_not_depend_on_the_split_or_the_order(kind, data, rows):
    # Multiples of 1/8, whose sums and squares are exact, so that equality can be asked for.
    z = (draw(rows) * 8).round() / 8
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, rows], strict=True)
    pieces = [reduce_activations(KINDS[kind], z[start:stop], 0.1) for start, stop in bounds]
    merged = no_observations(KINDS[kind], 5)
    for piece in data.draw(st.permutations(pieces)):
        merge_into(KINDS[kind], merged, piece)
    assert torch.equal(merged, reduce_activations(KINDS[kind], z, 0.1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_activations_are_summed_without_overflow(dtype):
    largest = 65504.0 if dtype is torch.float16 else 1e15
    z = torch.tensor([[largest, -largest, 6e-8]] * 100, dtype=dtype)
    torch.testing.assert_close(reduce_activations(MOMENTS, z, 0.1), plain(MOMENTS, z), rtol=1e-6, atol=1e-12)


def test_squares_beyond_float32_need_float64():
    z = torch.tensor([[1e25]])
    assert not are_finite(MOMENTS, reduce_activations(MOMENTS, z, 0.1))
    assert are_finite(MOMENTS, reduce_activations(MOMENTS, z, 0.1, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_activation_that_is_not_finite_shows(kind, value):
    z = draw(3)
    z[1, 2] = value
    values = reduce_activations(KINDS[kind], z, 0.1)
    assert not are_finite(KINDS[kind], values)
    assert are_finite(KINDS[kind], values[:, :2])


def test_nothing_observed_is_nothing_wrong():
    assert are_finite(KINDS["mixed"], no_observations(KINDS["mixed"], 3))


def test_what_no_activation_determines_is_refused_by_name():
    with pytest.raises(ValueError, match="'gradient' is no function of activations"):
        reduce_activations((Statistic("gradient", "sum"),), draw(3), 0.1)
