"""The command `lmms-manu` answers at once and explains itself."""

import re
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


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_options_in_one_style(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert options
    assert not [option for option in options if "_" in option or option == "--out"]


@pytest.mark.parametrize("rate", ["--prune_rate", "--prune-rate"])
@pytest.mark.parametrize("arguments", ["--model_args", "--model-args"])
def test_options_are_understood_in_both_styles(rate, arguments, tmp_path, capsys):
    words = ["sweep", rate, "3", f"{arguments}=forget_ratio=10", "--output", str(tmp_path), "--dry-run"]
    assert main(words) == 0
    assert "prune_rate=3" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--out", "--output"])
@pytest.mark.parametrize("words", [["report", "results"], ["measure"], ["prune"], ["residual"], ["lay-out"]])
def test_the_older_name_of_an_output_is_still_taken(words, option, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main([*words, option, str(tmp_path / "file" / "below")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_mistyped_command_gets_the_nearest_one(capsys):
    assert main(["reprot"]) == 2
    assert "'report'" in capsys.readouterr().err


def test_a_wrong_setting_is_one_line_and_exit_code_2(capsys, tmp_path):
    assert main(["evaluate", "--suite", "utilty", "--output", str(tmp_path / "out")]) == 2
    assert "suite='utilty'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["measure", "--pretrained", "no/where", "--out", "kept.json"], "output='kept.json' exists"),
        (["residual", "--pretrained", "no/where", "--out", "kept.json"], "output='kept.json' exists"),
        (["report", "results", "--out", "kept.json"], "output='kept.json' is a file"),
        (["report", "results", "--out", "site"], "holds a report.html that is no report of lmms-manu"),
        (["report", "results", "--rank-by", "loudness"], "rank_by='loudness' is not known"),
        (
            ["prune", "--out", "new", "--recipe", "random", "--seed", "1e30"],
            "seed=1000000000000000019884624838656 is out",
        ),
        (["prune", "--out", "new", "--w_abs", "1e308"], "w_abs=1e+308 is out of range"),
        (
            ["prune", "--out", "new", "--prune_mode", "remove"],
            "remove with scope=global takes another number",
        ),
        (["cache", "clean", "--older_than", "-1"], "older_than=-1 is out of range"),
        (["cache", "clean", "--limit", "5GB", "--what", "judgements"], "limit='5GB' is of statistics and edits"),
    ],
)
def test_nothing_that_is_there_is_written_over(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    (tmp_path / "kept.json").write_text("{}")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "report.html").write_text("mine")
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "kept.json").read_text() == "{}"


def named(words):
    """The setting that the last option is."""
    return {"out": "output"}.get(words[-1][2:], words[-1][2:])


@pytest.mark.parametrize(
    "words",
    [
        ["measure", "--pretrained", "no/where", "--out"],
        ["prune", "--pretrained", "no/where", "--out"],
        ["prune", "--pretrained", "no/where", "--out", "new", "--save_mask"],
        ["residual", "--pretrained", "no/where", "--out"],
        ["evaluate", "--suite", "mllmu", "--output"],
        ["evaluate", "--suite", "mllmu", "--dry-run", "--output"],
        ["sweep", "--prune_rate", "2", "--dry-run", "--output"],
        ["report", "results", "--out"],
        ["report", "results", "--append"],
        ["gate", "--config", "gate.yaml", "results", "--junit"],
        ["gate", "--config", "gate.yaml", "results", "--summary"],
        ["inspect", "nowhere", "--plot"],
        ["lay-out", "--out"],
        ["demo", "--output"],
        ["make-dataset", "--out"],
        ["train-tiny", "--output"],
    ],
)
def test_an_output_below_a_file_is_refused_before_anything_else_is_done(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.json").write_text("{}")
    assert main([*words, "kept.json/below"]) == 2
    assert f"{named(words)}='kept.json/below' cannot be written: '{tmp_path}/kept.json' is no folder" in (
        capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


@pytest.mark.parametrize(
    "words", [["lay-out", "--out"], ["demo", "--output"], ["inspect", "nowhere", "--plot"], ["evaluate", "--output"]]
)
def test_an_output_folder_that_is_a_file_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.json").write_text("{}")
    assert main([*words, "kept.json"]) == 2
    assert f"{named(words)}='kept.json' cannot be written" in capsys.readouterr().err
