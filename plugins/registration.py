"""The entry point through which lmms-eval finds the model `manu_pruned`, or `unlearned`, and the MLLMU-Bench tasks.

lmms-eval calls `register` while it imports `lmms_eval.models`, before it looks for tasks. It has entry points for
models only, so `register` also makes its task index take in this package's folder of tasks, and refuse tasks whose
judge is missing: at once if `lmms_eval.tasks` is loaded, else at the moment it is loaded. Importing it here would cost
every command, even `lmms-eval models`, ten seconds.

Each of these stands alone: where the host has changed and one of them fails, the others are there.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, MutableMapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from loguru import logger

from lmms_manu.names import MODELS

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

CHAT_CLASS = "lmms_manu.plugins.manu_pruned.ManuPruned"
SIMPLE_CLASS = "lmms_manu.plugins.manu_pruned.ManuPrunedSimple"
TESTED_HOST = "0.7.3"

_TASKS_MODULE = "lmms_eval.tasks"
_MARK = "_is_of_lmms_manu"
_TASKS = "register its MLLMU-Bench tasks"


def register() -> list[ModelManifest]:
    """Registers the tasks and returns the model's manifests; may be called any number of times."""
    _attempt(_TASKS, _register_tasks)
    # Imported here: it imports `lmms_eval.models`, which loads this very module to call this function. Were that to
    # start from the top of this module, the function would not be there yet, and the model would go missing.
    from lmms_eval.models.registry_v2 import ModelManifest

    _attempt("list its model", _list_model)
    return [ModelManifest(model_id=name, simple_class_path=SIMPLE_CLASS, chat_class_path=CHAT_CLASS) for name in MODELS]


def tasks_folder() -> str:
    """The folder that holds this package's task files."""
    spec = importlib.util.find_spec("lmms_manu.tasks")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package lmms_manu.tasks is not installed")
    return next(iter(spec.submodule_search_locations))


def _guests_folders() -> list[str]:
    """The folders of task files of benchmarks that other packages have registered."""
    # Imported here, because those packages are, and a command without tasks needs none of them.
    from lmms_manu.benchmarks.registry import guests

    return [str(folder) for benchmark in guests() if (folder := benchmark.tasks_folder) is not None]


def _list_model() -> None:
    """Puts the model into the tables that `lmms-eval models` prints, which hold built-in models only.

    A table that cannot be written belongs to a host that lists the models of plugins itself.
    """
    models = sys.modules.get("lmms_eval.models")
    for name, path in (("AVAILABLE_CHAT_TEMPLATE_MODELS", CHAT_CLASS), ("AVAILABLE_SIMPLE_MODELS", SIMPLE_CLASS)):
        table = getattr(models, name, None)
        if isinstance(table, MutableMapping):
            for model in MODELS:
                table.setdefault(model, path)


