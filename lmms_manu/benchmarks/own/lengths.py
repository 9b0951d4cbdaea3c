"""How many tokens a model needs for what stands in a user's tables, told without its weights."""

from __future__ import annotations

from collections.abc import Iterator

from lmms_manu.benchmarks.base import MODALITIES, Task
from lmms_manu.benchmarks.own.names import TASKS
from lmms_manu.benchmarks.own.people import People
from lmms_manu.benchmarks.own.questions import question, question_text
from lmms_manu.benchmarks.own.rows import Row
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import checkpoint_without_weights
from lmms_manu.models.settings import ModelSettings

_AT_ONCE = 64


def describe_lengths(people: People, model: ModelSettings) -> tuple[list[str], bool]:
    """How long the questions of each modality are for a model, and whether all of them fit into its context.

    Raises:
        ModelError: there is no such model, or it has no processor.
    """
    checkpoint = checkpoint_without_weights(model)
    encoder, room = PromptEncoder(checkpoint), checkpoint.context_length
    takes = "states no limit of its context" if room is None else f"has a context of {room} tokens"
    lines = [f"{checkpoint.name} {takes}; a question with its answer needs"]
    too_long: dict[str, int] = {}
    for modality in MODALITIES:
        if modality == "multimodal" and not encoder.takes_pictures:
            lines.append(f"  {modality:<15}none, as the model sees no pictures")
            continue
        leaves = [task for task in TASKS.values() if task.modality == modality and not task.reads_likelihoods]
        found = [pair for task in leaves for pair in _lengths(task, people, encoder)]
        if found:
            longest, place = max(found)
            lines.append(f"  {modality:<15}{min(found)[0]} to {longest} ({place})")
        too_long |= {place: tokens for tokens, place in found if room is not None and tokens > room}
    for place, tokens in too_long.items():
        lines.append(f"error: {place} needs {tokens} tokens, and there are {room}: shorten it")
    return lines, not too_long


def _lengths(task: Task, people: People, encoder: PromptEncoder) -> Iterator[tuple[int, str]]:
    """The tokens of each question of a leaf, with its place."""
    rows = people.asked(task.split, task.kind, task.modality)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        prompts = encoder.tokenize(
            [_prompt(task, row, encoder) for row in some],
            [[row.picture.decode(row.place)] if task.modality == "multimodal" and row.picture else [] for row in some],
        )
        # The end of an answer is a token of its own.
        yield from ((len(prompt) + 1, row.place) for prompt, row in zip(prompts, some, strict=True))


def _prompt(task: Task, row: Row, encoder: PromptEncoder) -> str:
    asked = question(task, row)
    shown = [{"type": "image"}] if task.modality == "multimodal" else []
    content = [*shown, {"type": "text", "text": question_text(asked)}]
    return f"{encoder.chat_text([{'role': 'user', 'content': content}])} {asked['answer']}"
