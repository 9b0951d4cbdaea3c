"""Which versions of the libraries are installed that answers and scores depend on."""

from __future__ import annotations

import functools
import importlib.metadata
import platform

PACKAGES = ("lmms-manu", "lmms-eval", "torch", "transformers", "accelerate", "datasets")


@functools.cache
def installed() -> dict[str, str]:
    """The version of each of `PACKAGES` that is installed, and of Python.

    The harness's own record of its version is `unknown` where it was installed from a package index.
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def differences(before: dict[str, str], now: dict[str, str]) -> str:
    """What differs between two tables of versions, such as `torch 2.9 then, 2.10 now`; empty if nothing does."""
    names = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    return "; ".join(f"{name} {before[name]} then, {now[name]} now" for name in names)
