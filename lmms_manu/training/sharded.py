"""Training with the weights in shards, as `accelerate launch` asks for it (fully sharded data parallel).

What is trained is a twin of the model, whose weights lie in shards on the devices of all processes. The model itself
stays whole in main memory, unchanged until it gets what was trained.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from lmms_manu.errors import SettingError
from lmms_manu.models.devices import resolve_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.variables import rank_and_world

_FSDP, _DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
_READS_ITSELF = (
    " has to be false in accelerate's configuration: every process reads the checkpoint itself, which what was trained "
    "goes back into."
)


def is_asked() -> bool:
    """Whether the weights are to lie in shards: `accelerate launch` says it to the processes that it starts."""
    return (_says(_FSDP) or _says(_DEEPSPEED)) and rank_and_world()[1] > 1


def check_launch() -> None:
    """Refuses a launch that this package cannot train under.

    Raises:
        SettingError: naming the entry of accelerate's configuration.
    """
    if not is_asked():
        return
    if _says("ACCELERATE_DEEPSPEED_ZERO3_INIT"):
        raise SettingError("zero3_init_flag" + _READS_ITSELF)
    if not _says(_FSDP):
        return
    if os.environ.get("FSDP_VERSION", "1") != "2":
        raise SettingError("fsdp_version has to be 2 in accelerate's configuration: the first one keeps no names.")
    if _says("FSDP_CPU_RAM_EFFICIENT_LOADING"):
        raise SettingError("fsdp_cpu_ram_efficient_loading" + _READS_ITSELF)


def device_of(checkpoint: Checkpoint) -> torch.device:
    """The device that this process's shards lie on, wherever the checkpoint was loaded."""
    return resolve_device(dataclasses.replace(checkpoint.settings, device="auto"))


def twin(model: Any) -> Any:
    """The same modules once more, with parameters of their own on the same values, until these are moved or sharded."""
    own: dict[int, Any] = {}
    for parameter in model.parameters():
        own[id(parameter)] = nn.Parameter(parameter.data, requires_grad=parameter.requires_grad)
    return copy.deepcopy(model, own)


def gather(model: nn.Module, into: Mapping[str, nn.Parameter]) -> None:
    """Copies what was trained out of the shards; every process has to call this.

    Args:
        model: the twin.
        into: parameters of the model, by the same names.
    """
    sharded = dict(model.named_parameters())
    for name, parameter in into.items():
        with _whole(sharded[name]) as value:
            parameter.data.copy_(value)


@contextlib.contextmanager
def _whole(parameter: nn.Parameter) -> Iterator[torch.Tensor]:
    """The values of a parameter, of which this process may hold a share."""
    if isinstance(parameter, DTensor):
        yield parameter.full_tensor().detach()
    elif hasattr(parameter, "ds_id"):
        import deepspeed  # optional: only launches that name it need it

        with deepspeed.zero.GatheredParameters([parameter]):
            yield parameter.detach()
    else:
        yield parameter.detach()


def _says(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"
