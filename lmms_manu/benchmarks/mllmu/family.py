"""Which family of models this process asks: the released protocol shows its exemplars by it."""

from __future__ import annotations

_family: str | None = None


def announce_family(model_type: str | None) -> None:
    """Makes the `model_type` of the model's configuration known to the tasks; None for a model that says none.

    The harness makes the model before it loads the tasks, and hands the tasks nothing of it.
    """
    global _family
    _family = model_type


def announced_family() -> str | None:
    """The `model_type` of the model that this process asks, None if it is not known."""
    return _family
