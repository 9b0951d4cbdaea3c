"""The command `lmms-manu` answers at once and explains itself."""

import subprocess
import sys

import pytest

from lmms_manu.cli.main import COMMANDS, main


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_is_shown_without_importing_torch(name):
    code = (
        "import sys\n"
        "from lmms_manu.cli.main import main\n"
        "try:\n"
        f"    main([{name!r}, '--help'])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"lmms-manu {name}" in done.stdout


def test_a_mistyped_command_gets_the_nearest_one(capsys):
    assert main(["reprot"]) == 2
    assert "'report'" in capsys.readouterr().err


def test_a_wrong_setting_is_one_line_and_exit_code_2(capsys, tmp_path):
    assert main(["evaluate", "--suite", "utilty", "--output", str(tmp_path / "out")]) == 2
    assert "suite='utilty'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
