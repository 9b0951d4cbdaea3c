"""Publishes an edited checkpoint or an edit on the hub, in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from lmms_manu.errors import DataError
from lmms_manu.methods.export import model_card
from lmms_manu.methods.record import EditRecord
from lmms_manu.report.comparison import compare
from lmms_manu.report.publication import RESULTS_FOLDER, results_file, sections
from lmms_manu.report.runs import read_runs
from lmms_manu.sources import is_hub_name

_CARD = "README.md"
_RESULTS = f"{RESULTS_FOLDER}/results.yaml"


def publication(
    folder: Path,
    record: EditRecord,
    *,
    results: Sequence[str] = (),
    dataset: str | None = None,
    license: str | None = None,
) -> dict[str, bytes | Path]:
    """What is published, by its name in the repository: the folder's files, the card, and the results.

    Args:
        folder: of the checkpoint or edit.
        record: how it was made.
        results: places of results that hold those of this edit.
        dataset: the benchmark's name on the hub, for results that the hub shows; None for the card alone.
        license: of the base model; what the hub says of it if None.

    Raises:
        DataError: the results are damaged, or none is of this edit.
    """
    known = license or _license_of(record.checkpoint)
    report = compare(read_runs(list(results))) if results else None
    is_whole = (folder / "config.json").is_file()
    made = folder / _CARD
    text = made.read_text(encoding="utf-8") if made.is_file() else model_card(record, is_whole=is_whole)
    card = ModelCard(f"{text.rstrip()}\n\n{sections(report, record, is_whole=is_whole, license=known)}")
    if known:
        card.data["license"] = known
    files: dict[str, bytes | Path] = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    files[_CARD] = str(card).encode()
    if report is not None and dataset is not None:
        files[_RESULTS] = results_file(report, record, dataset).encode()
    return files


def card_of(files: Mapping[str, bytes | Path]) -> str:
    """The text of the card of a publication."""
    card = files[_CARD]
    return card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")


def publish(repository: str, files: Mapping[str, bytes | Path], *, is_public: bool = False) -> str:
    """Uploads files in one commit; returns the repository's address.

    Raises:
        DataError: the hub refused, or is not to be reached.
    """
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
    hub = HfApi()
    try:
        made = hub.create_repo(repository, private=not is_public, exist_ok=True)
        hub.create_commit(repository, operations, commit_message="Publish an edited model with what was measured")
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise DataError(
            f"{repository} could not be published: {error}. Log in with `hf auth login`, and see that the owner is you "
            "or one of your organisations."
        ) from error
    return str(made)


def _license_of(checkpoint: str) -> str | None:
    """What the hub says of a base model's licence; None where it says nothing."""
    if not is_hub_name(checkpoint):
        return None
    try:
        data = HfApi().model_info(checkpoint).card_data
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return None
    found = data.get("license") if data is not None else None
    return str(found) if found else None
