"""Every prompt beside the released script's, written here a second time, over as many people as the real dataset has.

The script draws exemplar people and test pictures at random: here both are told the same draws, and nothing else.
"""

import collections
import io

import pytest
from PIL import Image
from pyarrow import parquet
from support.rows import altered

from lmms_manu.benchmarks.mllmu import DatasetSource, Leaf, ProtocolSettings, prompt_building
from lmms_manu.benchmarks.mllmu.names import SPLITS, TASKS
from lmms_manu.benchmarks.mllmu.questions import LEAVES, load_questions
from lmms_manu.names import MODALITIES

CONFIGS = {"forget": "forget_5", "test": "Test_Set", "retain": "retain_95", "celebrity": "Retain_Set"}
KINDS = {"multimodal": "Image_Textual", "text": "Pure_Text"}
FILL = "Please **ONLY** provide the correct answer that should replace the [Blank]."
ASKED = {"classification": 2 * (120 + 120 + 2370 + 765), "generation": 2 * (50 + 50 + 950 + 306)}


@pytest.fixture(scope="module")
def folder(real_sizes, tmp_path_factory):
    """Some questions are dirty in ways that the script does not mind."""

    def dirty(rows):
        for row in (rows[0], rows[-1]):
            row["Mask_Task"] += [
                {"Type": kind, "Question": f"This one {what}", "Ground_Truth": truth}
                for kind in KINDS.values()
                for what, truth in (("has no blank.", "Oslo"), ("has no truth: __.", ""))
            ]
            for questions in row["Classification_Task"].values():
                questions.append(
                    {**questions[0], "Question": "An option is empty.", "Options": {**questions[0]["Options"], "D": ""}}
                )

    return altered(real_sizes, tmp_path_factory.mktemp("released") / "data", retain_95=dirty)


@pytest.fixture(scope="module")
def tables(folder):
    """The rows of the configurations as they lie in their files."""
    return {
        config: parquet.read_table(next((folder / config).glob("*.parquet"))).to_pylist()
        for config in ("Full_Set", *CONFIGS.values())
    }


def records(row, task, modality):
    if task == "classification":
        return row["Classification_Task"][
            "Image_Textual_Questions" if modality == "multimodal" else "Pure_Text_Questions"
        ]
    column = row["Generation_Task" if task == "generation" else "Mask_Task"]
    return [record for record in column if record["Type"] == KINDS[modality]]


def options(record):
    return "\n".join(f"{letter}: {record['Options'][letter]}" for letter in "ABCD")


def shot(record, task, modality):
    image = "<image>" if modality == "multimodal" else ""
    if task == "classification":
        start = f"USER: {image}\n" if image else "USER:\n"
        return f"{start}Question: {record['Question']}\n{options(record)}\nCorrect Answer: {record['Correct_Answer']}\n"
    blank = record["Question"].replace("__", "[Blank]") + "\n" + FILL
    return f"USER:{image}\n{blank}\nCorrect Answer: {record['Ground_Truth']}\n"


def asked(record, task, modality):
    start = "USER: <image>\n" if modality == "multimodal" else "USER:\n"
    if task == "classification":
        letter = "Just give ONE letter representing the answer directly."
        return f"{start}{record['Question']}\n{options(record)}\n{letter}\nASSISTANT:"
    if task == "cloze":
        return start + record["Question"].replace("__", "[Blank]") + "\n" + FILL + "\nASSISTANT:"
    sentence = "Answer the question based on your trained knowledge in one sentence"
    if modality == "multimodal":
        return f"USER: <image>\n{record['Question']}\n{sentence} accurately in ENGLISH.\nASSISTANT: "
    return f"USER: {record['Question']}\n{sentence} in ENGLISH.\nASSISTANT:"


def script(tables, split, task, modality, exemplars):
    """The script's prompts of one leaf by person: the exemplars' rows are filtered, and so stand in their order."""
    shots = "".join(
        shot(record, task, modality)
        for row in tables["Full_Set"]
        if row["ID"] in exemplars
        for record in records(row, task, modality)
    )
    forget = {row["ID"] for row in tables["forget_5"]}
    for row in tables[CONFIGS[split]]:
        if row["ID"] in exemplars or (split == "test" and row["ID"] not in forget):
            continue
        for record in records(row, task, modality):
            yield row["ID"], shots + asked(record, task, modality)


def shown(tables, split, document, modality):
    """The pictures that go with a prompt, as Pillow decodes the bytes in the files."""
    if modality == "text":
        return []
    rows = {row["ID"]: row for row in tables["Full_Set"]}
    exemplars = [row for row in rows.values() if row["ID"] in document["exemplars"]]
    files = [row["image"] for row in exemplars for _ in records(row, LEAVES[document["leaf"]].task, modality)]
    own = next(row for row in tables[CONFIGS[split]] if row["ID"] == document["person"])
    files.append(own["images"][document["picture"]] if split == "test" else own["image"])
    return [Image.open(io.BytesIO(file["bytes"])).convert("RGB").tobytes() for file in files]


@pytest.mark.parametrize(("family", "people"), [("llava", 2), ("idefics2", 1)])
def test_every_prompt_that_both_ask_is_the_scripts_and_only_dirty_questions_are_left_out(
    folder, tables, family, people
):
    source, settings = DatasetSource.resolve(str(folder)), ProtocolSettings(family=family)
    left_out: collections.Counter[str] = collections.Counter()
    numbers: collections.Counter[str] = collections.Counter()
    for split, task, modality in (
        (split, task, modality) for split in SPLITS for task in TASKS for modality in MODALITIES
    ):
        if family == "idefics2" and task != "cloze":
            continue  # the same as for the other family
        questions = load_questions(Leaf(split, None if split == "celebrity" else 5, task, modality), source, settings)
        documents = questions.documents.to_list()
        ours = collections.Counter(
            (document["person"], prompt_building.released_text(document)) for document in documents
        )
        theirs = collections.Counter(script(tables, split, task, modality, questions.exemplars))
        assert not ours - theirs, (split, task, modality)
        left_out.update(prompt.rpartition("USER:")[2].splitlines()[1] for _, prompt in (theirs - ours).elements())
        numbers[task] += len(documents)
        numbers[f"{split} {task}"] += len(documents)
        for document in (documents[0], documents[-1]):
            pictures = [picture.tobytes() for picture in prompt_building.pictures(document)]
            assert pictures == shown(tables, split, document, modality)
    expected = {"This one has no blank.": 4, "This one has no truth: [Blank].": 4}
    if family == "llava":
        expected["An option is empty."] = 4
        assert {task: numbers[task] for task in ASKED} == ASKED
    assert left_out == expected
    assert numbers["forget cloze"] == numbers["test cloze"] == 2 * 2 * (25 - people)
    assert numbers["retain cloze"] == 2 * 2 * (475 - people)
    assert numbers["celebrity cloze"] == 2 * 306
