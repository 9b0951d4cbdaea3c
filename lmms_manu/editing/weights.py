"""Reading and writing a model's weights where they really are: on a device, or offloaded by accelerate.

An offloaded parameter is an empty shell on the meta device between forward passes; what counts is the hook's map of
weights. Weights offloaded to disk may stand in the checkpoint itself, which is never written to: an edited weight goes
to a file of its own, to which the map then points.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook, SequentialHook
from accelerate.utils import OffloadedWeightsLoader, PrefixedDataset
from safetensors.torch import save_file
from torch import nn

from lmms_manu.errors import ModelError
from lmms_manu.files import atomic_path

_folders: weakref.WeakKeyDictionary[nn.Module, tempfile.TemporaryDirectory[str]] = weakref.WeakKeyDictionary()


def read_weight(model: nn.Module, name: str) -> torch.Tensor:
    """The parameter called `name` as it will be in the next forward pass, on whatever device it is.

    Raises:
        ModelError: it has no values here (the meta device without a hook that brings them).
    """
    parameter = model.get_parameter(name)
    if parameter.device.type != "meta":
        return parameter.detach()
    weights, key = _offloaded(model, name)
    return weights[key]


def edit_weight(model: nn.Module, name: str, edit: Callable[[torch.Tensor], None]) -> None:
    """Calls `edit` with the parameter called `name` to be changed in place, and stores the result if need be.

    Raises:
        ModelError: the parameter is offloaded in a way that is not known.
    """
    parameter = model.get_parameter(name)
    if parameter.device.type != "meta":
        edit(parameter.data)
        return
    weights, key = _offloaded(model, name)
    changed = weights[key].detach().clone()
    edit(changed)
    _store(model, weights, key, changed)


def location(model: nn.Module, name: str, parameter: nn.Parameter) -> Hashable:
    """Where the values of the `parameter` called `name` lie, in memory or in a file: the same for weights that are one.

    Raises:
        ModelError: it has no values here, so that it can be neither read nor written.
    """
    if parameter.device.type != "meta":
        return parameter.data_ptr(), parameter.device
    weights, key = _offloaded(model, name)
    if isinstance(weights, OffloadedWeightsLoader) and key not in weights.state_dict:
        entry = weights.index[key]
        return entry.get("safetensors_file", weights.save_folder), entry.get("weight_name", key)
    return weights[key].data_ptr(), weights[key].device


def _offloaded(model: nn.Module, name: str) -> tuple[dict[str, torch.Tensor] | OffloadedWeightsLoader, str]:
    """The store that holds an offloaded parameter, and its key there."""
    owner, _, key = name.rpartition(".")
    while True:
        hook = _align_hook(model.get_submodule(owner))
        if hook is not None and hook.offload and hook.weights_map is not None:
            store, full_key = _innermost(hook.weights_map, key, name)
            if full_key in (store.all_keys if isinstance(store, OffloadedWeightsLoader) else store):
                return store, full_key
        if not owner:
            raise ModelError(
                f"{name} has no values: it is on the meta device and no accelerate hook brings it in. Load the model "
                "with from_pretrained, or with a device map that accelerate offloads."
            )
        owner, _, part = owner.rpartition(".")
        key = f"{part}.{key}"


def _align_hook(module: nn.Module) -> AlignDevicesHook | None:
    hook = getattr(module, "_hf_hook", None)
    hooks = hook.hooks if isinstance(hook, SequentialHook) else (hook,)
    return next((each for each in hooks if isinstance(each, AlignDevicesHook)), None)


def _innermost(weights: Any, key: str, name: str) -> tuple[dict[str, torch.Tensor] | OffloadedWeightsLoader, str]:
    """The store behind any prefixes, and the key there."""
    while isinstance(weights, PrefixedDataset):
        weights, key = weights.dataset, f"{weights.prefix}{key}"
    if not isinstance(weights, (dict, OffloadedWeightsLoader)):
        raise ModelError(f"{name} is offloaded to a {type(weights).__name__}, which cannot be edited.")
    return weights, key


def _store(
    model: nn.Module, store: dict[str, torch.Tensor] | OffloadedWeightsLoader, key: str, tensor: torch.Tensor
) -> None:
    if isinstance(store, dict):
        store[key] = tensor
    elif key in store.state_dict:
        store.state_dict[key] = tensor
    else:
        file = _folder(model, store) / f"{key}.safetensors"
        # A file that is read through a memory map must not be written to: each edit replaces it whole.
        with atomic_path(file) as temporary:
            save_file({"weight": tensor.contiguous()}, temporary)
        dtype = str(tensor.dtype).removeprefix("torch.")
        store.index[key] = {"safetensors_file": str(file), "weight_name": "weight", "dtype": dtype}


def _folder(model: nn.Module, loader: OffloadedWeightsLoader) -> Path:
    """A folder for edited weights beside the offloaded ones, which goes when the model does."""
    folder = _folders.get(model)
    if folder is None:
        parent = loader.save_folder if loader.save_folder and Path(loader.save_folder).is_dir() else None
        folder = _folders[model] = tempfile.TemporaryDirectory(prefix="edited-", dir=parent)
        weakref.finalize(model, folder.cleanup)
    return Path(folder.name)
