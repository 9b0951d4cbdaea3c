"""The device that a process computes on."""

from __future__ import annotations

import os

import torch

from lmms_manu.errors import SettingError
from lmms_manu.models.settings import ModelSettings
from lmms_manu.variables import rank_and_world


def resolve_device(settings: ModelSettings) -> torch.device:
    """The device that `settings.device` means in this process; with several processes each has its own GPU.

    Raises:
        SettingError: there is no such device here, or it belongs to another process.
    """
    name = settings.device
    if name == "auto":
        name = _best_device()
    if name == "cuda":
        name = _own_gpu()
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(
            f"device={settings.device!r} is not a device: use auto, cpu, mps, cuda or cuda:0."
        ) from error
    world = rank_and_world()[1]
    if world > 1 and device.type == "cuda" and str(device) != _own_gpu():
        raise SettingError(
            f"device={settings.device!r} is one GPU for {world} processes, of which each has one of its own (this one "
            f"{_own_gpu()}): leave device out."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SettingError(
            f"device={str(device)!r} is not there: this machine has {torch.cuda.device_count()} CUDA devices. "
            "Start at most one process per device, or use device=cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SettingError("device='mps' is not there: this machine has no Metal device. Use device=cpu.")
    return device


def _own_gpu() -> str:
    """The GPU of this process among those that it sees."""
    # Launchers other than torchrun and accelerate may show each process no GPU but its own.
    if "LOCAL_WORLD_SIZE" not in os.environ and torch.cuda.device_count() == 1:
        return "cuda:0"
    return f"cuda:{int(os.environ.get('LOCAL_RANK') or 0)}"


def _best_device() -> str:
    # The variable by which accelerate is told to leave the GPUs alone.
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
