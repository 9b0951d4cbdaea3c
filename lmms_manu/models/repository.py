"""The files of a checkpoint: a folder's on this machine, or those of a repository on the hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import model_info, try_to_load_from_cache
from transformers.utils.hub import cached_file

from lmms_manu.errors import ModelError, first_line
from lmms_manu.models.settings import CHECKPOINT_CONFIGS, nearest_checkpoint

_CONFIGURATIONS = (*CHECKPOINT_CONFIGS, "processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
_HUB_SECONDS = 10.0


def has_file(source: str, name: str, revision: str | None = None) -> bool:
    """Whether a checkpoint has this file, which is fetched if it lies on the hub."""
    if Path(source).is_dir():
        return (Path(source) / name).is_file()
    try:
        return cached_file(source, name, revision=revision) is not None
    except OSError:
        return False


def check_source(argument: str, source: str, revision: str | None = None) -> None:
    """Asks once for a name: left to themselves, the loaders try every file that they may need, several times.

    Raises:
        ModelError: it is neither a folder's nor known to the hub or its local cache.
    """
    if Path(source).is_dir():
        return
    try:
        if not _is_cached(source, revision):
            model_info(source, revision=revision, timeout=_HUB_SECONDS)
    except Exception as error:  # whatever the reason: of the name, the network, the token or the hub
        raise ModelError(
            f"{argument}={source!r} is neither a folder here nor reachable on the hub ({first_line(error)})."
            f"{nearest_checkpoint(source)}"
        ) from error


def reason_of(error: Exception) -> str:
    """What a library says about a checkpoint that it cannot load, with the way out where code comes with it."""
    if "trust_remote_code" not in str(error):
        return first_line(error)
    return f"{first_line(error)} Read that code, and if you trust it give trust_remote_code=True."


def _is_cached(source: str, revision: str | None) -> bool:
    return any(isinstance(try_to_load_from_cache(source, name, revision=revision), str) for name in _CONFIGURATIONS)
