"""An edited model as an ordinary Hugging Face checkpoint, with a model card that says what was done to it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from transformers.utils import cached_file

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark
from lmms_manu.errors import SettingError
from lmms_manu.files import write_json
from lmms_manu.methods.base import EditRecord
from lmms_manu.models.loading import Checkpoint
from lmms_manu.names import RECORD_FILE

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def write_checkpoint(
    checkpoint: Checkpoint, record: EditRecord, folder: str | os.PathLike[str], beside: Iterable[Path] = ()
) -> None:
    """Writes weights, processor, model card and record into a new folder, whole or not at all.

    Args:
        checkpoint: the edited model.
        record: how it was edited.
        folder: must not exist, or be empty.
        beside: further files to copy into it.

    Raises:
        SettingError: somebody else wrote something there meanwhile.
    """
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        checkpoint.model.save_pretrained(scratch)
        checkpoint.processor.save_pretrained(scratch)
        write_json(scratch / RECORD_FILE, record.as_dict())
        (scratch / "README.md").write_text(model_card(record), encoding="utf-8")
        for file in beside:
            shutil.copyfile(file, scratch / file.name)
        _open_to_readers(scratch)
        try:
            if target.is_dir():
                target.rmdir()
            os.replace(scratch, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            raise SettingError(
                f"out={str(target)!r} was written by somebody else meanwhile, and stays as it is: name another folder, "
                "or take what is there."
            ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def record_beside(checkpoint: Checkpoint) -> EditRecord | None:
    """The record that a checkpoint was written with; None where there is none."""
    settings = checkpoint.settings
    try:
        found = cached_file(settings.checkpoint, RECORD_FILE, revision=settings.revision)
    except OSError:
        return None
    return EditRecord.of_checkpoint(Path(found).parent) if found else None


def _open_to_readers(folder: Path) -> None:
    """Gives a folder and its files the permissions that new ones have; temporary ones are private."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)
    for file in folder.iterdir():
        file.chmod(0o666 & ~mask)


def model_card(record: EditRecord) -> str:
    """The README.md of an edited checkpoint."""
    head = ["---", "library_name: transformers", "pipeline_tag: image-text-to-text"]
    if _is_hub_name(record.checkpoint):
        head.append(f"base_model: {record.checkpoint}")
    head += ["tags:", "- machine-unlearning", "- mllmu-bench", "---"]
    rows = [
        f"| {tower} | {pruned} | {total} | {100 * pruned / total:.2f} % |"
        for tower, (pruned, total) in record.pruned.items()
        if total
    ]
    settings = json.dumps(dict(record.settings), indent=2, sort_keys=True)
    tasks = get_benchmark(DEFAULT_BENCHMARK).everything(record.forget_ratio)
    lines = [
        *head,
        "",
        f"# {Path(record.checkpoint).name}, {'edited to forget' if record.is_edited else 'not edited'}",
        "",
        record.summary(),
        "",
        *_what_was_done(record),
        *(["| tower | pruned | neurons | share |", "|---|---|---|---|", *rows, ""] if rows else []),
        "It loads like any checkpoint, and needs no other package:",
        "",
        "```python",
        "from transformers import AutoModelForImageTextToText, AutoProcessor",
        "",
        'model = AutoModelForImageTextToText.from_pretrained("PATH")',
        'processor = AutoProcessor.from_pretrained("PATH")',
        "```",
        "",
        "Pruning weakens knowledge; it proves no deletion. What was forgotten and what was lost must be measured, for "
        f"example with `lmms-eval --model manu_pruned --model_args pretrained=PATH,prune_rate=0 --tasks {tasks}`.",
        "",
        f"Settings (the whole record is in `{RECORD_FILE}`):",
        "",
        "```json",
        settings,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _what_was_done(record: EditRecord) -> list[str]:
    """A paragraph about the neurons that were pruned; none where none was."""
    if record.mask_fingerprint is None:
        return []
    chosen = (
        "were drawn at random, as a control, and"
        if record.recipe == "random"
        else "mattered most for the people to forget, compared with others, and"
    )
    return [
        f"The pruned neurons (intermediate units of MLP blocks) {chosen} have weights of zero or were removed; nothing "
        "was trained. The method is modality-aware neuron pruning (Liu et al., ACL 2025, arXiv 2502.15910), measured "
        "on MLLMU-Bench (arXiv 2410.22108).",
        "",
    ]


def _is_hub_name(checkpoint: str) -> bool:
    return checkpoint.count("/") == 1 and not checkpoint.startswith((".", "/", "~")) and not Path(checkpoint).exists()
