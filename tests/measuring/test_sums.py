import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.measuring import sums as sums_module
from lmms_manu.measuring.sums import ActivationSums, sum_activations


def plain(activations, tau):
    z = activations.double()
    return torch.stack(
        [
            torch.full((z.shape[1],), float(len(z)), dtype=torch.float64),
            z.abs().sum(0),
            z.sum(0),
            z.square().sum(0),
            (z.abs() > tau).double().sum(0),
        ]
    )


def draw(rows, neurons=5, seed=0):
    return torch.randn(rows, neurons, generator=torch.Generator().manual_seed(seed))


@given(rows=st.integers(0, 1500), seed=st.integers(0, 100))
def test_the_five_sums_equal_a_plain_float64_computation(rows, seed):
    z = draw(rows, seed=seed)
    torch.testing.assert_close(sum_activations(z, 0.1).values, plain(z, 0.1), rtol=1e-5, atol=1e-3)


def test_only_the_given_rows_count_even_beside_nan():
    z = draw(8)
    z[3] = float("nan")
    rows = torch.tensor([0, 1, 6])
    torch.testing.assert_close(sum_activations(z, 0.1, rows).values, plain(z[rows], 0.1), rtol=1e-6, atol=1e-6)


@given(data=st.data(), rows=st.integers(1, 40))
def test_merging_does_not_depend_on_the_split_or_the_order(data, rows):
    # Multiples of 1/8, whose sums and squares are exact, so that equality can be asked for.
    z = (draw(rows) * 8).round() / 8
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=4)))
    pieces = [sum_activations(z[start:stop], 0.1) for start, stop in zip([0, *cuts], [*cuts, rows], strict=True)]
    merged = ActivationSums.zeros(5)
    for piece in data.draw(st.permutations(pieces)):
        merged = merged.merge(piece)
    assert torch.equal(merged.values, sum_activations(z, 0.1).values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_activations_are_summed_without_overflow(dtype):
    largest = 65504.0 if dtype is torch.float16 else 1e15
    z = torch.tensor([[largest, -largest, 6e-8]] * 100, dtype=dtype)
    torch.testing.assert_close(sum_activations(z, 0.1).values, plain(z, 0.1), rtol=1e-6, atol=1e-12)


def test_squares_beyond_float32_need_float64():
    z = torch.tensor([[1e25]])
    assert not sum_activations(z, 0.1).values.isfinite().all()
    assert sum_activations(z, 0.1, dtype=torch.float64).values.isfinite().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_activation_that_is_not_finite_shows_in_the_sums(value):
    z = draw(3)
    z[1, 2] = value
    assert not sum_activations(z, 0.1).values[:, 2].isfinite().all()
    assert sum_activations(z, 0.1).values[:, :2].isfinite().all()


def test_sums_have_names():
    sums = sum_activations(torch.tensor([[2.0], [-0.05]]), 0.1)
    assert [sums.count, sums.absolute, sums.signed, sums.squared, sums.active] == [
        2,
        pytest.approx(2.05),
        pytest.approx(1.95),
        pytest.approx(4.0025),
        1,
    ]
    assert len(sums_module.SUMS) == len(sums.values)
