"""`lmms-manu attack` as it is typed."""

from __future__ import annotations

from lmms_manu import embedded
from lmms_manu.cli import main as cli


def test_an_unedited_model_is_refused_and_the_way_for_an_edited_checkpoint_told(tmp_path, capsys):
    assert cli.main(["attack", "--model_args", "method=none", "--output", str(tmp_path / "out")]) == 2
    assert "name the one before by --vanilla pretrained=CHECKPOINT" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_was_written_edited_is_attacked_beside_the_one_before(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(embedded.make_embedded_dataset(tmp_path / "MLLMU-Bench")))
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    edited, vanilla = (f"pretrained={embedded.model_folder(name)}" for name in ("gold_10", "vanilla"))
    words = ["--model_args", f"{edited},method=none,device=cpu,forget_ratio=10,max_samples=8", "--vanilla", vanilla]
    assert cli.main(["attack", *words, "--suite", "modality", "--output", str(tmp_path / "out")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "vanilla: 1 measured, 0 read edited: 1 measured, 0 read gone or hidden?" in printed
    assert "(no gold: the base rate is not known)" in printed
