"""A hub on loopback that serves one repository from a folder and takes uploads, by what huggingface_hub asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import datasets
import huggingface_hub.constants
import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repository: str, folder: Path, cache: Path, kind: str = "models") -> Iterator[None]:
    """The hub of this process is a server on loopback with one repository.

    Args:
        repository: its name.
        folder: its files.
        cache: where huggingface_hub keeps what it fetches.
        kind: `models` or `datasets`.
    """
    api = f"api/{kind}/{repository}"
    start = f"{repository}/resolve/" if kind == "models" else f"{kind}/{repository}/resolve/"

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).strip("/")
            content = self._content(path, parts.query)
            self.send_response(200 if content is not None else 404)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound" if path.startswith(start) else "RepoNotFound")
            body = content or b""
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_POST(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(self._posted(path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _posted(self, path: str, body: bytes) -> object:
            where = f"http://{self.headers['Host']}/{repository}"
            if path == "api/repos/create":
                asked = json.loads(body)
                (folder / ".private").write_text(str(asked.get("private") or asked.get("visibility")), encoding="utf-8")
                return {"url": where, "name": repository}
            if path.endswith("/preupload/main"):
                names = [file["path"] for file in json.loads(body)["files"]]
                return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
            if path.endswith("/commit/main"):
                for line in body.decode().splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        target = folder / entry["value"]["path"]
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(base64.b64decode(entry["value"]["content"]))
                return {"success": True, "commitOid": COMMIT, "commitUrl": f"{where}/commit/{COMMIT}"}
            if "/paths-info/" in path:
                asked_for = json.loads(body)["paths"]
                return [entry for entry in self._tree("", deep=True) if entry["path"] in asked_for]
            return {"errors": [], "warnings": []}  # the card's head is in order

        def _tree(self, below: str, *, deep: bool) -> list[dict[str, Any]]:
            """The entries of a folder, in the end those of all folders in it."""
            found = sorted((folder / below).rglob("*") if deep else (folder / below).glob("*"))
            return [
                {"type": "file", "path": name, "size": entry.stat().st_size, "oid": _digest(entry)}
                if entry.is_file()
                else {"type": "directory", "path": name, "size": 0, "oid": "0"}
                for entry in found
                if (name := entry.relative_to(folder).as_posix())
            ]

        def _files(self) -> dict[str, Path]:
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            return {file.relative_to(folder).as_posix(): file for file in files}

        def _content(self, path: str, query: str) -> bytes | None:
            names = self._files()
            about = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            if path.startswith(f"{api}/tree/"):
                below = path.removeprefix(f"{api}/tree/").partition("/")[2]
                return json.dumps(self._tree(below, deep="recursive=true" in query.lower())).encode()
            if path == api or path.startswith(f"{api}/revision/"):
                return json.dumps(about).encode()
            if path.startswith(start):
                name = path.removeprefix(start).partition("/")[2]
                return names[name].read_bytes() if name in names else None
            return None

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    constants = huggingface_hub.constants
    with pytest.MonkeyPatch.context() as patch:
        url = f"http://127.0.0.1:{server.server_port}"
        patch.setattr(constants, "ENDPOINT", url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        if kind == "datasets":
            patch.setattr(datasets.config, "HF_ENDPOINT", url)
            patch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
