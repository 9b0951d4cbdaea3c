"""The interpreter that waits: imports what commands import, and forks for each."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import types
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy
import psutil

from lmms_manu.cli.main import COMMANDS
from support.quick_yaml import read_quickly

MODULES = (
    "lmms_eval.evaluator",
    "lmms_eval.loggers",
    "lmms_eval.cli.dispatch",
    "lmms_eval.models.registry_v2",
    "torch.distributed.elastic.multiprocessing.api",
    "nltk.stem.porter",
    "rouge_score.rouge_scorer",
    "pytablewriter",
    "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
    "transformers.models.clip.modeling_clip",
    "transformers.models.llama.modeling_llama",
    "transformers.models.llava.modeling_llava",
    "transformers.models.llava.processing_llava",
    *(f"lmms_manu.cli.{name.replace('-', '_')}" for name in COMMANDS),
    "lmms_manu.plugins.manu_pruned",
)
"""What commands import; no module that is run as `python -m`."""

# What nothing reads while it is imported: arguments of tasks, judges and launchers.
LATE = (
    "LMMS_MANU_",
    "LMMS_EVAL_DATASETS_CACHE",
    "OPENAI_",
    "MODEL_VERSION",
    "API_TYPE",
    "WANDB_",
    "ACCELERATE_",
    "PYTEST_",
    "TORCHELASTIC_",
    "TORCH_NCCL_",
    "MASTER_",
    "KMP_",
    "TORCHINDUCTOR_",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "RANK",
    "WORLD_SIZE",
    "VERBOSITY",
    "GITHUB_STEP_SUMMARY",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
)


class Server:
    """Forks for each connection; `serve` returns in the forks, with what they were asked for."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._awake, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector.register(self._awake, selectors.EVENT_READ)
        self._clients: dict[int, tuple[socket.socket, int]] = {}
        """The connection of each fork, and the number of the process behind it."""

    def serve(self) -> dict[str, Any]:
        while True:
            ready = {key.fileobj for key, _ in self._selector.select()}
            if sys.stdin in ready:
                self._kill(list(self._clients))
                os._exit(0)
            if self._awake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._awake, 4096)
                self._reap()
            # Who was killed is gone before anybody else begins.
            self._kill([number for number, (client, _) in self._clients.items() if client in ready])
            if self._listener in ready and (asked := self._fork()) is not None:
                return asked

    def _fork(self) -> dict[str, Any] | None:
        client, _ = self._listener.accept()
        head, streams, _, _ = socket.recv_fds(client, 4, 3)
        text = b""
        while len(text) < struct.unpack("!I", head)[0]:
            text += client.recv(1 << 16)
        number = os.fork()
        if number == 0:
            self._let_go(streams)
            client.close()
            return json.loads(text)
        for stream in streams:
            os.close(stream)
        behind, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self._clients[number] = client, behind
        self._selector.register(client, selectors.EVENT_READ)
        client.sendall(f"{number}\n".encode())
        return None

    def _let_go(self, streams: list[int]) -> None:
        """Makes a fork a process of its own, with its own streams and nothing of the server's."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for stream, given in enumerate(streams):
            os.dup2(given, stream)
            os.close(given)
        self._selector.close()
        self._listener.close()
        os.close(self._awake)
        os.close(self._wake)
        for client, _ in self._clients.values():
            client.close()

    def _reap(self) -> None:
        """Tells who waits for a fork that has ended how it ended."""
        for number in list(self._clients):
            found, status = os.waitpid(number, os.WNOHANG)
            if found:
                self._tell(number, status)

    def _kill(self, numbers: list[int]) -> None:
        """Kills forks whose client is gone, with all below them: what a client stands for is no child of it."""
        for number in numbers:
            if number not in self._clients:
                continue
            below = psutil.Process(number).children(recursive=True)
            os.kill(number, signal.SIGKILL)
            for one in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            os.waitpid(number, 0)
            self._tell(number, signal.SIGKILL)
            pids = {one.pid for one in below}
            self._kill([other for other, (_, behind) in self._clients.items() if behind in pids])

    def _tell(self, number: int, status: int) -> None:
        client, _ = self._clients.pop(number)
        self._selector.unregister(client)
        with contextlib.suppress(OSError):
            client.sendall(f"{status}\n".encode())
        client.close()


def wait(root: Path, without: Collection[str]) -> dict[str, Any]:
    """Imports everything and waits; returns in each fork."""
    before, finders = dict(os.environ), list(sys.meta_path)
    read_quickly()
    for name in MODULES:
        importlib.import_module(name)
    if without:
        for name in [name for name in sys.modules if name.partition(".")[0] in without]:
            del sys.modules[name]
        sys.meta_path[:] = finders
    # Forks share what they do not touch, and the collector touches everything that it looks at.
    gc.collect()
    gc.freeze()
    if lost := _threads() - {"jemalloc_bg_thd"}:  # which a fork knows to start again
        raise RuntimeError(f"forks would lack the threads {', '.join(sorted(lost))}")
    known = {name: [before.get(name), os.environ.get(name)] for name in {*before, *os.environ}}
    (root / "variables.json").write_text(json.dumps({"known": known, "late": LATE}), encoding="utf-8")
    set_by_imports = {name: value for name, value in os.environ.items() if before.get(name) != value}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        listener.listen(64)
        print("waiting", flush=True)
        asked = Server(listener).serve()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update({**set_by_imports, **asked["variables"]})
    sys.executable = str(root / "bin" / "python")
    # The others of the imported generators either seed themselves after a fork or begin with a fixed seed.
    numpy.random.seed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (stream is sys.stderr or stream.isatty() or asked["unbuffered"]):
            stream.reconfigure(line_buffering=True, write_through=asked["unbuffered"])
    return asked


def _threads() -> set[str]:
    """The names of the threads beside this one, those of libraries too, which Python does not know."""
    others = (task for task in Path("/proc/self/task").iterdir() if int(task.name) != threading.get_native_id())
    return {(task / "comm").read_text().strip() for task in others}


def run(words: list[str]) -> None:
    """Does what `python WORDS` does."""
    # Its sentence about modules that are there already before they are run.
    warnings.filterwarnings("ignore", message=".*found in sys.modules after import of package", category=RuntimeWarning)
    if words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        vars(main)["__builtins__"] = builtins
        exec(compile(words[1], "<string>", "exec"), vars(main))
    elif words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), os.path.dirname(os.path.realpath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def _end_at_once(done: list[int]) -> None:
    """Ends a fork that has come to its end: to take apart all that was imported takes a second, and nobody sees it."""
    if done:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(done[0])
    gc.unfreeze()


def main(root: str, *without: str) -> None:
    done: list[int] = []
    # Registered before all others, it is called after them.
    atexit.register(_end_at_once, done)
    words = wait(Path(root), without)["words"]
    try:
        run(words)
        done.append(0)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            done.append((end.code or 0) & 0xFF)
        raise
