"""The functions of `import lmms_manu as manu`: load, unlearn, answer, save.

Each is a few lines around the rooms of the library, which a user who wants more calls directly.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any

from torch import nn

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import DEFAULT_MAX_NEW_TOKENS, Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.example import Picture, opened
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK
from lmms_manu.editing.changes import Change
from lmms_manu.errors import SettingError
from lmms_manu.files import new_folder
from lmms_manu.methods.base import Method
from lmms_manu.methods.data import BenchmarkData, UnlearningData
from lmms_manu.methods.export import write_checkpoint
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.registry import settings_classes
from lmms_manu.methods.unlearn import plan_for
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import from_arguments

_changes: weakref.WeakKeyDictionary[nn.Module, Change] = weakref.WeakKeyDictionary()
"""The last change that was made in each model, for whoever saves it."""


def load(pretrained: str | os.PathLike[str] | None = None, **settings: Any) -> Checkpoint:
    """Loads a model with its processor.

    Args:
        pretrained: folder or hub name of a checkpoint or of a peft adapter; the model that MLLMU-Bench's authors
            released if None.
        settings: further fields of `ModelSettings` by name, such as `processor`, `device` or `dtype`.

    Raises:
        SettingError: a setting is unknown or has a value that is not allowed.
        ModelError: there is no such checkpoint, or it cannot be used.

    Example:
        >>> from lmms_manu.embedded import model_folder
        >>> load(model_folder(), device="cpu").takes_pictures
        True
    """
    given = settings if pretrained is None else {"pretrained": os.fspath(pretrained), **settings}
    return load_checkpoint(from_arguments(given, ModelSettings)[0])


def people(
    benchmark: str = DEFAULT_BENCHMARK, *, dataset: str | os.PathLike[str] | None = None, **settings: Any
) -> BenchmarkData:
    """The people of a benchmark whom a model is to forget and to retain; they are read when a method asks for them.

    Args:
        benchmark: its name.
        dataset: folder or hub name of its data; where its tasks look if None.
        settings: further fields of `UnlearningSettings` by name, such as `forget_ratio` or `max_samples`.

    Raises:
        SettingError: there is no such benchmark, a setting is unknown or has a value that is not allowed.

    Example:
        >>> people(forget_ratio=10).settings.forgotten
        {'benchmark': 'mllmu', 'forget_ratio': 10}
    """
    given = {"benchmark": benchmark, **settings}
    chosen = from_arguments(given, settings_classes({"benchmark": benchmark})[0])[0]
    return BenchmarkData(chosen, None if dataset is None else os.fspath(dataset))


def unlearn(
    model: Checkpoint, data: UnlearningData | BenchmarkData | None, method: Method[Any], *, edit_cache: bool = True
) -> tuple[Checkpoint, EditRecord]:
    """Makes a model forget people.

    Args:
        model: loaded by `load` or wrapped by `wrap`; its weights are changed in place.
        data: whom to forget and to retain; None for a method that reads no data.
        method: how, such as `Manu(recipe="paper", prune_rate=2)`.
        edit_cache: keeps the finished edit, and takes one that was made before from the same model, data and settings.

    Returns:
        The model to go on with, and the record of what was done.

    Raises:
        SettingError: settings that cannot work.
        DataError: the people's data cannot be read.
        ModelError: the model cannot be measured or edited.

    Example:
        >>> import lmms_manu as manu
        >>> from lmms_manu.embedded import model_folder
        >>> anna = manu.Example("anna", "Where does Anna live?", "In Oslo.")
        >>> bert = manu.Example("bert", "Where does Bert live?", "In Rome.")
        >>> data = manu.UnlearningData(forget=[anna], retain=[bert])
        >>> model, record = unlearn(manu.load(model_folder()), data, manu.Manu(recipe="ratio", prune_rate=1))
        >>> record.label
        'manu ratio 1 %'
    """
    request = plan_for(model, data, method, edit_cache=edit_cache)
    change, found = request.find(model)
    edited, record = request.apply(model, change, found)
    if change is not None:
        _changes[edited.model] = change
    return edited, record


def answer(
    model: Checkpoint,
    questions: Sequence[str],
    images: Sequence[Picture | None] | None = None,
    *,
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS,
    batch_size: int | str = "auto",
) -> list[str]:
    """Greedy answers to questions, each asked as a conversation of its own in the model's chat template.

    Args:
        model: the model.
        questions: what to ask.
        images: a picture or its file for each question, None for a question without one.
        max_new_tokens: the most tokens that an answer may have.
        batch_size: questions answered at once; `auto` goes by their length and the memory at hand.

    Returns:
        The answers, in the order of the questions.

    Raises:
        SettingError: the numbers of questions and images differ.
        ModelError: a question does not fit into the model's context, or the model takes no pictures.

    Example:
        >>> from lmms_manu.embedded import model_folder
        >>> len(answer(load(model_folder()), ["Who are you?", "What is this?"], max_new_tokens=4))
        2
    """
    if isinstance(questions, str):
        raise SettingError(f"questions={questions!r} is one text: give a list of questions.")
    shown = [None] * len(questions) if images is None else images
    if len(shown) != len(questions):
        raise SettingError(f"images={len(shown)} pictures for {len(questions)} questions: give one, or None, for each.")
    encoder = PromptEncoder(model)
    generation = Generation(max_new_tokens=max_new_tokens)
    requests = []
    for question, image in zip(questions, shown, strict=True):
        content = [*([] if image is None else [{"type": "image"}]), {"type": "text", "text": question}]
        text = encoder.chat_text([{"role": "user", "content": content}])
        pictures = list if image is None else opened(image)
        requests.append(PromptRequest(text, pictures, generation, label=f"the question {question!r}"))
    engine = AnsweringEngine(model, encoder, AnsweringSettings(batch_size=str(batch_size)))
    return [given.text for given in engine.answer(requests)]


def save(model: Checkpoint, record: EditRecord, folder: str | os.PathLike[str]) -> None:
    """Writes an edited model as an ordinary checkpoint, with a model card, the record and what was changed.

    Args:
        model: the model that `unlearn` returned.
        record: the record that it returned.
        folder: must not exist, or be empty.

    Raises:
        SettingError: there is something in the folder, or no weight was changed.
        ModelError: no configuration of transformers can describe the edited model.
    """
    if model.system_prompt:
        raise SettingError(
            f"{record.label} changes no weight, so that there is no edited checkpoint to write: give the text "
            "(model.system_prompt) to whatever serves the model as its system prompt."
        )
    change = _changes.get(model.model)
    made_here = change is not None and change.fingerprint == record.fingerprint
    write_checkpoint(model, record, change if made_here else None, new_folder("folder", folder))
