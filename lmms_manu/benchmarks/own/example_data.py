"""A small example of a user's tables: ten fictitious people, a spreadsheet each for those to forget and to retain."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image, ImageDraw

_TOWNS, _JOBS = ("Orlem", "Vask", "Tirune", "Belda"), ("baker", "pilot", "smith", "judge")
_PEOPLE = {
    "people.csv": ("Anna Ferl", "Bert Omsk", "Cleo Drand", "Dora Wint"),
    "others.csv": ("Emil Sarn", "Fina Holt", "Gus Perle", "Hedi Lunt", "Ivo Tamm", "Jana Rusk"),
}


def write_example(folder: Path) -> Path:
    """Writes `people.csv`, `others.csv` and a folder of pictures; every name in them is made up."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    number = 0
    for table, names in _PEOPLE.items():
        with (folder / table).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["subject", "question", "answer", "image", "text_question", "options"])
            for name in names:
                picture = f"pictures/{name.split()[0].lower()}.jpg"
                _draw(number).save(folder / picture)
                town, job = _TOWNS[number % 4], _JOBS[number // 2 % 4]
                writer.writerow([name, "Where does this person live?", town, picture, f"Where does {name} live?", ""])
                writer.writerow([name, f"What is the job of {name}?", job, "", "", "|".join(_JOBS)])
                writer.writerow([name, f"{name} lives in ___.", town, "", "", ""])
                number += 1
    return folder


def _draw(number: int) -> Image.Image:
    picture = Image.new("RGB", (96, 96), (25 * number, 120, 250 - 25 * number))
    ImageDraw.Draw(picture).ellipse((20, 14 + number, 76, 70 + number), fill=(250 - 20 * number, 200, 15 * number))
    return picture
