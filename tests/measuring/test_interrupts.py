import functools
import os
import signal

import pytest
import torch
from support.statistics import stacked

from lmms_manu.errors import DataError, ModelError
from lmms_manu.measuring import measure_part
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.processes import Processes
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.resume import PartialValues
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.measuring.statistics_cache import StatisticsCache
from lmms_manu.models.blocks import find_mlp_blocks


def run(checkpoint, parts, size=2, **settings):
    own = MeasureSettings(statistics_batch_size=size, **settings)
    return measure(checkpoint, find_mlp_blocks(checkpoint.model), parts, own, progress=False)


class Forwards:
    """Counts the samples of each forward pass, and does something at one of them."""

    def __init__(self, checkpoint, at=None, action=None):
        self.sizes = []
        self._at, self._action = at, action
        checkpoint.model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module, arguments, options):
        self.sizes.append(len(options["input_ids"]))
        if len(self.sizes) == self._at:
            self._action()


def interrupt():
    raise KeyboardInterrupt


# Each part has 19 examples: 10 batches of two, each a shard; or 19 of one, of which the first three shards have two.
@pytest.mark.parametrize(("size", "batches", "at"), [(2, 40, 1), (2, 40, 16), (2, 40, 39), (1, 76, 4)])
def test_an_interrupt_loses_at_most_one_batch(load, parts, size, batches, at):
    undisturbed = run(load(), parts, size, statistics_cache=False)
    checkpoint = load()
    Forwards(checkpoint, at, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, parts, size)
    checkpoint = load()
    forwards = Forwards(checkpoint)
    resumed = run(checkpoint, parts, size)
    assert len(forwards.sizes) == batches - (at - 1)
    assert torch.equal(stacked(resumed), stacked(undisturbed))
    assert not StatisticsCache.default().unfinished()


def test_being_told_to_end_loses_at_most_one_batch(load, parts):
    checkpoint = load()
    Forwards(checkpoint, 16, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        run(checkpoint, parts)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    checkpoint = load()
    forwards = Forwards(checkpoint)
    run(checkpoint, parts)
    assert len(forwards.sizes) == 40 - 15


def test_being_told_to_end_while_waiting_for_other_processes_loses_nothing(load, parts, monkeypatch):
    with monkeypatch.context() as waiting:
        waiting.setattr(Processes, "raise_everywhere", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(SystemExit):
            run(load(), parts)
    checkpoint = load()
    forwards = Forwards(checkpoint)
    run(checkpoint, parts)
    assert len(forwards.sizes) == 40 - 1


def test_what_cannot_be_kept_ends_no_measurement(load, parts, monkeypatch, caplog):
    def vanished(*_):
        raise FileNotFoundError("the folder was cleaned")

    monkeypatch.setattr(PartialValues, "save", vanished)
    monkeypatch.setattr(measure_part, "_KEEP_SECONDS", 0)
    assert run(load(), parts).measured == 4
    assert "could not be kept: the folder was cleaned" in caplog.text


def test_an_interrupted_measurement_of_other_settings_is_not_used(load, parts):
    checkpoint = load()
    Forwards(checkpoint, 7, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, parts)
    checkpoint = load()
    forwards = Forwards(checkpoint)
    run(checkpoint, parts, tau=0.2)
    assert len(forwards.sizes) == 40


def out_of_memory():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_out_of_memory_halves_the_batch_and_goes_on(load, parts):
    undisturbed = run(load(), parts, statistics_cache=False)
    checkpoint = load()
    forwards = Forwards(checkpoint, 3, out_of_memory)
    halved = run(checkpoint, parts)
    assert forwards.sizes[:5] == [2, 2, 2, 1, 1]
    assert set(forwards.sizes[5:]) == {1}
    torch.testing.assert_close(stacked(halved), stacked(undisturbed), rtol=1e-4, atol=1e-3)


def test_a_sample_that_does_not_fit_alone_is_an_error_that_names_it(load, parts):
    checkpoint = load()
    checkpoint.model.register_forward_pre_hook(lambda *_: out_of_memory())
    with pytest.raises(ModelError, match="Out of memory while measuring forget multimodal sample 0 alone"):
        run(checkpoint, parts)


def test_a_picture_that_does_not_decode_is_left_out_with_a_warning(load, parts, caplog):
    def broken():
        raise DataError("its picture does not decode")

    first, *others = parts["forget", "multimodal"]
    without = run(load(), {**parts, ("forget", "multimodal"): others}, statistics_cache=False)
    unreadable = RenderedExample("the torn one", first.question, first.answer, functools.partial(broken), "torn")
    found = run(load(), {**parts, ("forget", "multimodal"): [unreadable, *others]})
    torch.testing.assert_close(stacked(found), stacked(without), rtol=1e-4, atol=1e-3)
    assert "without the torn one: its picture does not decode" in caplog.text
