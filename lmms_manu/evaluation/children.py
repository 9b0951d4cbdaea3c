"""Commands that run beside this process, and that end with it, together with all that they have started."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from lmms_manu.errors import ManuError
from lmms_manu.signals import termination_as_exit

# Long enough for a measurement to keep its unfinished sums.
_GRACE_SECONDS = 10.0

# How long a signal may go unnoticed that comes just before a read: the interpreter looks for signals before and after.
_UNNOTICED_SECONDS = 0.5

_running: set[subprocess.Popen[bytes]] = set()
_ending = threading.Event()


class EndedError(ManuError, RuntimeError):
    """Commands that run side by side were ended, and none is started any more."""

    exit_code = 130


class Child:
    """A command that runs: an iterator of the lines that it writes, to either stream."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines = iter(()) if process.stdout is None else _lines(process.stdout)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def tell(self, line: str) -> None:
        """Gives a line to a command that listens; it may have ended."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()

    def end(self) -> None:
        """Ends the command, and all that it has started."""
        _end([self._process])


@contextlib.contextmanager
def child(
    command: Sequence[str], *, folder: Path, variables: Mapping[str, str], listens: bool = False
) -> Iterator[Child]:
    """Starts a command and yields it.

    If the block fails, is interrupted or is told to end, so is the command, and all that it has started.

    Args:
        command: the command's words.
        folder: its working directory.
        variables: its environment variables.
        listens: whether it is told lines, until the block ends; else there is nothing for it to read.

    Raises:
        EndedError: other threads' commands were ended, and this thread goes on.
    """
    check_not_ended()
    with (
        termination_as_exit(),
        subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        _running.add(process)
        try:
            yield Child(process)
        except BaseException:
            _end([process])
            raise
        finally:
            _running.discard(process)


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """The lines that come through a pipe, each as soon as it is there; a progress bar's states are lines, too."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest, block = "", b"-"
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while block:
            if selector.select(_UNNOTICED_SECONDS):
                block = os.read(pipe.fileno(), io.DEFAULT_BUFFER_SIZE)
                *lines, rest = (rest + decoder.decode(block, final=not block)).split("\n")
                yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest


@contextlib.contextmanager
def ended_together() -> Iterator[None]:
    """Ends the commands that other threads have started, if the block fails, is interrupted or is told to end.

    Signals reach the main thread only; the others would go on reading.
    """
    _ending.clear()
    with termination_as_exit():
        try:
            yield
        except BaseException:
            _ending.set()
            _end(tuple(_running))
            raise


def check_not_ended() -> None:
    """Keeps a thread from going on whose command was ended together with all others.

    Raises:
        EndedError: it was.
    """
    if _ending.is_set() and threading.current_thread() is not threading.main_thread():
        raise EndedError("interrupted")


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends commands and all that they have started: first asks, then makes them."""
    # A launcher's workers have sessions of their own, so that no signal to the launcher's reaches them.
    known = _families(processes)
    _signal(processes, signal.SIGTERM)
    try:
        _wait(known)
    finally:
        known |= _families(processes)
        _signal(processes, signal.SIGKILL)
        for one in known:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        _wait(known)


def _families(processes: Sequence[subprocess.Popen[bytes]]) -> set[psutil.Process]:
    """Those of the processes that are still there, with all that they have started."""
    families: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(process.pid)
            families |= {first, *first.children(recursive=True)}
    return families


def _signal(processes: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _wait(processes: Iterable[psutil.Process]) -> None:
    """Waits until they have ended, but not for ever."""
    until = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < until and any(map(_is_alive, processes)):
        time.sleep(0.02)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
