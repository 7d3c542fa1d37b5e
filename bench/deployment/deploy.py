"""Measure a stored trial where it will run, Keras and each exported file on the CPU: scores, times, memory and size.

Each measurement has a process of its own. Times are those of one image at a time, on as many cores as threads.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.core.backends import quickest
from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.surroundings import usable_cores
from bench.core.trial_config import TrialConfig
from bench.deployment.class_maps import MAPS, PICTURES, agreement
from bench.deployment.export_run import CALIBRATION, CHILD_SECONDS, Exported, Variant, export
from bench.evaluation.image_table import ImageTable, read_table
from bench.profiling.environment import cpu_device, versions
from bench.profiling.gpu import VISIBLE
from bench.profiling.host.share import Share
from bench.profiling.process_memory import MIB
from bench.results.analysis.bootstrap import bootstrap
from bench.results.deployed.deployment_rows import KERAS
from bench.results.loading import StoredTrial
from bench.results.quantities import MEAN_IOU
from bench.results.trial_files import IMAGES, WEIGHTS

_NO_GPU = {VISIBLE: "-1", "JAX_PLATFORMS": "cpu"}
Row = dict[str, Any]  # of one variant with one number of threads: what its JSON file holds


def deploy(
    trial: StoredTrial,
    config: TrialConfig,
    variants: Sequence[Variant],
    threads: Sequence[int],
    *,
    calibration: int = CALIBRATION,
    doing: Callable[[str], None] = lambda what: None,
) -> Iterator[Row]:
    """Measure Keras and every variant with each number of threads; yield a row each, empty ones with their reason.

    Args:
        config: the one that `trained_config` returns.
        doing: called with a few words before each step.
    """
    check_threads(threads)
    with TemporaryDirectory(prefix="segbench-") as name, _without_gpu():
        bench = _Bench(trial, replace(config, devices_per_trial=1), threads, Path(name), doing)
        yield from map(bench.compared, bench.keras())
        doing("exporting")
        for one in export(trial, config, variants, bench.place / "files", calibration=calibration):
            yield from map(bench.compared, bench.file(one))


def check_threads(threads: Sequence[int]) -> None:
    """Raise BenchError unless the machine has that many cores for this process."""
    there = len(usable_cores())
    if wrong := [count for count in threads if not 1 <= count <= there]:
        raise BenchError(f"--threads is {wrong[0]}. Accepted: 1 to {there}, the cores of this process.")


@dataclass(frozen=True)
class _Bench:
    """The measurements of one trial, whose files are in the folder `place`."""

    trial: StoredTrial
    config: TrialConfig
    threads: Sequence[int]
    place: Path
    doing: Callable[[str], None]

    def keras(self) -> Iterator[Row]:
        """Score and time the trial itself; the scores are those that files are compared with."""
        backend, precision = self.config.backend, self.config.precision
        self.doing(f"Keras on {backend}: scoring")
        scored = _ask("score:score_keras", {**self._request, "into": self._folder(KERAS)}, backend)
        request = {**self._request, "images": self._picture}
        for count in self.threads:
            self.doing(f"Keras on {backend}: timing, threads: {count}")
            with cores(count) as device:
                timings = _ask("score:measure_keras", request, backend)
            size = (self.trial.folder / WEIGHTS).stat().st_size
            yield self._row(KERAS, precision, count, device=device, size_mib=size / MIB) | scored | timings

    def file(self, one: Exported) -> Iterator[Row]:
        """Score and time an exported file, or say why there is none."""
        name, precision = one.variant.form.name, one.variant.precision
        if not one.folder or not one.facts:
            reason = {"empty": one.empty} if one.empty else {"failed": one.failed}
            yield from (self._row(name, precision, count) | reason for count in self.threads)
            return
        size = sum(part["bytes"] for part in one.facts["files"].values()) / MIB
        known = {"size_mib": size, "logit_drift": one.facts["check"]["drift"], "flag": one.flag}
        try:
            scored = self._score(one)
            for count in self.threads:
                device, timings = self._time(one, count)
                yield self._row(name, precision, count, device=device, **known) | scored | timings
        except BenchError as error:
            yield from (self._row(name, precision, count) | {"failed": str(error)} for count in self.threads)

    def _score(self, one: Exported) -> Row:
        form = one.variant.form
        self.doing(f"{form.title} {one.variant.precision}: scoring")
        request = {**self._request, "form": form.name, "file": _path(one), "into": self._folder(one.variant.name)}
        request["input_shape"] = one.facts["input"]["shape"] if one.facts else []
        backend = quickest() if form.needs else form.backend  # one framework in a process
        return _ask("score:score_file", request, backend)

    def _time(self, one: Exported, count: int) -> tuple[str, Row]:
        form = one.variant.form
        self.doing(f"{form.title} {one.variant.precision}: timing, threads: {count}")
        request = {"form": form.name, "file": _path(one), "threads": count, "images": self._picture}
        with cores(count) as device:
            return device, _ask("measure:measure_file", request, None)

    def compared(self, row: Row) -> Row:
        """Add the drift of the score from the trial's own, with its paired interval, and the agreement with Keras."""
        if "metrics" not in row:
            return row
        folder = self.place / (KERAS if row["format"] == KERAS else f"{row['format']}-{row['precision']}")
        tables = [read_table(folder / IMAGES, counts_only=True), self._own_table()]
        drawn = bootstrap([[MEAN_IOU.score.values(t)] for t in tables], tables[0].groups, MEAN_IOU.score.of_sums)
        drift = drawn[0].drift_from(drawn[1])
        maps = agreement(folder / MAPS, self.place / KERAS / MAPS)
        known = isfinite(drift.low)  # not of a single test image
        interval = {"drift_low": drift.low, "drift_high": drift.high} if known else {}
        return row | {"drift": drift.mean, "agreement": maps, **interval}

    def _own_table(self) -> ImageTable:
        """Return the record's per-image table; that of Keras here if the record's is gone or of other images."""
        here = read_table(self.place / KERAS / IMAGES, counts_only=True)
        try:
            own = read_table(self.trial.folder / IMAGES, counts_only=True)
        except BenchError:
            return here
        return own if own.names == here.names and own.counts.shape == here.counts.shape else here

    @property
    def _request(self) -> Row:
        return {"trial": str(self.trial.folder.resolve()), "config": self.config.to_dict()}

    @property
    def _picture(self) -> str:
        return str(self.place / KERAS / PICTURES)

    def _folder(self, name: str) -> str:
        (self.place / name).mkdir()
        return str(self.place / name)

    def _row(self, form: str, precision: str, threads: int, *, device: str = "", **known: Any) -> Row:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"run": self.trial.folder.name, "format": form, "precision": precision, "threads": threads}
        return row | {"device": device, "finished": now, "versions": versions(), **known}


def _path(one: Exported) -> str:
    return str(one.folder / one.variant.form.file) if one.folder else ""


@contextmanager
def _without_gpu() -> Iterator[None]:
    """Let processes that are started inside see no GPU, so that Keras runs where the files run."""
    before = {name: os.environ.get(name) for name in _NO_GPU}
    os.environ.update(_NO_GPU)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def cores(count: int) -> Iterator[str]:
    """Let processes that are started inside use that many cores only; yield the name of this device."""
    there = usable_cores()
    share = Share(tuple(there[:count]), len(there), 1)
    with share.starting():
        yield cpu_device(share)


def _ask(target: str, request: dict[str, Any], backend: str | None) -> dict[str, Any]:
    try:
        (answer,) = ask(f"bench.deployment.{target}", [request], backend, CHILD_SECONDS)
    except ChildEnded as ended:
        raise BenchError(f"The process of {target.partition(':')[2]} ended: {ended}") from ended
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer
