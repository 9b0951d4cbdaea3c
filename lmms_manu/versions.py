"""Which versions of the libraries are installed that computed numbers, answers and scores depend on."""

from __future__ import annotations

import contextlib
import functools
import platform
from importlib import metadata

from lmms_manu._version import __version__

PACKAGES = ("lmms-manu", "lmms-eval", "torch", "transformers", "accelerate", "datasets")

# They read a checkpoint, make inputs of texts and pictures, and compute.
_COMPUTING = ("transformers", "tokenizers", "pillow", "torchvision", "timm", "flash-attn", "peft")


@functools.cache
def installed_version(package: str) -> str | None:
    """The version of a package, None if it is not installed."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


@functools.cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that a computed number may depend on, of this package and of Python."""
    import torch  # takes seconds, which those who ask for one package's version would wait for

    found = {name: installed_version(name) for name in _COMPUTING}
    # By itself torch says what it was built for; the package's version does not.
    known = {"lmms-manu": __version__, "torch": torch.__version__, "python": platform.python_version(), **found}
    return {name: version for name, version in known.items() if version is not None}


@functools.cache
def installed() -> dict[str, str]:
    """The version of each of `PACKAGES` that is installed, and of Python.

    The harness's own record of its version is `unknown` where it was installed from a package index.
    """
    found = {name: version for name in PACKAGES if (version := installed_version(name)) is not None}
    return {"python": platform.python_version(), **found}


def differences(before: dict[str, str], now: dict[str, str]) -> str:
    """What differs between two tables of versions, such as `torch 2.9 then, 2.10 now`; empty if nothing does."""
    names = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    return "; ".join(f"{name} {before[name]} then, {now[name]} now" for name in names)
