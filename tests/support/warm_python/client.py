"""Stands in for the interpreter: has a warm one do what this one was asked to do, and ends as that does.

Runs with no library but Python's own, so that it starts in some milliseconds.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    words, unbuffered = sys.argv[1:], False
    while words[:1] == ["-u"]:
        words, unbuffered = words[1:], True
    if not words or (words[0].startswith("-") and words[0] not in ("-m", "-c")):
        _start_another()
    _refuse_other_variables()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.path.join(ROOT, "socket"))
        asked = {"words": words, "unbuffered": unbuffered, "folder": os.getcwd(), "variables": dict(os.environ)}
        # Until the number of the fork is known, nothing can be passed on.
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        text = json.dumps(asked, ensure_ascii=True).encode()
        socket.send_fds(server, [struct.pack("!I", len(text))], [0, 1, 2])
        server.sendall(text)
        with server.makefile("r") as replies:
            number = int(replies.readline())
            for one in PASSED_ON:
                # What was ignored when this process began is ignored by whatever it starts.
                if signal.getsignal(one) != signal.SIG_IGN:
                    signal.signal(one, lambda given, frame: _pass_on(number, given))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
            status = int(replies.readline())
    _end_alike(status)


def _refuse_other_variables() -> None:
    """The warm interpreter began with certain variables; another value comes too late for what is imported."""
    with open(os.path.join(ROOT, "variables.json"), encoding="utf-8") as file:
        kept = json.load(file)
    known, late = kept["known"], tuple(kept["late"])
    for name in sorted({*known, *os.environ}):
        if not name.startswith(late) and os.environ.get(name) not in known.get(name, [None]):
            sys.exit(f"WarmPython began with another {name}: start sys.executable, or add it to LATE in server.py.")


def _start_another() -> None:
    """Leaves what has options of the interpreter to one of its own."""
    with open(os.path.join(ROOT, "interpreter"), encoding="utf-8") as file:
        interpreter = file.read()
    os.execv(interpreter, [interpreter, *sys.argv[1:]])


def _pass_on(number: int, given: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, given)


def _end_alike(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
