"""Answers that are written down as they come, so that who was stopped goes on with the next question."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lmms_manu.answering.requests import Answer, PromptRequest

logger = logging.getLogger(__name__)


class KeptAnswers:
    """A folder of answers, each under all that determines it: model, prompt, pictures and how it is generated.

    Answers that are drawn are not kept: they depend on what was drawn before. Several processes may use one folder.

    Args:
        folder: where the files are; it is made if it is not there.
        model: everything about the model that its answers depend on, as JSON can hold it.
        process: the number of this process, for a file of its own.
    """

    def __init__(self, folder: Path, model: Mapping[str, Any], process: int = 0) -> None:
        key = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()[:32]
        self._folder = folder / key
        self._own = self._folder / f"{process}.jsonl"
        self._file: IO[str] | None = None
        self._known = self._read()

    def find(self, request: PromptRequest, pictures: Sequence[bytes]) -> Answer | None:
        """The answer to a request; None if there is none yet.

        Args:
            request: what is asked.
            pictures: the digests of its pictures.
        """
        return self._known.get(_key(request, pictures))

    def keep(self, request: PromptRequest, pictures: Sequence[bytes], answer: Answer) -> None:
        """Writes an answer down at once; where there is no place for it, the work goes on without."""
        if request.generation.do_sample:
            return
        try:
            file = self._opened()
            file.write(json.dumps([_key(request, pictures), *dataclasses.astuple(answer)]) + "\n")
            file.flush()
        except OSError as error:
            logger.warning("%s: an answer could not be kept for the case that this is stopped (%s).", self._own, error)

    def close(self) -> None:
        """Closes the file; what comes later opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> dict[str, Answer]:
        known = {}
        for path in self._folder.glob("*.jsonl"):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                # What was being written when the process was killed is no answer.
                with contextlib.suppress(ValueError, TypeError):
                    key, *values = json.loads(line)
                    known[key] = Answer(*values)
        return known

    def _opened(self) -> IO[str]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._own.open("a", encoding="utf-8")
            # The line before may have been cut off.
            self._file.write("\n")
        return self._file


def _key(request: PromptRequest, pictures: Sequence[bytes]) -> str:
    asked = [request.text, [digest.hex() for digest in pictures], repr(request.generation)]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]
