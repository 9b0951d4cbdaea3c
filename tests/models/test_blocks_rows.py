"""Rows are followed to their tokens through any sequence of functions that move them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmms_manu.models.token_rows import TokenRows

FEATURES = 3


def steps_for(tensor, draw):
    """Functions that may be called on `tensor`, as names and positional arguments behind it."""
    rows = tensor.shape[0]
    flat = tensor.dim() == 2
    yield "mul", (2.0,)
    yield "reshape", (-1, FEATURES)
    yield "unsqueeze", (0,)
    if rows:
        positions = draw(st.lists(st.integers(0, rows - 1), max_size=6))
        yield "__getitem__", (torch.tensor(positions, dtype=torch.long),)
        yield "__getitem__", ((torch.tensor(positions, dtype=torch.long), slice(None)),)
        yield "__getitem__", (torch.tensor(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))),)
        yield "__getitem__", (slice(draw(st.integers(0, rows)), draw(st.integers(0, rows))),)
        if flat:
            yield "index_select", (0, torch.tensor(positions, dtype=torch.long))
            yield "repeat", (draw(st.integers(1, 3)), 1)
            yield "repeat_interleave", (draw(st.integers(1, 3)), 0)
            drawn = torch.rand(rows, 1, generator=torch.Generator().manual_seed(rows))
            yield "__getitem__", (drawn.expand(rows, FEATURES) > 0.5,)


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.data())
def test_rows_are_known_and_right_after_any_functions(batch, tokens, data):
    hidden = (torch.arange(batch * tokens).float() + 1)[:, None].expand(-1, FEATURES).reshape(batch, tokens, FEATURES)
    rows = TokenRows(hidden)
    tensor, scale = hidden, 1.0
    for _ in range(data.draw(st.integers(0, 5))):
        name, args = data.draw(st.sampled_from(list(steps_for(tensor, data.draw))))
        result = getattr(tensor, name)(*args)
        rows.follow(name, (tensor, *args), result)
        scale *= 2.0 if name == "mul" else 1.0
        # A mask of single values leaves a flat tensor, which every model makes rows of again.
        tensor = result if result.dim() > 1 else result.reshape(-1, FEATURES)
        rows.follow("reshape", (result, -1, FEATURES), tensor)
    known = rows.get(tensor)
    assert known is not None
    assert torch.equal(known, (tensor / scale).reshape(-1, FEATURES)[:, 0].long() - 1)


@given(st.integers(1, 4), st.integers(1, 4))
def test_products_keep_rows_and_reductions_lose_them(tokens, neurons):
    hidden = torch.ones(2, tokens, FEATURES)
    rows = TokenRows(hidden)
    wider = hidden @ torch.ones(FEATURES, neurons)
    rows.follow("matmul", (hidden, torch.ones(FEATURES, neurons)), wider)
    known = rows.get(wider)
    assert known is not None
    assert torch.equal(known, torch.arange(2 * tokens))
    mean = hidden.mean(dim=-1)
    rows.follow("mean", (hidden,), mean)
    assert rows.get(mean) is None or tokens == mean.shape[-1] == 1


def test_tensors_that_derive_from_something_else_are_not_known():
    rows = TokenRows(torch.ones(2, FEATURES))
    other = torch.ones(2, FEATURES)
    rows.follow("mul", (other, 2.0), other * 2)
    assert rows.get(other) is None
