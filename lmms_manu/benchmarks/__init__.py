"""What the library knows of a benchmark, and the benchmarks by name; a benchmark is a guest, and none is imported."""

from lmms_manu.benchmarks.base import MODALITIES, Aggregate, Benchmark, Metric, Split, Task
from lmms_manu.benchmarks.example import Example
from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, benchmarks, find_task, get_benchmark, register
from lmms_manu.benchmarks.sample import Sample

__all__ = [
    "DEFAULT_BENCHMARK",
    "MODALITIES",
    "Aggregate",
    "Benchmark",
    "Example",
    "Metric",
    "Sample",
    "Split",
    "Task",
    "benchmarks",
    "find_task",
    "get_benchmark",
    "register",
]
