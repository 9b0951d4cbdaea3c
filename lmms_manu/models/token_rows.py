"""Which tokens the rows of tensors stem from, followed through the functions that move rows about."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

PRODUCTS = frozenset(
    {"linear", "matmul", "__matmul__", "mm", "bmm", "grouped_mm", "_grouped_mm", "grouped_mm_fallback"}
)
"""The names of functions that multiply rows with a weight."""

_SAME_ORDER = frozenset({"view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "contiguous"})


class TokenRows:
    """Knows for tensors `[..., features]` that derive from one input which token each row belongs to.

    A row is what lies along the last axis; rows are numbered in order of all the axes before it. Tensors are held
    weakly, so that following a layer keeps none of them alive.

    Args:
        hidden: the input `[..., features]`, whose rows are the tokens in order.
    """

    def __init__(self, hidden: torch.Tensor) -> None:
        self._rows = WeakTensorKeyDictionary()
        self._rows[hidden] = torch.arange(hidden.shape[:-1].numel(), device=hidden.device)

    def get(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The token of each row, int64 `[rows]`; None if that is not known."""
        rows: torch.Tensor | None = self._rows.get(tensor)
        return rows

    def set(self, tensor: torch.Tensor, rows: torch.Tensor) -> None:
        """Declares the token of each row."""
        self._rows[tensor] = rows

    def follow(self, function: str, args: tuple[Any, ...], result: Any) -> None:
        """Derives the rows of what `function` made of `args`, where one of these is known.

        Args:
            function: its name, such as "reshape" or "__getitem__".
            args: its positional arguments.
            result: a tensor, or several; other results are passed over.
        """
        source = next((arg for arg in args if isinstance(arg, torch.Tensor) and arg in self._rows), None)
        if source is None:
            return
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.dim() and tensor not in self._rows:
                rows = self._derive(function, source, args, tensor)
                if rows is not None:
                    self._rows[tensor] = rows

    def _derive(
        self, function: str, source: torch.Tensor, args: tuple[Any, ...], result: torch.Tensor
    ) -> torch.Tensor | None:
        rows: torch.Tensor = self._rows[source]
        if function == "__getitem__" and args[0] is source:
            selected = _select(rows, source.shape, args[1])
            if selected is not None:
                return selected if selected.numel() * source.shape[-1] == result.numel() else None
        times = result.numel() // max(source.numel(), 1)
        if function == "repeat_interleave":
            return rows.repeat_interleave(times) if result.shape[-1] == source.shape[-1] else None
        if function in ("repeat", "expand"):
            # Only whole copies one after another keep rows whole.
            copies = result.shape[-source.dim() :][1:] == source.shape[1:]
            return rows.repeat(times) if copies else None
        if function == "index_select":
            return rows[args[2]] if args[1] == 0 and source.dim() == 2 else None
        if function in _SAME_ORDER and result.numel() == source.numel():
            return rows
        if function in PRODUCTS and result.shape[0] == rows.numel():
            return rows
        return rows if result.shape[:-1] == source.shape[:-1] else None


def _select(rows: torch.Tensor, shape: torch.Size, index: Any) -> torch.Tensor | None:
    """The rows that `index` selects of a tensor of this shape; None where it selects something else than rows."""
    first, *rest = index if isinstance(index, tuple) else (index,)
    if not isinstance(first, (torch.Tensor, slice, int)) or rows.numel() != shape[:-1].numel():
        return None
    if not all(part is ... or (isinstance(part, slice) and part == slice(None)) for part in rest):
        return None
    if isinstance(first, torch.Tensor):
        first = first.to(rows.device)
        if first.dtype == torch.bool and first.dim() == len(shape):
            # A mask of single values; where it masks whole rows its first feature says which.
            first = first[..., 0]
    return rows.view(shape[:-1])[first].reshape(-1)
