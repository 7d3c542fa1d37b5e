"""The file `deployments.json` in a trial's folder: a row per format, precision and number of threads."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.core.errors import BenchError
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import read_file
from bench.core.untrusted.typed_values import hints_of, misfit
from bench.results.trial_files import DEPLOYMENTS, MOST_BYTES, write_json

LOCK = f".{DEPLOYMENTS}.lock"  # held while the file is read and written
KERAS = "keras"  # the format of the rows of the trial itself


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One row: a model in one form, on some cores of a machine. A row without scores says why."""

    run: str  # the trial's folder
    format: str
    precision: str  # of the file
    threads: int
    device: str  # with the cores that it had
    finished: str
    tta: str = ""  # the views of each image that were averaged: flips, scales; empty: the image as it is
    computes: str = ""  # the precision that the runtime used, as it says
    metrics: dict[str, Any] = field(default_factory=dict)  # of the test split, as in a record
    images: int = 0  # of the test split
    fingerprint: str = ""  # of the data
    drift: float | None = None  # mean IoU less the trial's own
    drift_low: float | None = None  # its paired interval of 95 % over the images
    drift_high: float | None = None
    agreement: float | None = None  # share of the pixels that have the class of Keras
    logit_drift: float | None = None  # greatest difference of logits divided by the greatest logit, when exported
    latency_ms_p50: float | None = None  # of one image
    latency_ms_p95: float | None = None
    latency_ms_p99: float | None = None
    images_per_second: float | None = None  # one image at a time
    others_share: float | None = None  # of its cores, that other processes took while it was timed
    load_seconds: float | None = None
    first_call_ms: float | None = None
    size_mib: float | None = None
    process_peak_mib: float | None = None
    flag: str = ""  # what to look at
    empty: str = ""  # the reason why there is no such form
    failed: str = ""  # the reason why this model couldn't be made or measured in it
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """The form, of which a trial has one row."""
        return self.format, self.precision, self.tta, self.threads

    @property
    def form(self) -> str:
        """The format, with the views that were averaged."""
        return f"{self.format}, {self.tta}" if self.tta else self.format

    @property
    def mean_iou(self) -> float | None:
        """The score of the test split."""
        value = self.metrics.get("mean_iou")
        return float(value) if isinstance(value, int | float) else None


_NAMES = {one.name for one in fields(Deployment)}


def deployment(values: Mapping[str, Any]) -> Deployment:
    """Make a row of what was measured; other values are left out."""
    return Deployment(**{name: value for name, value in values.items() if name in _NAMES})


def read_deployments(folder: Path) -> list[Deployment]:
    """Read a trial's rows; none if there is no readable file, and without rows that are odd."""
    try:
        values = safe_json.loads(read_file(folder / DEPLOYMENTS, MOST_BYTES))
    except (OSError, ValueError):
        return []
    rows = values if isinstance(values, list) else []
    return [deployment(row) for row in rows if isinstance(row, dict) and _is_whole(row)]


def _is_whole(row: Mapping[str, Any]) -> bool:
    needed = {"run", "format", "precision", "threads", "device", "finished"}
    return needed <= set(row) and not misfit(row, hints_of(Deployment))


def store_deployments(folder: Path, rows: Iterable[Deployment]) -> Path:
    """Add rows to a trial's file, in the place of those of the same form; return its path.

    Several processes may add rows to one file at once: each waits for the others, and none is lost.

    Raises:
        BenchError: the file can't be written.
    """
    try:
        with FileLock(folder / LOCK):
            merged = {row.key: row for row in (*read_deployments(folder), *rows)}
            write_json(folder / DEPLOYMENTS, [asdict(row) for row in merged.values()])
    except OSError as error:
        raise BenchError(f"'{folder / DEPLOYMENTS}' can't be written ({error.strerror or error}).") from error
    return folder / DEPLOYMENTS
