"""A judge on loopback that speaks OpenAI's chat completions, real HTTP, and says what a test wants it to say."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclasses.dataclass(frozen=True)
class Reply:
    """One answer of the server.

    Args:
        content: what the judge says; for a status other than 200 the error's message.
        status: the HTTP status.
        seconds: how long it takes.
        raw: the body as it is, instead of a well-formed one.
    """

    content: str = ""
    status: int = 200
    seconds: float = 0.0
    raw: str | None = None

    def body(self, model: str) -> bytes:
        if self.raw is not None:
            return self.raw.encode()
        if self.status != 200:
            return json.dumps({"error": {"message": self.content or "refused", "type": "test", "code": None}}).encode()
        choice = {"index": 0, "message": {"role": "assistant", "content": self.content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return json.dumps(
            {"id": "x", "object": "chat.completion", "created": 0, "model": model, "choices": [choice], "usage": usage}
        ).encode()


Script = Callable[[str, int], Reply]
"""From the text of a request and its number, counted from zero, to the reply."""


def always(reply: Reply) -> Script:
    """The same reply to every request."""
    return lambda prompt, number: reply


def in_turn(replies: Sequence[Reply]) -> Script:
    """One reply after the other, the last one for ever."""
    return lambda prompt, number: replies[min(number, len(replies) - 1)]


def stock_benchmarks(prompt: str, number: int) -> Reply:
    """What the judges of MM-Vet (0.5), MIA-Bench (8 of 10) and LLaVA-Bench (8 against 6) are expected to say."""
    if "gpt_query_prompt" in prompt:
        return Reply("0.5")
    if "[End of " in prompt:
        return Reply("8 6\nThe second answer is shorter.")
    components = sorted(set(re.findall(r"score of component (\d+)", prompt))) or ["1"]
    scores = ", ".join(f"score of component {one}: 4/5" for one in components)
    return Reply(f"{scores}, total score: 8/10")


class JudgeServer:
    """The running server.

    Args:
        port: where it listens on 127.0.0.1.
        requests: the bodies of all requests so far.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[dict[str, Any]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._script = script
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                judge._reply(self)

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def completions_url(self) -> str:
        return f"{self.base_url}/chat/completions"

    def environment(self, *, full_url: bool = False) -> dict[str, str]:
        """The variables that lead a judged task here; MIA-Bench wants the full URL, all others the base."""
        url = self.completions_url if full_url else self.base_url
        return {"OPENAI_API_KEY": "test", "OPENAI_API_URL": url, "OPENAI_BASE_URL": url, "MODEL_VERSION": "test-judge"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = next(self._numbers)
            self.requests.append(body)
        if not handler.path.endswith("/chat/completions"):
            reply = Reply(f"no such path {handler.path}", status=404)
        else:
            reply = self._script(_text(body), number)
        time.sleep(reply.seconds)
        content = reply.body(body.get("model", "test-judge"))
        handler.send_response(reply.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def judge_server(script: Script) -> Iterator[JudgeServer]:
    """A server that lives as long as the context."""
    server = JudgeServer(script)
    try:
        yield server
    finally:
        server.close()


def _text(body: dict[str, Any]) -> str:
    parts = []
    for message in body.get("messages", []):
        content = message["content"]
        parts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return "\n".join(parts)
