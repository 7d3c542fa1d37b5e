"""The records of models that segbench didn't train: `others/MODEL/EVALUATION.json`, each with its per-image table.

results/others/MODEL-HASH/DATA_SPLIT_SIZE_FINGERPRINT.json           one record; a newer one takes its place
                          DATA_SPLIT_SIZE_FINGERPRINT.HASH.parquet   the per-image table, which the record names

The table is written first, under a name of its own, so that a record never stands beside the table of another one.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.core.durable import sync_file
from bench.core.errors import BenchError
from bench.core.files import file_hash, name_part, write_atomically
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
    table: str = ""  # the name of the per-image table's file; empty in an older record: that of the record

    @property
    def place(self) -> Path:
        """The path of its file below `others/`."""
        data = self.dataset
        parts = (data["name"], self.split, self.evaluation_size, data["fingerprint"][:8])
        folder = Path(f"{name_part(self.model)}-{name_part(self.sha256[:8])}")
        return folder / f"{'_'.join(map(name_part, parts))}.json"

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
    ResultsFolder(results).create()
    path = results / FOLDER / record.place
    check_inside(results, path, ANOTHER)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.stem}.lock")):
            own = path.with_name(f"{path.stem}.{file_hash(table)[:12]}.parquet")
            with write_atomically(own, sync=False) as part:
                shutil.copyfile(table, part)
            sync_file(own)
            write_json(path, asdict(replace(record, table=own.name)))
            for older in path.parent.glob(f"{path.stem}*.parquet"):
                if older != own and re.fullmatch(rf"{re.escape(path.stem)}(\.[0-9a-f]{{12}})?\.parquet", older.name):
                    older.unlink()
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
                found[key] = record, path.with_name(record.table or f"{path.stem}.parquet")
    return list(found.values()), problems


def _read(path: Path) -> OtherModel:
    values = safe_json.loads(read_file(path, MOST_BYTES))
    if not isinstance(values, dict) or values.get("kind") != NOT_TRAINED_HERE:
        raise ValueError(f"it is no record of a model that was {NOT_TRAINED_HERE}")
    needed = {one.name for one in fields(OtherModel) if not one.name.startswith(("latency", "process", "table"))}
    if lacking := sorted(needed - set(values)):
        raise ValueError(f"it has no '{lacking[0]}'")
    if wrong := misfit(values, hints_of(OtherModel)):
        raise ValueError(wrong)
    data = values["dataset"]
    if not all(isinstance(data.get(name), str) for name in ("name", "fingerprint")):
        raise ValueError("its data set has no name or no fingerprint")
    if (table := values.get("table", "")) and not re.fullmatch(r"[\w.-]+\.parquet", table):
        raise ValueError("its table isn't a file beside it")
    if not isinstance(data.get("classes"), list) or not isinstance(data.get("images"), int):
        raise ValueError("its data set has no classes or no number of images")
    return other_model(values)
