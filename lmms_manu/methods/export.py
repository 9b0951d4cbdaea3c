"""An edited model as an ordinary Hugging Face checkpoint, with a model card that says what was done to it."""

from __future__ import annotations

import json
from pathlib import Path

from transformers.utils.hub import cached_file

from lmms_manu.benchmarks.registry import get_benchmark, names
from lmms_manu.editing.changes import Change
from lmms_manu.files import atomic_folder, write_json, writing
from lmms_manu.methods.record import EditRecord
from lmms_manu.models.loading import Checkpoint
from lmms_manu.names import RECORD_FILE
from lmms_manu.sources import is_hub_name


def write_checkpoint(checkpoint: Checkpoint, record: EditRecord, change: Change | None, folder: Path) -> None:
    """Writes weights, processor, model card and record into a new folder, whole or not at all.

    Args:
        checkpoint: the edited model.
        record: how it was edited.
        change: what was changed; it is written beside the weights where it is small, such as a mask.
        folder: must not exist, or be empty.

    Raises:
        SettingError: somebody else wrote something there meanwhile.
    """
    with atomic_folder("output", folder) as scratch:
        with writing(folder):
            checkpoint.model.save_pretrained(scratch)
            checkpoint.processor.save_pretrained(scratch)
        write_json(scratch / RECORD_FILE, record.as_dict())
        (scratch / "README.md").write_text(model_card(record), encoding="utf-8")
        if change is not None and change.is_small:
            change.save(scratch, record.as_dict())


def record_beside(checkpoint: Checkpoint) -> EditRecord | None:
    """The record that a checkpoint was written with; None where there is none."""
    settings = checkpoint.settings
    if checkpoint.is_held:
        return None
    try:
        found = cached_file(settings.checkpoint, RECORD_FILE, revision=settings.revision)
    except OSError:
        return None
    return EditRecord.of_checkpoint(Path(found).parent) if found else None


def _example_command(record: EditRecord) -> str:
    """How the model is asked about the people whom the record names; empty where they are of no known benchmark."""
    name, ratio = str(record.forgotten.get("benchmark")), record.forgotten.get("forget_ratio")
    if name not in names():
        return ""
    benchmark = get_benchmark(name)
    tasks = benchmark.everything(int(ratio) if ratio in benchmark.ratios else None)
    command = f"lmms-eval --model manu_pruned --model_args pretrained=PATH,method=none --tasks {tasks}"
    return f", for example with `{command}`"


def model_card(record: EditRecord) -> str:
    """The README.md of an edited checkpoint."""
    head = ["---", "library_name: transformers", "pipeline_tag: image-text-to-text"]
    if is_hub_name(record.checkpoint):
        head.append(f"base_model: {record.checkpoint}")
    head += ["tags:", "- machine-unlearning", "---"]
    rows = [
        f"| {part} | {count} | {total} | {100 * count / total:.2f} % |"
        for part, (count, total) in record.counts.items()
        if total
    ]
    settings = json.dumps(dict(record.settings), indent=2, sort_keys=True)
    lines = [
        *head,
        "",
        f"# {Path(record.checkpoint).name}, {f'edited by {record.label}' if record.edited else 'not edited'}",
        "",
        record.summary(),
        "",
        *([record.description, ""] if record.edited and record.description else []),
        *([f"| part | changed | {record.unit} | share |", "|---|---|---|---|", *rows, ""] if rows else []),
        "It loads like any checkpoint, and needs no other package:",
        "",
        "```python",
        "from transformers import AutoModelForImageTextToText, AutoProcessor",
        "",
        'model = AutoModelForImageTextToText.from_pretrained("PATH")',
        'processor = AutoProcessor.from_pretrained("PATH")',
        "```",
        "",
        "Such an edit changes what a model answers; it proves no deletion. What was forgotten and what was lost must "
        f"be measured{_example_command(record)}.",
        "",
        f"Settings (the whole record is in `{RECORD_FILE}`):",
        "",
        "```json",
        settings,
        "```",
    ]
    return "\n".join(lines) + "\n"
