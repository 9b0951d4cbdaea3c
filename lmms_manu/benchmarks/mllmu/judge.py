"""The factuality judge: a model behind an OpenAI-compatible endpoint that rates generated answers.

Answers are judged by several threads at once. Every verdict is written to disk as it arrives, so that a rerun asks
for nothing twice. Whatever goes wrong with an answer leaves it without a verdict, with the reason: never with a score.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import functools
import hashlib
import json
import logging
import os
import queue
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import openai

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu import rubric
from lmms_manu.benchmarks.mllmu.circuit_breaker import CircuitBreaker
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.rubric import Verdict
from lmms_manu.files import write_json

logger = logging.getLogger(__name__)

_MAX_TOKENS = 700
_LONGEST_PAUSE = 60.0
_REASON = 300
_NOT_WORTH_A_RETRY = (401, 403, 404)


@dataclasses.dataclass(frozen=True)
class NotJudged:
    """An answer without a verdict.

    Args:
        reason: why.
        unreachable: whether the endpoint is to blame, which may be there the next time; a reply that cannot be read
            would come again.
    """

    reason: str
    unreachable: bool = False


class Judge:
    """Rates answers, several at a time.

    Args:
        settings: the judge.
        folder: where verdicts are kept.
        processes: how many processes share the endpoint: each of them takes its part of the concurrency.
    """

    def __init__(self, settings: JudgeSettings, folder: Path, processes: int = 1) -> None:
        self._settings = settings
        self._folder = folder
        # A local endpoint needs no key, but the package insists on one.
        self._client = openai.OpenAI(
            api_key=settings.key or "none", base_url=settings.base_url, timeout=settings.timeout, max_retries=0
        )
        workers = max(1, settings.concurrency // processes)
        self._circuit_breaker = CircuitBreaker(max(8, workers), settings.silence, settings.trials)
        self._structured = True
        self._waiting: queue.SimpleQueue[tuple[str, Future[Verdict | NotJudged]]] = queue.SimpleQueue()
        # Threads that end with the process: after an interrupt nobody wants what is still waiting.
        for number in range(workers):
            threading.Thread(target=self._work, name=f"factuality-judge-{number}", daemon=True).start()

    def ask(self, question: str, reference: str, answer: str) -> Future[Verdict | NotJudged]:
        """Has an answer rated; the future never raises."""
        future: Future[Verdict | NotJudged] = Future()
        self._waiting.put((rubric.judge_prompt(question, reference, answer), future))
        return future

    def _work(self) -> None:
        while True:
            prompt, future = self._waiting.get()
            verdict = self._rate(prompt)
            future.set_result(self._told(verdict) if isinstance(verdict, NotJudged) else verdict)

    def _told(self, verdict: NotJudged) -> NotJudged:
        """As it goes into logs and results: some endpoints repeat the key that they refuse, or send a whole page."""
        reason = verdict.reason.replace(self._settings.key, "<key>") if self._settings.key else verdict.reason
        return dataclasses.replace(verdict, reason=reason if len(reason) <= _REASON else f"{reason[:_REASON]}...")

    def _rate(self, prompt: str) -> Verdict | NotJudged:
        try:
            path = self._path(prompt)
            known = _read(path)
            if known is not None:
                return known
            verdict = self._request(prompt)
            if isinstance(verdict, Verdict):
                _keep(path, verdict)
            return verdict
        except Exception as error:
            # A verdict is one number of many; none of its troubles may end an evaluation.
            return NotJudged(f"{type(error).__name__}: {error}")

    def _request(self, prompt: str) -> Verdict | NotJudged:
        """Asks until there is a reply, at most `attempts` times; not at all once the endpoint is given up."""
        if not self._circuit_breaker.wait():
            return NotJudged("not asked, because the endpoint did not reply to the answers before", unreachable=True)
        try:
            return self._request_patiently(prompt)
        except Exception:
            self._circuit_breaker.failed()
            raise

    def _request_patiently(self, prompt: str) -> Verdict | NotJudged:
        reason = ""
        for attempt in range(self._settings.attempts):
            try:
                reply = self._reply(prompt)
            except openai.APIStatusError as error:
                reason = f"the endpoint answers {error.status_code}: {error.message}"
                if error.status_code in _NOT_WORTH_A_RETRY:
                    self._circuit_breaker.give_up()
                    return NotJudged(reason, unreachable=True)
                if error.status_code < 500 and error.status_code not in (408, 409, 429):
                    self._circuit_breaker.replied()
                    return NotJudged(reason)
                wait = _retry_after(error)
            except (openai.APIConnectionError, openai.APIResponseValidationError) as error:
                reason, wait = f"the endpoint cannot be reached: {error}", None
            else:
                self._circuit_breaker.replied()
                verdict = rubric.read_verdict(reply)
                return NotJudged(verdict) if isinstance(verdict, str) else verdict
            if attempt + 1 < self._settings.attempts:
                time.sleep(min(wait if wait is not None else self._settings.pause * 2**attempt, _LONGEST_PAUSE))
        self._circuit_breaker.failed()
        return NotJudged(f"{reason} ({self._settings.attempts} requests)", unreachable=True)

    def _reply(self, prompt: str) -> str:
        """The judge's reply; structured where the endpoint can, which the first refusal tells."""
        if self._structured:
            try:
                return self._complete(prompt, response_format=rubric.RESPONSE_FORMAT)
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                text = self._complete(prompt)
                self._structured = False
                return text
        return self._complete(prompt)

    def _complete(self, prompt: str, **options: object) -> str:
        completion = self._client.chat.completions.create(  # type: ignore[call-overload]
            model=self._settings.model,
            messages=[{"role": "system", "content": rubric.SYSTEM}, {"role": "user", "content": prompt}],
            temperature=0,
            max_tokens=_MAX_TOKENS,
            **options,
        )
        choices = getattr(completion, "choices", None)
        content = choices[0].message.content if choices else None
        return content if isinstance(content, str) else ""

    def _path(self, prompt: str) -> Path:
        """Where the verdict is kept: a file for each judge, endpoint, rubric and question."""
        matters = [rubric.VERSION, rubric.SYSTEM, self._settings.model, str(self._client.base_url), prompt]
        digest = hashlib.sha256(json.dumps(matters).encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.json"


@functools.lru_cache(maxsize=4)
def judge(settings: JudgeSettings) -> Judge:
    """The judge of this process with these settings."""
    return Judge(settings, variables.cache_folder() / "judgements", variables.rank_and_world()[1])


def _read(path: Path) -> Verdict | None:
    """A kept verdict; None if there is none, or none that can be read."""
    try:
        kept = rubric.read_verdict(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # by which the cache tells what is still used
    return kept if isinstance(kept, Verdict) else None


def _keep(path: Path, verdict: Verdict) -> None:
    """Keeps a verdict; where that is not possible it still counts, and is asked for again in a rerun."""
    try:
        write_json(path, dataclasses.asdict(verdict))
    except OSError as error:
        logger.warning("A judge's verdict cannot be kept in %s: %s", path.parent, error)


def _retry_after(error: openai.APIStatusError) -> float | None:
    """The seconds that the endpoint asks to wait, given as seconds or as a date."""
    value = error.response.headers.get("retry-after")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
