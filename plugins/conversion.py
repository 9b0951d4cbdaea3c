"""From the harness's requests to the library's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.instance import Instance
from PIL import Image

from lmms_manu.answering.generation import Generation
from lmms_manu.answering.prompt_reading import unreadable
from lmms_manu.answering.requests import ContinuationRequest, PromptRequest
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.images import in_rgb, read_picture
from lmms_manu.models.rendering import MARKER, PromptRenderer

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
        return self._request(ask, arguments, _owner(doc_to_visual), task, label, in_place=True)

    def continuation(self, request: Instance) -> ContinuationRequest:
        """A request for a likelihood: `(context, continuation, doc_to_visual, number, task, split)`.

        For the unconditional likelihood of a choice the harness gives an empty context and the choice alone.
        """
        if len(request.args) == 2:
            context, continuation = request.args
            tokenizer = self._renderer.tokenizer
            start = context or tokenizer.bos_token or tokenizer.eos_token
            return ContinuationRequest(start, (continuation,), list, f"{task_of(request)}, document {request.doc_id}")
        context, continuation, doc_to_visual, number, task, split = request.args
        label = f"{task}, document {number}"
        ask = _Reopened(lambda: _simple_messages(doc_to_visual, self._documents[task][split][number], context), label)
        if callable(continuation):
            continuation = continuation(self._documents[task][split][number])
        self._check_media(ask.first, label)
        text = self._renderer.chat_text(ask.first, in_place=True)
        return ContinuationRequest(text, (str(continuation),), lambda: _pictures(ask(), label), label)

    def _request(
        self,
        ask: _Reopened,
        arguments: Mapping[str, Any],
        task: Any,
        name: str,
        label: str,
        *,
        in_place: bool = False,
    ) -> PromptRequest:
        asked = ask.first
        self._check_media(asked, label)
        try:
            generation = Generation.from_arguments(
                arguments,
                stop=stop_texts(arguments, task),
                first_character_only=bool(getattr(asked, "first_character_only", False)),
            )
        except SettingError as error:
            raise SettingError(f"{name}: {error}") from None
        released, advice = getattr(asked, "released", None), ""
        continuations = tuple(getattr(asked, "continuations", ()))
        if released is not None:
            label, advice = asked.label or label, asked.advice
        self._check_people(name, label)
        if released is not None and self._prompt == "released":
            text = self._renderer.released_text(released)
            return PromptRequest(
                text, lambda: _in_rgb(ask().pictures, label), generation, name, label, advice, continuations
            )
        text = self._renderer.chat_text(asked, in_place=in_place)
        return PromptRequest(text, lambda: _pictures(ask(), label), generation, name, label, advice, continuations)

    def _check_media(self, messages: Messages, label: str) -> None:
        """Refuses messages with anything but texts and what the model sees.

        Raises:
            ModelError: naming the document and the medium.
        """
        kinds = {part["type"] for part in _parts(messages)}
        for kind in kinds - {"text", "image"}:
            raise ModelError(f"{label}: manu_pruned shows pictures to the model, but this is {kind}.")
        if "image" in kinds and not self._renderer.takes_pictures:
            raise ModelError(
                f"{label} shows a picture, but the checkpoint is of text alone: leave its task out, or name one that "
                "takes pictures with pretrained=."
            )


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
    """A simple task's prompt as a turn, with the prompt's attributes where its pictures know of one."""
    shown = doc_to_visual(document) if callable(doc_to_visual) else None
    shown = [] if shown is None else shown
    turn = {"role": "user", "content": _interleaved(context, shown)}
    return shown.with_items([turn]) if hasattr(shown, "with_items") else [turn]


def _interleaved(text: str, pictures: Sequence[Any]) -> list[dict[str, Any]]:
    """Pictures in the places that the text has for them, and in front of it those that it has none for."""
    pieces = text.split(MARKER)
    places = min(len(pieces) - 1, len(pictures))
    first = len(pictures) - places
    content = [{"type": "image", "url": picture} for picture in pictures[:first]]
    for piece, picture in zip(pieces, pictures[first:], strict=False):
        content += [{"type": "text", "text": piece}, {"type": "image", "url": picture}]
    # Marks beyond the pictures stand for nothing.
    return [*content, {"type": "text", "text": "".join(pieces[places:])}]


def _pictures(messages: Messages, label: str) -> list[Image.Image]:
    """The pictures of messages, in order.

    Raises:
        DataError: a picture is an address on the network.
    """
    return [_opened(part["url"], label) for part in _parts(messages) if part["type"] == "image"]


def _parts(messages: Messages) -> list[Mapping[str, Any]]:
    return [part for one in messages if not isinstance(one["content"], str) for part in one["content"]]


def _in_rgb(pictures: Iterable[Image.Image], label: str) -> list[Image.Image]:
    return [in_rgb(picture, f"a picture of {label}") for picture in pictures]


def _opened(picture: Any, label: str) -> Image.Image:
    if isinstance(picture, Image.Image):
        return in_rgb(picture, f"a picture of {label}")
    if isinstance(picture, (str, Path)) and "://" not in str(picture):
        return read_picture(str(picture), f"the picture {picture} of {label}")
    raise DataError(f"{label}: {str(picture)[:100]!r} is not a picture or the path of one.")
