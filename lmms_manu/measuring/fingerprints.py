"""Fingerprints of what statistics depend on: weights and processor.

Hashing a checkpoint takes as long as reading it, so the digest of a large file is remembered under everything the file
system knows about that file, including the time of its last change, which no program can set back.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from lmms_manu.errors import ModelError
from lmms_manu.files import write_json
from lmms_manu.models.loading import Checkpoint
from lmms_manu.variables import cache_folder

_CONFIGURATIONS = ("config.json", "adapter_config.json")
_WEIGHTS, _INDEX = ".safetensors", ".safetensors.index.json"
_OF_WORDS = (".json", ".model", ".txt")
_REMOTE_CODE = "transformers_modules"
_SHA256 = re.compile(r"[0-9a-f]{64}")
# File systems keep times in ticks: a file changed this recently may change again without its times showing it.
_SETTLED_SECONDS = 2.0
_READ_BYTES = 1 << 24
# Read in less time than it takes to look its digest up.
_SMALL_BYTES = 1 << 18

# Set on a model by whoever changes its weights after loading; part of its fingerprint from then on.
_EDITS = "_lmms_manu_edits"


def weights_fingerprint(checkpoint: Checkpoint) -> str:
    """Changes whenever the weights do: of the files and the code that a checkpoint was loaded from, and of later edits.

    Of a model that the user holds the weights in memory count, because they may be others than those in its files.

    Raises:
        ModelError: there are no such files, and the weights are not in memory either.
    """
    files: list[Path] = []
    complete = True
    for source in () if checkpoint.is_held else _sources(checkpoint):
        own = _weight_files(_files(checkpoint, source))
        complete = complete and any(file.suffix == _WEIGHTS for file in own)
        files += own
    of_weights = file_digests(files) if files and complete else _memory_digests(checkpoint.model)
    return _digest([*of_weights, *_code(checkpoint.model, checkpoint.model.config), *edits(checkpoint.model)])


def edits(model: PreTrainedModel) -> tuple[str, ...]:
    """The fingerprints of the edits made to `model` since it was loaded."""
    return tuple(getattr(model, _EDITS, ()))


def note_edits(model: PreTrainedModel, *fingerprints: str) -> None:
    """Records all edits of `model` since it was loaded, so that statistics of other weights are not read for it."""
    setattr(model, _EDITS, fingerprints)


def processor_fingerprint(checkpoint: Checkpoint) -> str:
    """Changes whenever a tokenizer, its vocabulary or the treatment of pictures does.

    A vocabulary is identified by the files it was read from: one of 150,000 words takes a tenth of a second to write
    out. Words that were added to it in memory show, other changes of a tokenizer in memory do not.
    """
    processor = checkpoint.processor
    if isinstance(processor, PreTrainedTokenizerBase):
        parts, determinants = {"tokenizer": processor}, _code(processor)
    else:
        named = {name: getattr(processor, name, None) for name in processor.get_attributes()}
        parts = {name: part for name, part in named.items() if part is not None}
        determinants = [processor.to_json_string(), *_code(processor, *parts.values())]
    for name, part in parts.items():
        # The same files may be read by one class or another, which a configuration decides.
        determinants.append(f"{name} {type(part).__module__} {type(part).__qualname__}")
        if isinstance(part, PreTrainedTokenizerBase):
            added = json.dumps(part.get_added_vocab(), sort_keys=True)
            determinants += [f"{len(part)} {part.special_tokens_map} {added}", *_vocabulary(checkpoint, name, part)]
    return _digest(determinants)


def _vocabulary(checkpoint: Checkpoint, name: str, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The files of the vocabulary of the tokenizer called `name`, or where there are none the vocabulary itself."""
    names = {*tokenizer.vocab_files_names.values(), *_CONFIGURATIONS}
    # A processor's second tokenizer has a folder of its own.
    files = [
        file
        for subfolder in ("", name)
        for file in _files(checkpoint, tokenizer.name_or_path, subfolder)
        if file.name in names or ("token" in file.name.lower() and file.suffix in _OF_WORDS)
    ]
    if any(file.name in tokenizer.vocab_files_names.values() for file in files):
        return file_digests(files)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return [backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)]


