"""The factuality judge against a real endpoint on loopback that behaves well and badly."""

import contextlib
import os
import re
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
from support.judge_server import JudgeServer, completion, failure, verdict

from lmms_manu.benchmarks.mllmu.judge import Judge, NotJudged
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
from lmms_manu.benchmarks.mllmu.rubric import Verdict
from lmms_manu.errors import SettingError


@pytest.fixture
def ask(tmp_path):
    """Has answers judged by a server, in the order given; a second call with the same folder is a rerun."""

    def ask_about(server, answers, **settings):
        url = server.url if isinstance(server, JudgeServer) else server
        judge = Judge(JudgeSettings(url=url, **{"pause": 0.01, "silence": 0.05, **settings}), tmp_path / "judgements")
        return [future.result() for future in [judge.ask("Where?", "In Oslo.", answer) for answer in answers]]

    return ask_about


def test_a_good_endpoint_gives_verdicts(ask):
    with JudgeServer(lambda number, body: verdict(8, "fine")) as server:
        assert ask(server, ["In Oslo."]) == [Verdict(8, "fine")]
    (request,) = server.requests
    assert request["temperature"] == 0
    assert request["max_tokens"] == 700
    assert request["response_format"]["type"] == "json_schema"
    assert request["messages"][0]["content"] == "You are an expert at evaluating the factuality of responses."
    assert "In Oslo." in request["messages"][1]["content"]


@pytest.mark.parametrize("form", ["", "/", "/chat/completions"])
def test_the_endpoint_may_be_given_in_its_base_or_its_full_form(ask, form):
    with JudgeServer(lambda number, body: verdict(8)) as server:
        assert ask(server.url + form, ["In Oslo."], key="secret") == [Verdict(8, "because")]
    assert server.paths == {"/v1/chat/completions"}
    assert server.keys == {"Bearer secret"}


def test_an_endpoint_without_structured_output_is_asked_in_plain_text(ask):
    def plain(number, body):
        return failure(400) if "response_format" in body else completion("On a scale of 1 to 10, 8")

    with JudgeServer(plain) as server:
        assert [verdict.score for verdict in ask(server, ["a", "b", "c"], concurrency=1)] == [8, 8, 8]
    assert ["response_format" in request for request in server.requests] == [True, False, False, False]


def test_concurrency_is_used_and_limited(ask):
    with JudgeServer(lambda number, body: verdict(8), seconds=0.1) as server:
        ask(server, [str(number) for number in range(12)], concurrency=3)
    assert server.most_at_a_time == 3


def test_too_many_requests_are_asked_again_after_the_time_they_name(ask):
    with JudgeServer(lambda number, body: failure(429, Retry_After="0.4") if number == 0 else verdict(8)) as server:
        started = time.monotonic()
        assert ask(server, ["a"]) == [Verdict(8, "because")]
        assert time.monotonic() - started >= 0.4
    assert len(server.requests) == 2


def test_the_time_may_be_a_date(ask):
    def busy(number, body):
        return failure(503, Retry_After=formatdate(time.time() + 2, usegmt=True)) if number == 0 else verdict(8)

    with JudgeServer(busy) as server:
        started = time.monotonic()
        assert ask(server, ["a"]) == [Verdict(8, "because")]
        assert time.monotonic() - started >= 0.9


def test_an_endpoint_that_fails_for_ever_leaves_answers_unjudged(ask):
    with JudgeServer(lambda number, body: failure(500)) as server:
        (unjudged,) = ask(server, ["a"], attempts=3)
    assert isinstance(unjudged, NotJudged)
    assert "500" in unjudged.reason
    assert len(server.requests) == 3


def test_a_slow_endpoint_is_given_up_and_a_patient_user_gets_the_verdict(ask):
    with JudgeServer(lambda number, body: verdict(8), seconds=0.5) as server:
        (unjudged,) = ask(server, ["a"], timeout=0.1, attempts=2)
        assert isinstance(unjudged, NotJudged)
        assert "2 requests" in unjudged.reason
        assert ask(server, ["a"], timeout=10) == [Verdict(8, "because")]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (completion("Certainly! What a fine answer."), "no numbers"),
        (completion(None), "empty"),
        (verdict(11), "11 is not between 1 and 10"),
        ((200, "<html>", {"Content-Type": "text/html"}), "empty"),
        ((200, "{", {}), ""),
    ],
)
def test_garbage_is_not_judged(ask, reply, why):
    with JudgeServer(lambda number, body: reply) as server:
        (unjudged,) = ask(server, ["a"], attempts=1)
    assert isinstance(unjudged, NotJudged)
    assert why in unjudged.reason


def test_a_refused_connection_is_not_judged_and_soon_not_asked_for(ask):
    with JudgeServer(lambda number, body: verdict(8)) as server:
        gone = server.url
    answers = ask(gone, [str(number) for number in range(40)], attempts=2, concurrency=4)
    assert all(isinstance(answer, NotJudged) for answer in answers)
    assert "cannot be reached" in answers[0].reason
    assert "not asked" in answers[-1].reason


def test_answers_outlast_an_endpoint_that_is_gone_for_a_while(ask):
    with JudgeServer(lambda number, body: failure(503) if number < 40 else verdict(8)) as server:
        answers = ask(server, [str(number) for number in range(100)], attempts=3)
    judged = [answer for answer in answers if isinstance(answer, Verdict)]
    assert len(judged) > 80
    assert all(answer.unreachable for answer in answers if isinstance(answer, NotJudged))


def test_a_key_that_the_endpoint_repeats_is_not_passed_on(ask):
    with JudgeServer(lambda number, body: (401, '{"error": {"message": "no such key: sk-SECRET"}}', {})) as server:
        (unjudged,) = ask(server, ["a"], key="sk-SECRET")
    assert "no such key: <key>" in unjudged.reason
    assert "SECRET" not in repr(JudgeSettings(key="sk-SECRET"))


