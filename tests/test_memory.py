"""Running out of memory is told from other errors, however a library says it."""

import gc
import weakref

import pytest
import torch

from lmms_manu.errors import ModelError
from lmms_manu.memory import is_out_of_memory, release_memory, within_memory


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."), True),
        (RuntimeError("shape '[20, -1]' is invalid for input of size 16"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_recognised(error, is_one):
    assert is_out_of_memory(error) is is_one


def test_what_only_a_cycle_refers_to_is_released():
    class Held:
        itself: object

    held = Held()
    held.itself = held
    seen = weakref.ref(held)
    gc.disable()
    try:
        del held
        assert seen() is not None
        release_memory()
        assert seen() is None
    finally:
        gc.enable()


def test_work_that_does_not_fit_gives_nothing_and_other_errors_stay_what_they_are():
    def raising(error: Exception):
        def work() -> int:
            raise error

        return work

    assert within_memory(lambda: 3) == 3
    assert within_memory(raising(MemoryError())) is None
    with pytest.raises(ModelError, match=r"too large \(of memory\)"):
        within_memory(raising(MemoryError("of memory")), "too large ({error})")
    with pytest.raises(RuntimeError, match="shape"):
        within_memory(raising(RuntimeError("shape")), "too large")


def test_what_failed_work_held_is_released_before_anything_else_is_tried():
    seen = []

    class Held:
        itself: object

    def work() -> int:
        held = Held()
        seen.append(weakref.ref(held))
        raise MemoryError

    within_memory(work)
    assert seen[0]() is None