def _register_tasks() -> None:
    loaded = sys.modules.get(_TASKS_MODULE)
    # A module that is still being executed has no TaskManager yet; the finder is in place for it already.
    if loaded is not None and hasattr(loaded, "TaskManager"):
        _extend(loaded)
    elif not any(isinstance(finder, _TasksFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TasksFinder())


def _extend(tasks: ModuleType) -> None:
    """Makes every TaskManager built from now on index this package's tasks, and look at those that are asked for."""
    manager = tasks.TaskManager
    _attempt(_TASKS, lambda: _add_tasks(manager))
    _attempt("leave out what own data has no questions for", lambda: _fit_groups(manager))
    _attempt("look at the tasks before the model is loaded", lambda: _check_early(manager))


def _add_tasks(manager: Any) -> None:
    """Has this package's tasks indexed beside the built-in ones."""
    original = manager.initialize_tasks
    if getattr(original, _MARK, False):
        return
    parameters = inspect.signature(original).parameters
    if not {"include_path", "include_defaults"} <= parameters.keys():
        raise TypeError(f"TaskManager.initialize_tasks takes {', '.join(parameters)}")

    @functools.wraps(original)
    def initialize_tasks(
        self: object, include_path: str | list[str] | None = None, include_defaults: bool = True
    ) -> object:
        given = [include_path] if isinstance(include_path, str) else list(include_path or [])
        # The first definition of a name wins, so the user's own folders come before these.
        own = [folder for folder in (tasks_folder(), *_guests_folders()) if folder not in given]
        paths = [*given, *own] if include_defaults else given
        return original(self, include_path=paths or None, include_defaults=include_defaults)

    setattr(initialize_tasks, _MARK, True)
    manager.initialize_tasks = initialize_tasks


def _fit_groups(manager: Any) -> None:
    """Has groups without those of their tasks that the benchmark's data has no question for."""
    original = manager._get_config
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def get_config(self: object, name: str) -> dict[str, Any]:
        config: dict[str, Any] = original(self, name)
        members = config.get("task")
        if isinstance(members, list):
            from lmms_manu.benchmarks.registry import owner_of

            benchmark = owner_of(name)
            if benchmark is not None:
                missing = {one: reason for one in members if (reason := benchmark.no_questions(one))}
                for reason in missing.values():
                    logger.info(f"Left out of {name}: {reason}")
                config["task"] = [one for one in members if one not in missing]
        return config

    setattr(get_config, _MARK, True)
    manager._get_config = get_config


def _check_early(manager: Any) -> None:
    """Has tasks checked when the harness resolves `--tasks`, which is before it loads the model, and announces them."""
    original = manager.match_tasks
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def match_tasks(self: object, task_list: list[str]) -> list[str]:
        matched: list[str] = original(self, task_list)
        if getattr(self, "model_name", None) is not None:
            # The model of an evaluation before this one is asked no more; ours says anew which one is.
            from lmms_manu.benchmarks.registry import announce_choice, announce_model
            from lmms_manu.methods.evaluated import note_evaluated

            note_evaluated(None)
            announce_model(None)
            announce_choice(None)
        if getattr(self, "model_name", None) in MODELS:
            # Imported here, like everything that commands without a model can do without.
            from lmms_manu.benchmarks.registry import benchmarks
            from lmms_manu.evaluation.suites import check_judge_of_tasks
            from lmms_manu.plugins.requested_tasks import note_requested_tasks

            check_judge_of_tasks(matched, os.environ)
            # What the environment says of how questions are asked is checked even where nobody asks one of them.
            for benchmark in benchmarks():
                benchmark.protocol()
            note_requested_tasks(matched)
        return matched

    setattr(match_tasks, _MARK, True)
    manager.match_tasks = match_tasks


class _TasksFinder(importlib.abc.MetaPathFinder):
    """Waits for `lmms_eval.tasks` to be imported, extends it once, and steps aside.

    Being asked where the module is means nothing yet: whoever asks may only want to know whether there is one.
    """

    def __init__(self) -> None:
        self._asks_others = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _TASKS_MODULE or self._asks_others:
            return None
        self._asks_others = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks_others = False
        if spec is not None and spec.loader is not None:
            spec.loader = _ExtendingLoader(spec.loader, self)
        return spec


class _ExtendingLoader(importlib.abc.Loader):
    """Loads a module with its own loader and then extends it, for which the `finder` is not needed any more."""

    def __init__(self, loader: importlib.abc.Loader, finder: _TasksFinder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        with contextlib.suppress(ValueError):  # it is gone if the module is loaded for a second time
            sys.meta_path.remove(self._finder)
        _attempt(_TASKS, lambda: _extend(module))

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


def _attempt(what: str, act: Callable[[], None]) -> None:
    """Does one part of the registration; a failure is said in a sentence and keeps no other part from being done."""
    try:
        act()
    except Exception as error:
        _complain_once(what, str(error))


@functools.cache
def _complain_once(what: str, reason: str) -> None:
    """Says what is missing; the harness would hide an exception in a warning of its own."""
    way_out = ", or pass --include_path with the folder of lmms_manu.tasks" if what == _TASKS else ""
    logger.error(
        f"lmms-manu could not {what} with lmms-eval {importlib.metadata.version('lmms-eval')} ({reason}): "
        f"it is tested with lmms-eval {TESTED_HOST}; install that version{way_out}."
    )
