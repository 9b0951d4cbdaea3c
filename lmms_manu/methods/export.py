"""An edited model as an ordinary Hugging Face checkpoint, with a model card that says what was done to it."""

from __future__ import annotations

import json
from pathlib import Path

from transformers.utils.hub import cached_file

from lmms_manu.benchmarks.registry import get_benchmark, names
from lmms_manu.editing.changes import Change
from lmms_manu.files import atomic_folder, write_json, writing
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.registry import method_class, method_names
from lmms_manu.models.loading import Checkpoint, check_files
from lmms_manu.names import CHANGE_FOLDER, RECORD_FILE
from lmms_manu.sources import is_hub_name


def write_checkpoint(
    checkpoint: Checkpoint, record: EditRecord, change: Change | None, folder: Path, *, read_back: bool = False
) -> None:
    """Writes weights, processor, model card and record into a new folder, whole or not at all.

    Args:
        checkpoint: the edited model.
        record: how it was edited.
        change: what was changed; it is written below them where it is small, such as a mask.
        folder: must not exist, or be empty.
        read_back: checks that what was written is what its configuration alone demands, as loaders do that do not read
            this class of transformers.

    Raises:
        SettingError: somebody else wrote something there meanwhile.
        ModelError: no configuration describes the model, or `read_back` found weights of other names or shapes.
    """
    with atomic_folder("output", folder) as scratch:
        with writing(folder):
            checkpoint.model.save_pretrained(scratch)
            checkpoint.processor.save_pretrained(scratch)
        add_older_names(scratch / "config.json")
        if read_back:
            check_files(scratch)
        write_json(scratch / RECORD_FILE, record.as_dict())
        card = model_card(record, pictures=checkpoint.takes_pictures)
        (scratch / "README.md").write_text(card, encoding="utf-8")
        if change is not None and change.is_small:
            (scratch / CHANGE_FOLDER).mkdir()
            change.save(scratch / CHANGE_FOLDER, record.as_dict())


def add_older_names(file: Path) -> None:
    """Tells a configuration's rotary positions by their names of transformers 4 too.

    Servers that come with it would silently take their default for them, and answer as another model.
    """
    config = json.loads(file.read_text(encoding="utf-8"))
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        rotary = part.get("rope_parameters")
        # Where layers have different ones, there is no older name.
        if isinstance(rotary, dict) and isinstance(rotary.get("rope_theta"), (int, float)):
            scaling = {name: value for name, value in rotary.items() if name != "rope_theta"}
            part["rope_theta"] = rotary["rope_theta"]
            part["rope_scaling"] = None if scaling == {"rope_type": "default"} else scaling
    write_json(file, config)


_WITH_PICTURES = ("image-text-to-text", "AutoModelForImageTextToText", "AutoProcessor")
_TEXT_ONLY = ("text-generation", "AutoModelForCausalLM", "AutoTokenizer")
_WHAT_TO_MEASURE = (
    "What a model knows of somebody is measured, never proven gone: what was forgotten and what was lost {how}."
)


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


def model_card(record: EditRecord, *, pictures: bool = True, is_whole: bool = True) -> str:
    """The README.md of an edited checkpoint, or of an edit that is to be applied to one.

    Args:
        record: how it was edited.
        pictures: whether the model takes any.
        is_whole: whether it is a checkpoint.
    """
    task, loader, reader = _WITH_PICTURES if pictures else _TEXT_ONLY
    benchmark = record.forgotten.get("benchmark")
    head = ["---", *(["library_name: transformers", f"pipeline_tag: {task}"] if is_whole else [])]
    if is_hub_name(record.checkpoint):
        relation = "finetune" if is_whole else "adapter"
        head += [f"base_model: {record.checkpoint}", f"base_model_relation: {relation}"]
    head += ["tags:", "- machine-unlearning", *([f"- {benchmark}"] if benchmark else []), "---"]
    rows = [
        f"| {part} | {count} | {total} | {100 * count / total:.2f} % |"
        for part, (count, total) in record.counts.items()
        if total
    ]
    settings = json.dumps(dict(record.settings), indent=2, sort_keys=True)
    lines = [
        *head,
        "",
        f"# {Path(record.checkpoint).name}, {_outcome(record)}",
        "",
        record.summary(),
        "",
        *([record.description, ""] if record.edited and record.description else []),
        *([f"| part | changed | {record.unit} | share |", "|---|---|---|---|", *rows, ""] if rows else []),
        *(_usage(loader, reader) if is_whole else _application(record)),
        "",
        *(
            [_WHAT_TO_MEASURE.format(how=_how_to_measure(record, is_whole))]
            if record.forgotten or record.edited
            else []
        ),
        "",
        f"Settings (the whole record is in `{RECORD_FILE}`):",
        "",
        "```json",
        settings,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _usage(loader: str, reader: str) -> list[str]:
    return [
        "It loads like any checkpoint, and needs no other package:",
        "",
        "```python",
        f"from transformers import {loader}, {reader}",
        "",
        f'model = {loader}.from_pretrained("PATH")',
        f'processor = {reader}.from_pretrained("PATH")',
        "```",
    ]


def _application(record: EditRecord) -> list[str]:
    return [
        f"This is the edit alone ({record.change}), to be applied to {record.checkpoint} by lmms-manu:",
        "",
        "```",
        f"lmms-manu edit --pretrained {record.checkpoint} --edit PATH --output edited",
        "```",
    ]


def _outcome(record: EditRecord) -> str:
    """What the model became, for a title."""
    if not record.edited:
        return "not edited"
    return method_class(record.method).outcome if record.method in method_names() else "edited"


def _how_to_measure(record: EditRecord, is_whole: bool) -> str:
    """The command that asks about the people whom a model was made to forget, where a benchmark has them."""
    name, ratio = record.forgotten.get("benchmark"), record.forgotten.get("forget_ratio")
    if name not in names():
        return "is told by questions about these people and about others, before and after"
    benchmark = get_benchmark(str(name))
    tasks = benchmark.everything(int(ratio) if ratio in benchmark.ratios else None)
    model = "pretrained=PATH,method=none" if is_whole else f"pretrained={record.checkpoint},edit=PATH"
    command = f"lmms-eval --model manu_pruned --model_args {model} --tasks {tasks}"
    return f"is told by `{command}`"
