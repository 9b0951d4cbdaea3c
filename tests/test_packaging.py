"""The wheel, installed in an environment of its own, brings the task files and registers."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import lmms_eval

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def build(folder: Path) -> Path:
    """The wheel of this checkout, built from a copy so that the build's leftovers do not land in it."""
    source = folder / "source"
    subprocess.run(["git", "-C", ROOT, "checkout-index", "--all", f"--prefix={source}/"], check=True)
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_file_that_the_packages_have(tmp_path):
    wheel = build(tmp_path)
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "lmms_manu", "plugins", "tasks"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {"plugins": "lmms_manu/plugins", "tasks": "lmms_manu/tasks"}
    parts = (name.partition("/") for name in tracked if name not in folders.values())
    expected = {"/".join([folders.get(top, top), rest]) for top, _, rest in parts}
    assert packed == expected


def test_the_installed_wheel_has_its_task_files_and_registers(tmp_path):
    wheel = build(tmp_path)
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    inside = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", inside, wheel], check=True)
    # The requirements come from this environment; the project itself must not.
    requirements = Path(lmms_eval.__file__).parents[1]
    code = (
        f"import sys; sys.path.append({str(requirements)!r})\n"
        "import lmms_eval.models as models\n"
        "from lmms_eval.tasks import TaskManager\n"
        "manager = TaskManager()\n"
        "print(models.get_model_manifest('manu_pruned').chat_class_path)\n"
        "print(manager.task_index['mllmu_forget']['yaml_path'])\n"
        "import lmms_manu.embedded, pathlib\n"
        "print(sorted(p.suffix for p in pathlib.Path(lmms_manu.embedded.__file__).parent.rglob('*.safetensors')))"
    )
    printed = subprocess.run(
        [place / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert "lmms_manu.plugins.manu_pruned.ManuPruned" in printed
    assert str(inside / "lmms_manu" / "tasks" / "mllmu") in printed
    assert ".safetensors" in printed