def file_digests(files: Iterable[Path]) -> list[str]:
    """Name and SHA-256 of each file, read side by side where they are not known yet."""
    known: dict[Path, str | None] = {}
    for path in sorted(files):
        with contextlib.suppress(FileNotFoundError):  # it has gone since it was listed
            known[path] = _known_digest(path)
    unknown = [path for path, digest in known.items() if digest is None]
    if unknown:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            known.update(zip(unknown, pool.map(_read_digest, unknown), strict=True))
    return [f"{path.name} {digest}" for path, digest in known.items()]


def _sources(checkpoint: Checkpoint) -> list[str]:
    """The names or folders that weights came from: the checkpoint, an adapter, and the checkpoint below an adapter."""
    settings = checkpoint.settings
    named = (settings.checkpoint, settings.adapter, checkpoint.model.config.name_or_path)
    return list(dict.fromkeys(source for source in named if source))


def _files(checkpoint: Checkpoint, source: str, subfolder: str = "") -> list[Path]:
    """The files of the folder or of the hub's repository `source`, as far as they are here; none for no name."""
    if not source:
        return []
    folder = _folder(source, checkpoint.settings.revision if source == checkpoint.settings.checkpoint else None)
    if folder is None or not (folder / subfolder).is_dir():
        return []
    return [file for file in (folder / subfolder).iterdir() if file.is_file()]


def _folder(source: str, revision: str | None) -> Path | None:
    if Path(source).is_dir():
        return Path(source)
    for name in _CONFIGURATIONS:
        with contextlib.suppress(OSError):
            found = cached_file(source, name, revision=revision, local_files_only=True)
            if found:
                return Path(found).parent
    return None


def _weight_files(files: Iterable[Path]) -> list[Path]:
    """Those of the `files` of a folder that weights are read from, and those that an index of them names elsewhere."""
    chosen = set()
    for file in files:
        if file.suffix == _WEIGHTS or file.name in _CONFIGURATIONS:
            chosen.add(file)
        elif file.name.endswith(_INDEX):
            chosen.add(file)
            with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError):
                chosen.update(file.parent / name for name in json.loads(file.read_text())["weight_map"].values())
    return [file for file in chosen if file.is_file()]


def _code(*objects: object) -> list[str]:
    """The files with the classes of `objects` where these come with a checkpoint or from a user's own program."""
    files: set[Path] = set()
    for kind in map(type, objects):
        if kind.__module__.startswith("transformers."):
            continue
        with contextlib.suppress(TypeError, OSError):  # a class that was typed in has no file
            file = Path(inspect.getfile(kind))
            files.update(file.parent.rglob("*.py") if kind.__module__.startswith(f"{_REMOTE_CODE}.") else [file])
    return file_digests(file for file in files if file.is_file())


def _known_digest(path: Path) -> str | None:
    """The digest of a file that is small, or was read before and has not changed since; None for another one."""
    state = path.stat()
    if state.st_size <= _SMALL_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    # The hub's cache names large files by their SHA-256 and links to them.
    real = path.resolve()
    if path.is_symlink() and _SHA256.fullmatch(real.name):
        return real.name
    try:
        return str(json.loads(_note(real, state).read_text())["sha256"])
    except (OSError, ValueError, KeyError):
        return None


def _read_digest(path: Path) -> str:
    """The digest of a file's contents, remembered for the next time."""
    real = path.resolve()
    state = real.stat()
    digest = hashlib.sha256()
    with real.open("rb") as opened:
        while block := opened.read(_READ_BYTES):
            digest.update(block)
    if time.time() - max(state.st_mtime, state.st_ctime) > _SETTLED_SECONDS:
        with contextlib.suppress(OSError):  # where there is no place for it, it is read again the next time
            write_json(_note(real, state), {"path": str(real), "sha256": digest.hexdigest()})
    return digest.hexdigest()


def _note(real: Path, state: os.stat_result) -> Path:
    """Where the digest of this state of a file is remembered."""
    identity = f"{real} {state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
    return cache_folder() / "fingerprints" / f"{_digest([identity])}.json"


def _memory_digests(model: PreTrainedModel) -> list[str]:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.device.type == "meta":
            raise ModelError(
                f"The weights of {name} are offloaded, and the files they came from are not found: their statistics "
                "cannot be distinguished from those of other weights. Use statistics_cache=False."
            )
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return [digest.hexdigest(), model.config.to_json_string(use_diff=False)]


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
