"""Reading all prompts before the first one is answered: their lengths, and that they can be answered at all."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from PIL import Image
from tqdm import tqdm

from lmms_manu.answering.requests import ContinuationRequest, PromptRequest
from lmms_manu.errors import DataError, ModelError
from lmms_manu.models.inputs import PromptEncoder, TokenizedPrompt
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.prepared_pictures import PreparedPicture, digest_of

_READ_AT_ONCE = 64
_ADVICE = "Shorten it, show fewer or smaller pictures, or use a model with a longer context."


@dataclasses.dataclass(frozen=True)
class ReadyPrompt:
    """A request with its tokens."""

    request: PromptRequest
    tokens: TokenizedPrompt


class PromptReader:
    """Reads prompts and finds their pictures again when they are needed.

    Args:
        checkpoint: the model whose context the prompts have to fit into.
        encoder: its prompts' way to tensors; keeps the pictures used last.
    """

    def __init__(self, checkpoint: Checkpoint, encoder: PromptEncoder) -> None:
        self._context = checkpoint.context_length
        self._encoder = encoder

    def read(
        self, requests: Iterable[PromptRequest], total: int | None = None, *, progress: bool = False
    ) -> list[ReadyPrompt]:
        """The requests with their tokens, in order; a few of them are taken from `requests` at a time.

        Raises:
            ModelError: a prompt leaves no room for an answer in the context.
            DataError: a picture cannot be read.
        """
        ready: list[ReadyPrompt] = []
        source = iter(requests)
        with tqdm(total=total, desc="Reading", unit=" questions", disable=not progress) as bar:
            while some := list(itertools.islice(source, _READ_AT_ONCE)):
                opened = [self.open(request) for request in some]
                tokens = self._encoder.tokenize([request.text for request in some], opened)
                for request, one in zip(some, tokens, strict=True):
                    self.check_length(request, len(one) + 1)
                    ready.append(ReadyPrompt(request, one))
                bar.update(len(some))
        return ready

    def open(self, request: PromptRequest | ContinuationRequest) -> Sequence[Image.Image]:
        """The pictures of a request.

        Raises:
            DataError: one of them cannot be read, naming the request.
        """
        try:
            pictures = request.pictures()
            for picture in pictures:
                picture.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise unreadable(request.label, error) from error
        return pictures

    def pictures(self, prompt: ReadyPrompt, *, skip: int = 0) -> list[PreparedPicture]:
        """The prepared pictures of a separable prompt but for the first `skip` ones."""
        return self._encoder.prepared(prompt.tokens, lambda: self.open(prompt.request), skip=skip)

    def digests(self, prompt: ReadyPrompt) -> tuple[bytes, ...]:
        """The digest of each picture of a prompt, in order."""
        if prompt.tokens.separable:
            return prompt.tokens.digests
        return tuple(digest_of(picture) for picture in self.open(prompt.request))

    def check_length(self, request: PromptRequest | ContinuationRequest, tokens: int) -> None:
        """Refuses a request that needs more `tokens` than the model's context has.

        Raises:
            ModelError: naming the request, both numbers and what to lower.
        """
        if self._context is not None and tokens > self._context:
            raise ModelError(
                f"{request.label}: the prompt needs {tokens} tokens with its answer, but the model's context has "
                f"{self._context}. {request.advice or _ADVICE}"
            )


def unreadable(label: str, error: Exception) -> DataError:
    """The error for a picture that cannot be read."""
    return DataError(f"{label}: a picture cannot be read ({type(error).__name__}: {error}).")
