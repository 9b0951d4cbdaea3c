"""The harness in this process, with a dataset and models that answer by a rule."""

import pytest
from support.rule_models import ChatRule
from support.tiny import make_dataset


@pytest.fixture(autouse=True)
def no_judge(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_API_URL", "MODEL_VERSION", "LMMS_MANU_JUDGE", "LMMS_MANU_EXEMPLARS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """20 fictitious people, 6 celebrities."""
    return make_dataset(tmp_path_factory.mktemp("tasks") / "data", people=20)


@pytest.fixture(scope="session")
def task_manager():
    from lmms_eval.tasks import TaskManager

    from lmms_manu.plugins.registration import tasks_folder

    return TaskManager(include_path=tasks_folder(), include_defaults=False)


@pytest.fixture
def evaluate(monkeypatch, folder, task_manager):
    """Runs the harness on tasks of the small dataset; `model` is one of `support.rule_models`."""
    from lmms_eval.evaluator import simple_evaluate

    def run(*tasks, model=None, dataset=folder, **options):
        monkeypatch.setenv("LMMS_MANU_DATASET", str(dataset))
        return simple_evaluate(
            model=model or ChatRule(),
            tasks=list(tasks),
            task_manager=task_manager,
            log_samples=True,
            bootstrap_iters=10,
            **options,
        )

    return run
