"""Tensors in safetensors files that are written whole and verified on reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lmms_manu.files import atomic_path

_ABOUT, _DIGEST = "about", "xxh3_128"


class DamagedFileError(Exception):
    """A file does not hold what was written into it."""


def store_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Writes `tensors` (on the CPU) with a description `about` them, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(about, sort_keys=True)
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata={_ABOUT: text, _DIGEST: _digest(contiguous, text)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file and what it says about them.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is no safetensors file, its contents are not what was written, or it must not be read.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
        if metadata[_DIGEST] != _digest(tensors, metadata[_ABOUT]):
            raise DamagedFileError(f"{path} is damaged: its contents do not match their checksum.")
        return tensors, json.loads(metadata[_ABOUT])
    except FileNotFoundError:
        raise
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from error


def load_description(path: Path) -> dict[str, Any]:
    """What a file says about its tensors, which are neither read nor verified.

    Raises:
        DamagedFileError: it cannot be read.
    """
    try:
        about: dict[str, Any] = json.loads(metadata_of(path)[_ABOUT])
        return about
    except (KeyError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from error


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of any safetensors file.

    Raises:
        DamagedFileError: it is no such file, or cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}") from error


def _digest(tensors: Mapping[str, Tensor], about: str) -> str:
    # Against damage, not against forgery: a cryptographic hash would take longer than the reading.
    digest = xxhash.xxh3_128(about.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
