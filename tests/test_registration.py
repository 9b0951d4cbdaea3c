"""lmms-eval finds the model and the tasks without a flag, and says so where it cannot."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.warm_python import WarmPython

from lmms_manu.plugins import registration

GROUPS = {"mllmu_forget", "mllmu_test", "mllmu_retain", "mllmu_celebrity", "mllmu_forget_10"}


def printed_by(executable: str, code: str, variables: Mapping[str, str] | None = None) -> str:
    done = subprocess.run([executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def python():
    """What code prints in an interpreter that has imported neither the harness nor this package.

    The libraries that both import are there already, since they take most of the time.
    """
    with WarmPython(dict(os.environ), without=("lmms_eval", "lmms_manu")) as warm:
        yield lambda code: printed_by(warm.python, code, warm.variables)


def test_the_models_command_lists_the_model_by_both_names():
    command = shutil.which("lmms-eval", path=str(Path(sys.executable).parent))
    assert command is not None
    listing = subprocess.run([command, "models"], capture_output=True, text=True, check=True).stdout
    assert {"manu_pruned", "unlearned"} <= set(listing.split())


def test_importing_the_package_and_listing_models_imports_neither_torch_nor_the_tasks():
    code = "import lmms_manu, lmms_eval.models, sys; print([m in sys.modules for m in ('torch', 'lmms_eval.tasks')])"
    assert "[False, False]" in printed_by(sys.executable, code)


@pytest.mark.parametrize("first", ["lmms_eval.models", "lmms_eval.tasks"])
def test_the_tasks_are_there_whichever_module_is_imported_first(python, first):
    second = {"lmms_eval.models": "lmms_eval.tasks", "lmms_eval.tasks": "lmms_eval.models"}[first]
    code = (
        f"import {first}, {second}, json, lmms_manu.plugins.registration as r\n"
        "r.register()\n"
        "from lmms_eval.tasks import TaskManager\n"
        "print('TASKS', json.dumps([t for t in TaskManager().all_tasks if t.startswith('mllmu')]))"
    )
    line = next(line for line in python(code).splitlines() if line.startswith("TASKS"))
    names = json.loads(line.removeprefix("TASKS"))
    assert set(names) >= GROUPS
    assert len(names) == len(set(names))


def test_looking_for_the_tasks_module_before_it_is_imported_changes_nothing(monkeypatch, tmp_path):
    # A stand-in of the same form: the harness's own takes ten seconds to import.
    (tmp_path / "host_tasks.py").write_text(
        "class TaskManager:\n"
        "    def initialize_tasks(self, include_path=None, include_defaults=True): return include_path\n"
        "    def match_tasks(self, task_list): return task_list\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    # Without a finder that still waits for the harness's.
    finders = [finder for finder in sys.meta_path if not isinstance(finder, registration._TasksFinder)]
    monkeypatch.setattr(sys, "meta_path", list(finders))
    monkeypatch.setattr(registration, "_TASKS_MODULE", "host_tasks")
    registration.register()
    assert all(importlib.util.find_spec("host_tasks") for _ in range(2))
    tasks = importlib.import_module("host_tasks")
    assert tasks.TaskManager().initialize_tasks() == [registration.tasks_folder()]
    assert sys.meta_path == finders, "whatever has done its work is gone"


@pytest.mark.parametrize("first", ["lmms_manu.plugins.registration", "lmms_manu.plugins.manu_pruned"])
def test_the_model_is_found_when_a_program_imports_this_package_first(python, first):
    code = f"import {first}, lmms_eval.models as models; print(models.get_model_manifest('manu_pruned').model_id)"
    assert "manu_pruned" in python(code).splitlines()


def test_a_users_own_folder_of_tasks_is_read_as_well_and_wins(python, tmp_path):
    (tmp_path / "mine.yaml").write_text("task: my_task\ndataset_path: json\n")
    (tmp_path / "theirs.yaml").write_text("group: mllmu_forget\ntask:\n  - my_task\n")
    code = (
        "import lmms_eval.models\n"
        "from lmms_eval.tasks import TaskManager\n"
        f"manager = TaskManager(include_path={str(tmp_path)!r})\n"
        "print('my_task' in manager.all_tasks, 'mllmu_retain' in manager.all_tasks)\n"
        "print(manager.task_index['mllmu_forget']['yaml_path'])"
    )
    printed = python(code)
    assert "True True" in printed
    assert str(tmp_path / "theirs.yaml") in printed


def test_a_host_that_cannot_take_the_tasks_is_named_in_one_sentence(python):
    code = (
        "import lmms_eval.tasks\n"
        "lmms_eval.tasks.TaskManager.initialize_tasks = lambda self, paths: {}\n"
        "from lmms_manu.plugins.registration import register\n"
        "print('MODEL', register()[0].model_id)"
    )
    printed = python(code)
    complaints = [line for line in printed.splitlines() if "could not register" in line]
    assert len(complaints) == 1
    assert "0.7.3" in complaints[0]
    assert "--include_path" in complaints[0]
    assert "MODEL manu_pruned" in printed


def test_tables_that_are_read_only_are_left_alone(python):
    code = (
        "import types, lmms_eval.models as models, lmms_manu.plugins.registration as registration, sys\n"
        # As at a start with a host whose tables are views.
        "sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, registration._TasksFinder)]\n"
        "models.AVAILABLE_CHAT_TEMPLATE_MODELS = types.MappingProxyType({})\n"
        "models.AVAILABLE_SIMPLE_MODELS = types.MappingProxyType({})\n"
        "print('MODELS', *(one.model_id for one in registration.register()))\n"
        "from lmms_eval.tasks import TaskManager\n"
        "print('TASKS', *(name for name in TaskManager().all_tasks if name.startswith('mllmu')))"
    )
    lines = python(code).splitlines()
    assert "MODELS manu_pruned unlearned" in lines
    assert set(next(line for line in lines if line.startswith("TASKS")).split()) >= GROUPS
    assert not [line for line in lines if "could not" in line]


def test_the_tasks_are_there_though_the_rest_fails(python):
    # A stand-in of a host that reports the errors of each plugin by itself, without the tables and hooks of today.
    code = (
        "import lmms_eval.tasks as tasks, lmms_manu.plugins.registration as registration, lmms_eval.models as models\n"
        "class Refusing(dict):\n"
        "    def setdefault(self, *entry): raise TypeError('a live view')\n"
        "models.AVAILABLE_SIMPLE_MODELS = models.AVAILABLE_CHAT_TEMPLATE_MODELS = Refusing()\n"
        "class TaskManager:\n"
        "    def initialize_tasks(self, include_path=None, include_defaults=True): return include_path\n"
        "tasks.TaskManager = TaskManager\n"
        "print('MODELS', *(one.model_id for one in registration.register()))\n"
        "print('TASKS', TaskManager().initialize_tasks() == [registration.tasks_folder()])"
    )
    lines = python(code).splitlines()
    assert "MODELS manu_pruned unlearned" in lines
    assert "TASKS True" in lines
    complaints = [line for line in lines if "could not" in line]
    assert len(complaints) == 3
    assert "could not leave out what own data has no questions for" in complaints[0]
    assert "could not look at the tasks before the model is loaded" in complaints[1]
    assert "could not list its model" in complaints[2]
