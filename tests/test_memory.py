"""Running out of memory is told from other errors, however a library says it."""

import gc
import weakref

import pytest
import torch

from lmms_manu.memory import is_out_of_memory, release_memory


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
        pass

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
