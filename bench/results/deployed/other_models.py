"""The records of models that segbench didn't train: `others/MODEL/EVALUATION.json`, each with its per-image table.

results/others/MODEL-HASH/DATA_SPLIT_SIZE_FINGERPRINT.json      one record; a newer one takes its place
                          DATA_SPLIT_SIZE_FINGERPRINT.parquet   the per-image table
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.core.durable import sync_file
from bench.core.errors import BenchError
from bench.core.files import name_part, write_atomically
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import check_inside, is_file, is_folder, read_file
from bench.core.untrusted.typed_values import hints_of, misfit
from bench.results.marker import ANOTHER
from bench.results.store import ResultsFolder
from bench.results.trial_files import MOST_BYTES, write_json

FOLDER = "others"
NOT_TRAINED_HERE = "not trained here"


@dataclass(frozen=True, kw_only=True)
class OtherModel:
    """The record of one evaluation."""

    kind: str  # NOT_TRAINED_HERE, in every such record
    model: str  # the name of its file
    sha256: str
    format: str
    dataset: dict[str, Any]  # name, fingerprint, images, classes, notes
    split: str
    eval_size: str
    image_size: list[int]
    protocol_version: int
    metrics: dict[str, Any]
    contract: dict[str, Any]  # how pictures became its input, and what its output was taken for
    input: dict[str, Any]
    output: dict[str, Any]
    unseen: str  # why it can't have seen the split's images; empty: nobody says so
    size_mib: float
    threads: int
    device: str  # on which it was timed
    finished: str
    segbench: str
    notes: list[str] = field(default_factory=list)
    computes: str = ""
    latency_ms_p50: float | None = None
    latency_ms_p95: float | None = None
    latency_ms_p99: float | None = None
    images_per_second: float | None = None
    others_share: float | None = None
    load_seconds: float | None = None
    first_call_ms: float | None = None
    process_peak_mib: float | None = None
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def evaluation_size(self) -> str:
        """The size at which it was scored, as the column of trials has it."""
        resize = self.contract.get("resize", "stretch")
        size = "x".join(map(str, self.image_size))
        return "native" if self.eval_size == "native" else size if resize == "stretch" else f"{size} {resize}"


_NAMES = {one.name for one in fields(OtherModel)}


def other_model(values: Mapping[str, Any]) -> OtherModel:
    """Make a record of what was measured; other values are left out."""
    return OtherModel(**{name: value for name, value in values.items() if name in _NAMES})


def store_other(results: Path, record: OtherModel, table: Path) -> Path:
    """Write a record and its per-image table into a results folder, which is made if need be; return its path."""
    folder = ResultsFolder(results)
    folder.create()
    data = record.dataset
    parts = (data["name"], record.split, record.evaluation_size, data["fingerprint"][:8])
    place = results / FOLDER / f"{name_part(record.model)}-{name_part(record.sha256[:8])}"
    path = place / f"{'_'.join(map(name_part, parts))}.json"
    check_inside(results, path, ANOTHER)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with write_atomically(path.with_suffix(".parquet"), sync=False) as part:
            shutil.copyfile(table, part)
        sync_file(path.with_suffix(".parquet"))
        write_json(path, asdict(record))
    except OSError as error:
        raise BenchError(
            f"'{path}' can't be written ({error.strerror}). Give another folder with --results."
        ) from error
    return path


def read_others(results: Iterable[Path]) -> tuple[list[tuple[OtherModel, Path]], list[str]]:
    """Read the records of some results folders, each with the path of its table; and a line for each that is odd."""
    found: dict[tuple[str, str], tuple[OtherModel, Path]] = {}
    problems = []
    for folder in (Path(path) / FOLDER for path in results):
        places = [place for place in sorted(folder.glob("*")) if is_folder(place)] if is_folder(folder) else []
        for path in (path for place in places for path in sorted(place.glob("*.json")) if is_file(path)):
            try:
                record = _read(path)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                problems.append(f"{path.parent.name}/{path.name} can't be read ({why}).")
                continue
            key = path.parent.name, path.name
            if key not in found or found[key][0].finished < record.finished:
                found[key] = record, path.with_suffix(".parquet")
    return list(found.values()), problems


def _read(path: Path) -> OtherModel:
    values = safe_json.loads(read_file(path, MOST_BYTES))
    if not isinstance(values, dict) or values.get("kind") != NOT_TRAINED_HERE:
        raise ValueError(f"it is no record of a model that was {NOT_TRAINED_HERE}")
    needed = {one.name for one in fields(OtherModel) if not one.name.startswith(("latency", "process"))}
    if lacking := sorted(needed - set(values)):
        raise ValueError(f"it has no '{lacking[0]}'")
    if wrong := misfit(values, hints_of(OtherModel)):
        raise ValueError(wrong)
    data = values["dataset"]
    if not all(isinstance(data.get(name), str) for name in ("name", "fingerprint")):
        raise ValueError("its data set has no name or no fingerprint")
    if not isinstance(data.get("classes"), list) or not isinstance(data.get("images"), int):
        raise ValueError("its data set has no classes or no number of images")
    return other_model(values)