def test_a_reason_that_fills_a_page_is_cut(ask):
    with JudgeServer(lambda number, body: (400, "x" * 5000, {})) as server:
        (unjudged,) = ask(server, ["a"])
    assert len(unjudged.reason) < 320


def test_a_verdict_of_one_endpoint_is_not_taken_for_anothers(ask, monkeypatch):
    with JudgeServer(lambda number, body: verdict(2)) as first, JudgeServer(lambda number, body: verdict(9)) as second:
        scores = []
        for server in (first, second):
            # The openai package reads this where the address is left to it.
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            scores += [answer.score for answer in ask(None, ["a"], key="secret")]
    assert scores == [2, 9]


def test_a_reason_with_half_a_character_is_kept(ask):
    with JudgeServer(lambda number, body: completion('{"score": 8, "reason": "fine \\ud83d"}')) as server:
        assert [ask(server, ["a"])[0].score for _ in range(2)] == [8, 8]
    assert len(server.requests) == 1


def test_a_wrong_key_is_tried_once(ask):
    with JudgeServer(lambda number, body: failure(401)) as server:
        answers = ask(server, [str(number) for number in range(20)], concurrency=1)
    assert len(server.requests) == 1
    assert all(isinstance(answer, NotJudged) for answer in answers)


def test_a_rerun_asks_for_nothing_twice_and_failures_again(ask):
    def second_fails(number, body):
        return completion("no idea") if "answer: b\n" in body["messages"][1]["content"] else verdict(8)

    with JudgeServer(second_fails) as server:
        first = ask(server, ["a", "b", "c"])
        assert [isinstance(answer, Verdict) for answer in first] == [True, False, True]
        server.behave = lambda number, body: verdict(3)
        asked = len(server.requests)
        assert [answer.score for answer in ask(server, ["a", "b", "c"])] == [8, 3, 8]
        assert len(server.requests) == asked + 1


def test_what_matters_changes_the_kept_verdict(ask):
    with JudgeServer(lambda number, body: verdict(1 + number)) as server:
        scores = [ask(server, ["a"], model=model)[0].score for model in ("one", "other", "one")]
    assert scores == [1, 2, 1]


def test_a_damaged_verdict_on_disk_is_asked_for_again(ask, tmp_path):
    with JudgeServer(lambda number, body: verdict(8)) as server:
        ask(server, ["a"])
        (kept,) = (tmp_path / "judgements").rglob("*.json")
        kept.write_text('{"score":')
        assert ask(server, ["a"]) == [Verdict(8, "because")]
    assert len(server.requests) == 2


def test_a_verdict_that_cannot_be_kept_counts_all_the_same(ask, tmp_path, caplog):
    (tmp_path / "judgements").write_text("a file where the folder should be")
    with JudgeServer(lambda number, body: verdict(8)) as server:
        assert ask(server, ["a"]) == [Verdict(8, "because")]
    assert "cannot be kept" in caplog.text


RUN = """
from pathlib import Path
from lmms_manu.benchmarks.mllmu.judge import Judge
from lmms_manu.benchmarks.mllmu.judge_settings import JudgeSettings
judge = Judge(JudgeSettings(url={url!r}, concurrency=1), Path({folder!r}))
for future in [judge.ask("Where?", "In Oslo.", str(number)) for number in range(8)]:
    print(future.result().score, flush=True)
"""


def test_a_run_that_dies_half_way_is_continued(tmp_path):
    def slow_from_the_fifth(number, body):
        if number >= 4:
            time.sleep(30)
        return verdict(8)

    with JudgeServer(slow_from_the_fifth) as server:
        code = RUN.format(url=server.url, folder=str(tmp_path))
        run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        with contextlib.closing(run.stdout):
            for _ in range(4):
                run.stdout.readline()
            run.kill()
            run.wait()
        asked = len(server.requests)
        server.behave = lambda number, body: verdict(8)
        rerun = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert rerun.stdout.split() == ["8.0"] * 8
    prompts = [request["messages"][1]["content"] for request in server.requests[asked:]]
    assert [re.search(r"answer: (\d)", prompt).group(1) for prompt in prompts] == ["4", "5", "6", "7"]


@pytest.fixture
def no_judge(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_API_URL", "MODEL_VERSION", "LMMS_MANU_JUDGE"):
        monkeypatch.delenv(name, raising=False)
    for name in os.environ:
        if name.startswith("LMMS_MANU_JUDGE"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_judge")
def test_the_environment_configures_the_judge(monkeypatch):
    assert JudgeSettings.from_environment() is None
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert JudgeSettings.from_environment() == JudgeSettings(key="secret", model="gpt-4o-mini")
    monkeypatch.setenv("OPENAI_API_URL", "http://localhost/v1/chat/completions")
    monkeypatch.setenv("MODEL_VERSION", "gpt-4o")
    monkeypatch.setenv("LMMS_MANU_JUDGE_CONCURRENCY", "2")
    settings = JudgeSettings.from_environment()
    assert (settings.base_url, settings.model, settings.concurrency) == ("http://localhost/v1", "gpt-4o", 2)
    monkeypatch.setenv("LMMS_MANU_JUDGE", "off")
    assert JudgeSettings.from_environment() is None


@pytest.mark.usefixtures("no_judge")
def test_a_wrong_setting_is_refused_before_anything_is_asked(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("LMMS_MANU_JUDGE_CONCURRENCY", "none at all")
    with pytest.raises(SettingError, match="concurrency"):
        JudgeSettings.from_environment()
