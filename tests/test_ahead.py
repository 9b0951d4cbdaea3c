import threading

import pytest

from lmms_manu.ahead import one_ahead
from lmms_manu.errors import DataError

LONG = 60


def test_what_is_needed_next_is_made_meanwhile_and_nothing_behind_it():
    begun = [threading.Event() for _ in range(4)]
    threads = set()

    def make(item):
        begun[item].set()
        threads.add(threading.get_ident())
        return item * 10

    with one_ahead(make, range(4)) as made:
        for place in range(4):
            assert made[place] == place * 10
            assert all(event.wait(LONG) for event in begun[: place + 2]), "the next one waits"
            assert not any(event.is_set() for event in begun[place + 2 :])
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_one_may_begin_anywhere_as_a_training_does_that_goes_on():
    with one_ahead(str, range(5)) as made:
        assert [made[place] for place in (3, 4, 0)] == ["3", "4", "0"]
        assert list(made) == ["0", "1", "2", "3", "4"]


def test_what_fails_says_so_where_it_is_asked_for():
    def make(item):
        if item == 2:
            raise DataError("sample 2: a picture cannot be read")
        return item

    seen = []
    with pytest.raises(DataError, match="sample 2: a picture cannot be read"), one_ahead(make, range(4)) as made:
        for place in range(4):
            seen.append(made[place])
    assert seen == [0, 1]


def test_an_end_in_between_waits_for_nothing_that_was_not_begun():
    with one_ahead(lambda item: item, range(1000)) as made:
        assert made[0] == 0
    with pytest.raises(RuntimeError, match="shutdown"):
        made[5]
