"""Activations of experts, whose projections are tensors rather than modules and see only the tokens routed to them.

No hook reaches between two products of tensors, so the functions that a mixture-of-experts layer calls are followed
while it runs: which rows of a tensor stem from which tokens, and which product takes the down projection's weight.
That holds for any of transformers' ways to compute experts (a loop, batched or grouped products).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.token_rows import PRODUCTS, TokenRows


@runtime_checkable
class TakesExperts(Protocol):
    """A callback that can take all experts of a product at once, which spares it hundreds of small calls."""

    def experts(self, index: int, activations: torch.Tensor, rows: torch.Tensor, counts: Sequence[int]) -> bool:
        """Takes the activations of all experts, unless it returns False: then it is called expert by expert.

        Args:
            index: the block's position.
            activations: `[rows, neurons of an expert]`, expert by expert.
            rows: the token positions of the rows, `[rows]`.
            counts: how many rows each expert has.
        """


def watch_routed(
    model: nn.Module, blocks: Sequence[MlpBlock], callback: Callable[..., Any], stack: contextlib.ExitStack
) -> None:
    """Follows the layers that hold experts among `blocks`; `stack` takes the hooks off again."""
    scopes: dict[str, dict[int, tuple[MlpBlock, nn.Module]]] = {}
    for index, block in enumerate(blocks):
        if block.routed:
            scopes.setdefault(block.scope, {})[index] = block, model.get_submodule(block.down)
    for scope, within in scopes.items():
        follower = _Follower(within, callback)
        for index, (block, module) in within.items():
            if block.experts:
                hook = follower.enter_experts(index)
                stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        layer = model.get_submodule(scope)
        stack.callback(layer.register_forward_pre_hook(follower.enter_layer, with_kwargs=True).remove)
        stack.callback(layer.register_forward_hook(follower.leave_layer, always_call=True).remove)


class _Follower:
    """The hooks of one mixture-of-experts layer, which start and end the following of its functions.

    Args:
        blocks: the blocks of the layer and their down projections' modules, by their position among all watched.
        callback: what gets the activations.
    """

    def __init__(self, blocks: Mapping[int, tuple[MlpBlock, nn.Module]], callback: Callable[..., Any]) -> None:
        self._blocks = blocks
        self._callback = callback
        self._mode: _Following | None = None

    def enter_layer(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._mode = _Following(self._blocks, self._callback, _hidden_states(arguments, named))
        self._mode.__enter__()  # type: ignore[no-untyped-call]  # torch's

    def enter_experts(self, index: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def hook(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if self._mode is not None:
                self._mode.start_experts(index, _hidden_states(arguments, named))

        return hook

    def leave_layer(self, module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]  # torch's
            # There is no output after an error, which then is the one to be seen.
            if output is not None:
                mode.refuse_unseen()


class _Following(TorchFunctionMode):
    """Follows the functions of one layer's forward pass from its input `[..., tokens, features]`."""

    def __init__(
        self, blocks: Mapping[int, tuple[MlpBlock, nn.Module]], callback: Callable[..., Any], hidden: torch.Tensor
    ) -> None:
        super().__init__()
        self._blocks = blocks
        self._callback = callback
        self._tokens = hidden.shape[:-1].numel()
        self._rows = TokenRows(hidden)
        self._gathered = WeakTensorKeyDictionary()
        self._given: dict[int, torch.Tensor] = {}
        self._seen: dict[int, bool] = {}

    def start_experts(self, index: int, hidden: torch.Tensor) -> None:
        """Notes that a block's experts begin, and which rows of their input were routed to them at all.

        Some layers give every expert all tokens and set those to zero that it was not to see.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        if flat.shape[0]:
            self._seen.setdefault(index, False)
        if flat.shape[0] == self._tokens * self._blocks[index][0].experts:
            self._given[index] = (flat != 0).any(dim=-1)

    def refuse_unseen(self) -> None:
        """Raises if experts ran without any product that shows their activations."""
        for index, seen in self._seen.items():
            if not seen:
                raise ModelError(
                    f"The activations of {self._blocks[index][0].name} cannot be read: its experts run in a fused "
                    "kernel. Load the model with experts_implementation='eager'."
                )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").removesuffix(".default")
        if name in PRODUCTS:
            args = self._report_product(args, kwargs)
        result = func(*args, **kwargs)
        if name != "__get__":
            self._rows.follow(name, args, result)
        if name == "__getitem__":
            self._note_gathered(args[0], args[1], result)
        return result

    def _note_gathered(self, weights: torch.Tensor, experts: Any, result: torch.Tensor) -> None:
        """Remembers of a copy of down projections, one a row, whose they are."""
        if isinstance(experts, torch.Tensor) and experts.dim() == 1:
            for index, (block, module) in self._blocks.items():
                if block.experts and weights is _down_weight(block, module):
                    self._gathered[result] = index, experts

    def _report_product(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Reports the activations if this product takes a down projection's weight; returns its arguments."""
        for position in (1, 0):
            if len(args) < 2 or not all(isinstance(arg, torch.Tensor) for arg in args[:2]):
                continue
            found = self._find_weight(args[position])
            if found is None:
                continue
            index, expert = found
            ends = kwargs.get("offs", args[2] if len(args) > 2 else None)
            changed = self._report(index, expert, args[1 - position], ends)
            if changed is not None:
                args = (changed, *args[1:]) if position else (args[0], changed, *args[2:])
            return args
        return args

    def _find_weight(self, weight: torch.Tensor) -> tuple[int, int | torch.Tensor | None] | None:
        """The block whose down projection `weight` is, and of which experts: one, one a row, or None for all."""
        if weight in self._gathered:
            gathered: tuple[int, torch.Tensor] = self._gathered[weight]
            return gathered
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
        self, index: int, expert: int | torch.Tensor | None, activations: torch.Tensor, ends: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Calls back for each expert of a product; returns the replaced activations, if any were."""
        block = self._blocks[index][0]
        self._seen[index] = True
        neurons = block.neurons_per_expert
        flat = activations.reshape(-1, neurons)
        rows = self._rows.get(activations)
        if rows is None or rows.numel() != flat.shape[0]:
            raise ModelError(
                f"The activations of {block.name} cannot be told apart by token: its layer moves them in a way that "
                "is not followed. Load the model with experts_implementation='eager'."
            )
        if isinstance(self._callback, TakesExperts) and self._taken_at_once(index, expert, flat, rows, ends):
            return None
        replaced: torch.Tensor | None = None
        for number, chosen in _by_expert(block, expert, flat, ends):
            if index in self._given and expert is None:
                chosen = chosen[self._given[index][chosen]]
            if not chosen.numel():
                continue
            columns = slice(number * neurons, (number + 1) * neurons)
            replacement = self._callback(index, flat[chosen], rows[chosen], columns)
            if replacement is not None:
                replaced = flat.clone() if replaced is None else replaced
                replaced[chosen] = replacement
        if replaced is None:
            return None
        replaced = replaced.view(activations.shape)
        self._rows.set(replaced, rows)
        return replaced

    def _taken_at_once(
        self,
        index: int,
        expert: int | torch.Tensor | None,
        flat: torch.Tensor,
        rows: torch.Tensor,
        ends: torch.Tensor | None,
    ) -> bool:
        """Gives the callback all experts of a product together; False where it is of one expert, or it wants them so.

        Layers that give every expert all tokens are left to the other way, which knows those that were not routed.
        """
        if isinstance(expert, int) or index in self._given or not flat.shape[0]:
            return False
        experts = self._blocks[index][0].experts
        if isinstance(expert, torch.Tensor):
            order = expert.argsort(stable=True)
            flat, rows, counts = flat[order], rows[order], expert.bincount(minlength=experts).tolist()
        elif ends is not None:
            stops = ends.tolist()
            counts = [stop - start for start, stop in zip([0, *stops], stops, strict=False)]
            flat, rows = flat[: stops[-1]], rows[: stops[-1]]
        else:
            counts = [flat.shape[0] // experts] * experts
        callback = self._callback
        return isinstance(callback, TakesExperts) and callback.experts(index, flat, rows, counts)


def _by_expert(
    block: MlpBlock, expert: int | torch.Tensor | None, flat: torch.Tensor, ends: torch.Tensor | None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Each expert of a product and the positions of its rows in `flat`.

    Args:
        block: the block of the experts.
        expert: the one that all rows belong to, the one of each row, or None where rows come expert by expert.
        flat: the activations `[rows, neurons]`.
        ends: where the rows of each expert end, None for parts of equal length.
    """
    every = torch.arange(flat.shape[0], device=flat.device)
    if isinstance(expert, int):
        yield expert, every
    elif isinstance(expert, torch.Tensor):
        for number in expert.unique().tolist():
            yield number, every[expert == number]
    else:
        if ends is None:
            ends = torch.arange(1, block.experts + 1) * (flat.shape[0] // block.experts)
        start = 0
        for number, end in enumerate(ends.tolist()):
            yield number, every[start:end]
            start = end


def _down_weight(block: MlpBlock, module: nn.Module) -> torch.Tensor | None:
    """The down projection's weight as it is now: offloaded weights come and go with each pass."""
    return module._parameters.get(block.slots[-1].parameter.rpartition(".")[2])


def _hidden_states(arguments: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor:
    return next(
        value
        for value in (*arguments, *named.values())
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    )
