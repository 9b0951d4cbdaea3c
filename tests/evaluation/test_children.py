"""Whatever ends an evaluation, nothing that it has started stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from lmms_manu.evaluation import children
from lmms_manu.evaluation.children import child, ended_together

# As a launcher does: a worker in a session of its own, here one that does not go when asked.
LAUNCHER = """
import pathlib, signal, subprocess, sys, time
worker = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
popen = subprocess.Popen([sys.executable, "-c", worker], start_new_session=True, stdout=subprocess.PIPE)
popen.stdout.readline()

def keep(number, frame):
    pathlib.Path("kept").touch()
    sys.exit()

signal.signal(signal.SIGTERM, keep)
print(popen.pid, flush=True)
time.sleep(60)
"""
COMMAND = [sys.executable, "-c", LAUNCHER]


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(children, "_GRACE_SECONDS", 0.5)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_lines_are_read_whole_and_at_once(tmp_path):
    code = (
        "import os, time\n"
        "for block in (b'one\\ntw', b'o \\xc3', b'\\xa9\\r', b'10 %\\r20 %\\n', b'\\xff end'):\n"
        "    os.write(1, block)\n"
        "    time.sleep(0.05)\n"
    )
    with child([sys.executable, "-c", code], folder=tmp_path, variables=os.environ) as lines:
        assert list(lines) == ["one\n", "two é\n", "10 %\n", "20 %\n", "\ufffd end"]


@pytest.mark.parametrize("failure", [BrokenPipeError, KeyboardInterrupt])
def test_a_failure_ends_a_command_and_its_workers_but_lets_it_keep_what_it_has(tmp_path, failure):
    with pytest.raises(failure), child(COMMAND, folder=tmp_path, variables=os.environ) as lines:
        worker = int(next(iter(lines)))
        launcher = psutil.Process(worker).ppid()
        raise failure
    assert (tmp_path / "kept").exists()
    assert not is_alive(launcher)
    assert not is_alive(worker)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_who_is_told_to_end_takes_its_command_along(tmp_path, number):
    code = (
        "import os, pathlib, signal, sys\n"
        "from lmms_manu.evaluation import children\n"
        # Tests that a shell runs in the background are born deaf to interrupts, those under nohup to hang-ups, and so
        # is what they start.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "children._GRACE_SECONDS = 0.5\n"
        f"with children.child({COMMAND!r}, folder=pathlib.Path(sys.argv[1]), variables=os.environ) as lines:\n"
        "    for line in lines:\n"
        "        print(line, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        worker = int(parent.stdout.readline())
        launcher = psutil.Process(worker).ppid()
        parent.send_signal(number)
        assert parent.wait(timeout=30) in (128 + number, -number)
    assert (tmp_path / "kept").exists()
    assert not is_alive(launcher)
    assert not is_alive(worker)


def test_an_interrupt_ends_the_commands_of_other_threads(tmp_path):
    workers = []
    started = threading.Event()

    def read():
        with child(COMMAND, folder=tmp_path, variables=os.environ) as lines:
            for line in lines:
                workers.append(int(line))
                started.set()

    thread = threading.Thread(target=read)
    with contextlib.suppress(KeyboardInterrupt), ended_together():
        thread.start()
        started.wait()
        raise KeyboardInterrupt
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert not is_alive(workers[0])
