"""An OpenAI-compatible endpoint on loopback that answers as a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, str, dict[str, str]]
"""HTTP status, body, further headers."""


def completion(text: str | None) -> Reply:
    """A chat completion that says `text`."""
    message = {"role": "assistant", "content": text}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "judge"}
    return 200, json.dumps({**body, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}), {}


def verdict(score: Any, reason: str = "because") -> Reply:
    """A chat completion with a verdict in the form that is asked for."""
    return completion(json.dumps({"score": score, "reason": reason}))


def failure(status: int, **headers: str) -> Reply:
    """An error of the endpoint."""
    return status, json.dumps({"error": {"message": f"error {status}"}}), headers


class JudgeServer:
    """Serves `/v1/chat/completions`; `behave` gives the reply to a request, told its number from 0 and its body."""

    def __init__(self, behave: Callable[[int, dict[str, Any]], Reply], seconds: float = 0.0) -> None:
        self.behave = behave
        self.seconds = seconds
        self.requests: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self.keys: set[str | None] = set()
        self.most_at_a_time = 0
        self._at_a_time = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The base form of the endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> JudgeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> Reply:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.paths.add(handler.path)
            self.keys.add(handler.headers["Authorization"])
            self._at_a_time += 1
            self.most_at_a_time = max(self.most_at_a_time, self._at_a_time)
        try:
            time.sleep(self.seconds)
            return self.behave(number, body)
        finally:
            with self._lock:
                self._at_a_time -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, body, headers = server._answer(self)
                encoded = body.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests stay silent."""

        return Handler
