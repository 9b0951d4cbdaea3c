"""The paper's numbers beside one's own."""

from __future__ import annotations

import pytest

from lmms_manu.errors import SettingError
from lmms_manu.report.cells import Row
from lmms_manu.report.comparison import compare
from lmms_manu.report.published import guess_model, reference_rows, with_reference
from lmms_manu.report.runs import Run


def row(name: str, model: str = "llava-1.5-7b", ratio: int = 5) -> Row:
    return next(row for row in reference_rows(model, ratio) if row.name == f"{name} (published)")


def test_the_main_table_is_as_printed() -> None:
    metrics = ("classification", "rouge_l", "factuality", "cloze")
    vanilla, manu = row("Vanilla"), row("MANU 2 %")
    assert [vanilla.cell(f"forget.{metric}").value for metric in metrics] == [51.70, 0.645, 6.78, 25.81]
    assert [manu.cell(f"celebrity.{metric}").value for metric in metrics] == [49.57, 0.448, 4.67, 16.01]
    assert [manu.cell(f"utility.{metric}").value for metric in ("mia_bench", "mm_vet", "mmstar")] == [
        64.02,
        32.76,
        32.41,
    ]
    assert [row("MANU 10 %").cell(f"test.{metric}").value for metric in metrics] == [33.40, 0.262, 3.35, 13.25]


def test_changes_are_against_the_published_vanilla() -> None:
    assert row("NPO").cell("forget.classification").change == pytest.approx(45.61 - 51.70)
    assert row("MANU 2 %").derived["forgetting_rate"].value == pytest.approx(
        100 - 25 * (41.25 / 51.70 + 0.491 / 0.645 + 3.21 / 6.78 + 17.08 / 25.81)
    )


def test_errata_stand_beside_the_numbers() -> None:
    assert "3.27 in tables 5 and 7" in row("MANU 2 %").cell("forget.factuality").note


def test_every_published_setting_has_rows() -> None:
    for model, ratio in (("llava-1.5-7b", 10), ("llava-1.5-7b", 15), ("idefics2-8b", 5), ("llava-1.5-13b", 5)):
        assert any(entry.is_baseline for entry in reference_rows(model, ratio)), (model, ratio)
    with pytest.raises(SettingError, match="Did you mean 'idefics2-8b'"):
        reference_rows("idefics2", 5)


def test_the_model_is_guessed_from_the_checkpoint() -> None:
    assert guess_model(["MLLMMU/Idefics2_Vanilla"]) == "idefics2-8b"
    assert guess_model(["/models/llava-1.5-13b"]) == "llava-1.5-13b"
    assert guess_model([""]) == "llava-1.5-7b"


def test_published_rows_come_last_and_take_no_part_in_the_ranking(runs: tuple[Run, ...]) -> None:
    section = with_reference(compare(runs, resamples=10).sections[0], "llava-1.5-7b")
    published = [row.is_published for row in section.rows]
    assert published == sorted(published)
    assert any(published)
    assert all(cell.rank == 0 for row in section.rows if row.is_published for cell in row.cells.values())
