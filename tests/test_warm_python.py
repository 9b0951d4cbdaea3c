"""Commands of the warm interpreter are processes like any other."""

import json
import os
import signal
import subprocess

import psutil
import pytest


@pytest.fixture
def start(warm_python, tmp_path):
    def start(code: str, *words: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [warm_python.python, "-c", code, *words],
            cwd=tmp_path,
            env={**warm_python.variables, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_they_have_their_own_words_folder_variables_and_streams(start, warm_python, tmp_path):
    code = (
        "import json, os, sys\n"
        "print(json.dumps([sys.argv, sys.executable, os.getcwd(), os.environ['LMMS_MANU_SEED'], sys.stdin.read(),"
        " 'torch' in sys.modules]))\n"
        "sys.exit(3)"
    )
    with start(code, "a", LMMS_MANU_SEED="7") as process:
        told, _ = process.communicate("typed", timeout=60)
    assert json.loads(told) == [["-c", "a"], warm_python.python, str(tmp_path), "7", "typed", True]
    assert process.returncode == 3


def test_they_draw_each_from_its_own_state(start):
    code = "import random, numpy; print(random.random(), numpy.random.random())"
    drawn = [start(code).communicate(timeout=60)[0].split() for _ in range(2)]
    assert all(one != other for one, other in zip(*drawn, strict=True))


def test_an_error_is_told_and_a_signal_ends_them_as_it_would(start):
    failed = start("raise ValueError('mine')")
    assert "ValueError: mine" in failed.communicate(timeout=60)[1]
    assert failed.returncode == 1
    assert start("import os; os.kill(os.getpid(), 9)").wait(timeout=60) == -signal.SIGKILL
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print(flush=True)"
    with start(f"{code}; time.sleep(600)") as told:
        told.stdout.readline()
        told.send_signal(signal.SIGTERM)
        assert told.wait(timeout=60) == 5


def test_who_kills_one_kills_all_that_it_has_started(start):
    below = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {below!r}])"
    with start(code) as process:
        pid = int(process.stdout.readline())
        process.kill()
    with start("pass") as after:
        # Whoever comes next finds nothing of it.
        assert after.wait(timeout=60) == 0
    assert not psutil.pid_exists(pid)


def test_a_variable_that_comes_too_late_is_refused(start):
    with start("pass", HF_HOME=os.devnull) as process:
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "began with another HF_HOME" in told
