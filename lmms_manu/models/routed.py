"""Activations of experts, whose projections are tensors rather than modules and see only the tokens routed to them.

No hook reaches between two products of tensors, so the functions that a mixture-of-experts layer calls are followed
while it runs: which rows of a tensor stem from which tokens, and which product takes the down projection's weight.
That holds for any of transformers' ways to compute experts (a loop, batched or grouped products).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock

_PRODUCTS = frozenset(
    {"linear", "matmul", "__matmul__", "mm", "bmm", "grouped_mm", "_grouped_mm", "grouped_mm_fallback"}
)
_SAME_ORDER = frozenset({"view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "contiguous"})


def watch_routed(
    model: nn.Module, blocks: Sequence[MlpBlock], callback: Callable[..., Any], stack: contextlib.ExitStack
) -> None:
    """Follows the layers that hold experts among `blocks`; `stack` takes the hooks off again."""
    scopes: dict[str, list[int]] = {}
    for index, block in enumerate(blocks):
        if block.routed:
            scopes.setdefault(block.scope, []).append(index)
    for scope, indices in scopes.items():
        layer = model.get_submodule(scope)
        experts = {index: model.get_submodule(blocks[index].down) for index in indices}
        follower = _Follower({index: (blocks[index], module) for index, module in experts.items()}, callback)
        for index, module in experts.items():
            if blocks[index].experts:
                hook = follower.enter_experts(index)
                stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        stack.callback(layer.register_forward_pre_hook(follower.enter_layer, with_kwargs=True).remove)
        stack.callback(layer.register_forward_hook(follower.leave_layer, always_call=True).remove)


class _Follower:
    """The hooks of one mixture-of-experts layer, which start and end the following of its functions.

    Args:
        blocks: the blocks of the layer and their down projections' modules, by their position among all watched.
        callback: what gets the activations.
    """

    def __init__(self, blocks: dict[int, tuple[MlpBlock, nn.Module]], callback: Callable[..., Any]) -> None:
        self._blocks = blocks
        self._callback = callback
        self._mode: _Following | None = None

    def enter_layer(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._mode = _Following(self._blocks, self._callback, _first_tensor(arguments, named))
        self._mode.__enter__()

    def enter_experts(self, index: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if self._mode is not None:
                self._mode.start_experts(index, _first_tensor(arguments, named))

        return hook

    def leave_layer(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(None, None, None)
            if output is not None:
                mode.refuse_unseen()


class _Following(TorchFunctionMode):
    """Follows the functions of one layer's forward pass from its input `[..., tokens, features]`."""

    def __init__(
        self, blocks: dict[int, tuple[MlpBlock, nn.Module]], callback: Callable[..., Any], hidden: torch.Tensor
    ) -> None:
        super().__init__()
        self._blocks = blocks
        self._callback = callback
        self._tokens = hidden.numel() // max(hidden.shape[-1], 1)
        # Which token each row of a tensor stems from; which experts' weights a gathered weight holds.
        self._rows = WeakTensorKeyDictionary()
        self._gathered = WeakTensorKeyDictionary()
        self._rows[hidden] = torch.arange(self._tokens, device=hidden.device)
        self._live: dict[int, torch.Tensor] = {}
        self._entered: dict[int, bool] = {}

    def start_experts(self, index: int, hidden: torch.Tensor) -> None:
        """Notes that a block's experts begin, and which rows of their input were routed to them at all.

        Some layers give every expert all tokens and set those to zero that it was not to see.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        if flat.shape[0]:
            self._entered.setdefault(index, False)
        if flat.shape[0] == self._tokens * self._blocks[index][0].experts:
            self._live[index] = (flat != 0).any(dim=-1)

    def refuse_unseen(self) -> None:
        """Raises if experts ran without any product that shows their activations."""
        for index, seen in self._entered.items():
            if not seen:
                raise ModelError(
                    f"The activations of {self._blocks[index][0].name} cannot be read: its experts run in a fused "
                    "kernel. Load the model with experts_implementation='eager'."
                )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "__get__":
            return func(*args, **kwargs)
        name = name.removesuffix(".default")
        if name == "__getitem__":
            return self._select(func, args)
        if name in _PRODUCTS:
            args = self._product(args, kwargs)
        result = func(*args, **kwargs)
        self._carry(name, args, kwargs, result)
        return result

    def _select(self, func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Follows `tensor[index]`: of tokens' rows, or of the experts' weights."""
        result = func(*args)
        tensor, index = args
        if not isinstance(result, torch.Tensor):
            return result
        if tensor in self._rows:
            rows = _select_rows(self._rows[tensor], tensor.shape, index)
            if rows is not None and rows.numel() * tensor.shape[-1] == result.numel():
                self._rows[result] = rows
            elif rows is None and result.shape[:-1] == tensor.shape[:-1]:
                self._rows[result] = self._rows[tensor]
        elif isinstance(index, torch.Tensor) and index.dim() == 1:
            for key, (block, module) in self._blocks.items():
                if block.experts and tensor is _down_weight(block, module):
                    self._gathered[result] = (key, index)
        return result

    def _carry(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Hands the rows of a followed argument on to the results that keep, repeat or reshape them."""
        for source in (arg for arg in args if isinstance(arg, torch.Tensor) and arg in self._rows):
            rows = self._rows[source]
            for tensor in result if isinstance(result, (tuple, list)) else (result,):
                if not isinstance(tensor, torch.Tensor) or tensor.dim() == 0 or tensor in self._rows:
                    continue
                if name == "repeat_interleave":
                    self._rows[tensor] = rows.repeat_interleave(tensor.numel() // max(source.numel(), 1))
                elif name in ("repeat", "expand"):
                    if tensor.numel() % max(source.numel(), 1) == 0 and tensor.shape[-1] == source.shape[-1]:
                        self._rows[tensor] = rows.repeat(tensor.numel() // max(source.numel(), 1))
                elif name == "index_select":
                    if tensor.numel() == args[2].numel() * source.shape[-1]:
                        self._rows[tensor] = rows[args[2]]
                elif (
                    tensor.shape[:-1] == source.shape[:-1]
                    or (name in _SAME_ORDER and tensor.numel() == source.numel())
                    or (name in _PRODUCTS and tensor.shape[0] == rows.numel())
                ):
                    self._rows[tensor] = rows
            return

    def _product(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Reports the activations if this product takes a down projection's weight; returns its arguments."""
        for position in (1, 0):
            weight = args[position] if len(args) > position else None
            if not isinstance(weight, torch.Tensor) or not isinstance(args[1 - position], torch.Tensor):
                continue
            found = self._find_weight(weight)
            if found is not None:
                index, expert = found
                activations = args[1 - position]
                changed = self._report(index, expert, activations, args, kwargs)
                if changed is not None:
                    rows = self._rows.get(activations)
                    if rows is not None:
                        self._rows[changed] = rows
                    args = (*args[: 1 - position], changed, *args[2 - position :])
                return args
        return args

    def _find_weight(self, weight: torch.Tensor) -> tuple[int, int | torch.Tensor | None] | None:
        """The block whose down projection `weight` is, and of which experts: one, one a row, or None for all."""
        if weight in self._gathered:
            return self._gathered[weight]
        for index, (block, module) in self._blocks.items():
            down = _down_weight(block, module)
            if down is None or down.device != weight.device or not down.numel():
                continue
            offset = weight.data_ptr() - down.data_ptr()
            if not 0 <= offset < down.numel() * down.element_size():
                continue
            if not block.experts:
                return index, 0
            return index, offset // (down.stride(0) * down.element_size()) if weight.dim() == 2 else None
        return None

    def _report(
        self,
        index: int,
        expert: int | torch.Tensor | None,
        activations: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> torch.Tensor | None:
        """Calls back for each expert of a product; returns the replaced activations, if any were."""
        block = self._blocks[index][0]
        self._entered[index] = True
        neurons = block.neurons_per_expert
        flat = activations.reshape(-1, neurons)
        rows = self._rows.get(activations)
        if rows is None or rows.numel() != flat.shape[0]:
            raise ModelError(
                f"The activations of {block.name} cannot be told apart by token: its layer moves them in a way that "
                "is not followed. Load the model with experts_implementation='eager'."
            )
        changed: torch.Tensor | None = None
        for number, chosen in self._experts_of(block, expert, activations, flat.shape[0], args, kwargs):
            if index in self._live and expert is None:
                chosen = chosen[self._live[index][chosen]]
            if not chosen.numel():
                continue
            columns = slice(number * neurons, (number + 1) * neurons)
            replacement = self._callback(index, flat[chosen], rows[chosen], columns)
            if replacement is not None:
                changed = flat.clone() if changed is None else changed
                changed[chosen] = replacement
        return None if changed is None else changed.view(activations.shape)

    def _experts_of(
        self,
        block: MlpBlock,
        expert: int | torch.Tensor | None,
        activations: torch.Tensor,
        count: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Each expert of a product and the positions of its rows among all `count` rows."""
        every = torch.arange(count, device=activations.device)
        if isinstance(expert, int):
            yield expert, every
        elif isinstance(expert, torch.Tensor):
            for number in expert.unique().tolist():
                yield number, every[expert == number]
        else:
            # All experts at once: the rows come expert by expert, in parts of equal length or of those given.
            ends = kwargs.get("offs", args[2] if len(args) > 2 else None)
            if ends is None:
                ends = torch.arange(1, block.experts + 1) * (count // block.experts)
            start = 0
            for number, end in enumerate(ends.tolist()):
                yield number, every[start:end]
                start = end


def _down_weight(block: MlpBlock, module: nn.Module) -> torch.Tensor | None:
    """The down projection's weight as it is now: offloaded weights come and go with each pass."""
    return module._parameters.get(block.slots[-1].parameter.rpartition(".")[2])


def _first_tensor(arguments: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor:
    return next(value for value in (*arguments, *named.values()) if isinstance(value, torch.Tensor))


def _select_rows(rows: torch.Tensor, shape: torch.Size, index: Any) -> torch.Tensor | None:
    """The rows that `index` selects of a tensor of this shape; None where it selects something else."""
    first, *rest = index if isinstance(index, tuple) else (index,)
    if not isinstance(first, (torch.Tensor, slice, int)) or any(part not in (..., slice(None)) for part in rest):
        return None
    if rows.numel() != shape[:-1].numel():
        return None
    if isinstance(first, torch.Tensor):
        first = first.to(rows.device)
        if first.dtype == torch.bool and first.dim() == len(shape):
            first = first[..., 0]
    return rows.view(shape[:-1])[first].reshape(-1)
