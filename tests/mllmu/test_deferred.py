"""Results that arrive later are dictionaries by the time anybody reads them."""

import copy
import json
import pickle
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lmms_manu.benchmarks.mllmu.deferred import Deferred, settle


@pytest.fixture
def pending():
    with ThreadPoolExecutor(2) as workers:

        def later(number):
            time.sleep(0.05)
            return number

        yield [Deferred(workers.submit(later, number), lambda score: {"score": score}) for number in range(4)]


def test_settling_fills_the_very_objects_that_were_given_away(pending):
    given_away = list(pending)
    settle([*pending, {"score": 9}], "Judging")
    assert given_away == [{"score": number} for number in range(4)]
    assert json.dumps(given_away[1]) == '{"score": 1}'


def test_what_is_sent_to_another_process_is_waited_for(pending):
    assert pickle.loads(pickle.dumps(pending)) == [{"score": number} for number in range(4)]
    assert type(pickle.loads(pickle.dumps(pending[0]))) is dict


def test_copies_are_settled(pending):
    assert copy.deepcopy(pending[3]) == {"score": 3}


def test_settling_twice_asks_the_future_once():
    future: Future[Any] = Future()
    future.set_result(1)
    asked = []

    def read(score):
        asked.append(score)
        return {"score": score}

    item = Deferred(future, read)
    item.settle()
    item.settle()
    assert asked == [1]
