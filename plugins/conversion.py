"""From the harness's requests to the library's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance
from PIL import Image

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.planning import unreadable
from lmms_manu.answering.requests import ContinuationRequest, PromptRequest
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.models.rendering import PromptRenderer

Documents = Mapping[str, Mapping[str, Any]]
"""The harness's documents: by task, split and number."""

Messages = Sequence[Mapping[str, Any]]


class RequestConverter:
    """Converts requests of chat and simple tasks.

    Args:
        renderer: writes prompts for the model.
        documents: the harness's table of documents.
        prompt: the rendering of MLLMU-Bench's prompts: "released" or "chat". Every other task is put to the model
            in its own chat template.
        check_people: is given the task and the label of every request, and raises if the task asks about people of
            whom the model must not be asked.
    """

    def __init__(
        self,
        renderer: PromptRenderer,
        documents: Documents,
        prompt: str,
        check_people: Callable[[str, str], None],
    ) -> None:
        self._renderer = renderer
        self._documents = documents
        self._prompt = prompt
        self._check_people = check_people

    def chat(self, request: Instance) -> PromptRequest:
        """A request of a chat-type model: `(context, doc_to_messages, generation, number, task, split)`."""
        _, doc_to_messages, arguments, number, task, split = request.args
        label = f"{task}, document {number}"
        ask = _Reopened(lambda: doc_to_messages(self._documents[task][split][number]), label)
        if not isinstance(ask.first, Sequence) or isinstance(ask.first, str):
            raise ModelError(f"{label}: the task gives no messages, but {type(ask.first).__name__}.")
        return self._request(ask, arguments, _owner(doc_to_messages), task, label)

    def simple(self, request: Instance) -> PromptRequest:
        """A request of a simple model: `(context, generation, doc_to_visual, number, task, split)`."""
        context, arguments, doc_to_visual, number, task, split = request.args
        label = f"{task}, document {number}"
        ask = _Reopened(lambda: _simple_messages(doc_to_visual, self._documents[task][split][number], context), label)
        return self._request(ask, arguments, _owner(doc_to_visual), task, label)

    def continuation(self, request: Instance) -> ContinuationRequest:
        """A request for a likelihood: `(context, continuation, doc_to_visual, number, task, split)`.

        For the unconditional likelihood of a choice the harness gives an empty context and the choice alone.
        """
        if len(request.args) == 2:
            context, continuation = request.args
            tokenizer = self._renderer.tokenizer
            start = context or tokenizer.bos_token or tokenizer.eos_token
            return ContinuationRequest(start, continuation, list, f"{task_of(request)}, document {request.doc_id}")
        context, continuation, doc_to_visual, number, task, split = request.args
        label = f"{task}, document {number}"
        ask = _Reopened(lambda: _simple_messages(doc_to_visual, self._documents[task][split][number], context), label)
        if callable(continuation):
            continuation = continuation(self._documents[task][split][number])
        text = self._renderer.chat_text(ask.first)
        return ContinuationRequest(text, str(continuation), lambda: _pictures(ask(), label), label)

    def _request(self, ask: _Reopened, arguments: Mapping[str, Any], task: Any, name: str, label: str) -> PromptRequest:
        asked = ask.first
        _check_media(asked, label)
        try:
            generation = Generation.from_arguments(
                arguments,
                stop=stop_texts(arguments, task),
                first_character_only=bool(getattr(asked, "first_character_only", False)),
            )
        except SettingError as error:
            raise SettingError(f"{name}: {error}") from None
        released = getattr(asked, "released", None)
        if released is None:
            self._check_people(name, label)
            return PromptRequest(
                self._renderer.chat_text(asked), lambda: _pictures(ask(), label), generation, name, label
            )
        label = asked.label or label
        self._check_people(name, label)
        if self._prompt == "chat":
            text, pictures = self._renderer.chat_text(asked), lambda: _pictures(ask(), label)
        else:
            text, pictures = self._renderer.released_text(released), lambda: [_rgb(one) for one in ask().pictures]
        return PromptRequest(text, pictures, generation, name, label, asked.advice)


def task_of(request: Instance) -> str:
    """The name of the task that a request belongs to; the harness names it in the arguments of every kind."""
    return str(request.task_name or request.args[-2])


class _Reopened:
    """What a task gives for a document: kept until it is asked for once, then made anew each time.

    A prompt is written first and its pictures are read right after, from the same messages; much later they are
    needed again, and until then they must not lie in memory.
    """

    def __init__(self, make: Callable[[], Any], label: str) -> None:
        self._make = make
        self._label = label
        self._kept = [self._made()]

    @property
    def first(self) -> Any:
        return self._kept[0]

    def __call__(self) -> Any:
        return self._kept.pop() if self._kept else self._made()

    def _made(self) -> Any:
        try:
            return self._make()
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise unreadable(self._label, error) from error


def stop_texts(arguments: Mapping[str, Any], task: Any) -> tuple[str, ...]:
    """The texts that end an answer, without the harness's default.

    A task that sets no `until` gets its delimiter of examples (a blank line), which would cut most answers short. It
    is told apart from a blank line that a task asks for by being the very object that the task holds as delimiter.

    Args:
        arguments: the task's generation settings.
        task: the harness's task, None if it is not known.
    """
    until = arguments.get("until") or ()
    texts = (until,) if isinstance(until, str) else tuple(until)
    config = getattr(task, "config", None)
    delimiter = getattr(config, "fewshot_delimiter", "\n\n")
    if len(texts) == 1 and texts[0] == delimiter and (config is None or texts[0] is delimiter):
        return ()
    return texts


def _owner(method: Any) -> Any:
    """The task whose method the harness put into a request."""
    return getattr(method, "__self__", None)


def _simple_messages(doc_to_visual: Callable[[Any], Any] | None, document: Any, context: str) -> Messages:
    shown = doc_to_visual(document) if callable(doc_to_visual) else None
    shown = [] if shown is None else shown
    released = getattr(shown, "released", None)
    content = [{"type": "image", "url": picture} for picture in shown]
    turn = {"role": "user", "content": [*content, {"type": "text", "text": context}]}
    return [turn] if released is None else _Released([turn], shown)


class _Released(list):
    """A simple task's turn with what its pictures know of MLLMU-Bench's prompt."""

    def __init__(self, turns: Messages, shown: Any) -> None:
        super().__init__(turns)
        self._shown = shown
        self.pictures = tuple(shown)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._shown, name)


def _check_media(messages: Messages, label: str) -> None:
    """Refuses messages with anything but texts and pictures.

    Raises:
        ModelError: naming the document and the medium.
    """
    for kind in {part["type"] for part in _parts(messages)} - {"text", "image"}:
        raise ModelError(f"{label}: manu_pruned shows pictures to the model, but this is {kind}.")


def _pictures(messages: Messages, label: str) -> list[Image.Image]:
    """The pictures of messages, in order.

    Raises:
        DataError: a picture is an address on the network.
    """
    return [_opened(part["url"], label) for part in _parts(messages) if part["type"] == "image"]


def _parts(messages: Messages) -> list[Mapping[str, Any]]:
    return [part for one in messages if not isinstance(one["content"], str) for part in one["content"]]


def _opened(picture: Any, label: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return _rgb(picture)
    if isinstance(picture, (str, Path)) and "://" not in str(picture):
        return _rgb(Image.open(picture))
    raise DataError(f"{label}: {str(picture)[:100]!r} is not a picture or the path of one.")


def _rgb(picture: Image.Image) -> Image.Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")
