"""Measure a stored trial where it will run, Keras and each exported file on the CPU: scores, times, memory and size.

Each measurement has a process of its own. Times are those of one image at a time, on as many cores as threads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.config.view_sizes import view_sizes
from bench.core.backends import quickest
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.deployment.class_maps import MAPS, PICTURES, agreement
from bench.deployment.export_run import CALIBRATION, Exported, Variant, export
from bench.deployment.processes import ask_process, check_threads, cores, without_gpu
from bench.evaluation.image_table import ImageTable, read_table
from bench.profiling.environment import versions
from bench.profiling.process_memory import MIB
from bench.results.analysis.same_images import of_tables
from bench.results.deployed.deployment_rows import KERAS
from bench.results.loading import StoredTrial
from bench.results.trial_files import IMAGES, WEIGHTS

LARGE_LOSS = 0.02  # of mean IoU, from which a row has a flag
FLIPS, SCALES = "flips", "scales"  # of --tta
Row = dict[str, Any]  # of one variant with one number of threads: what its JSON file holds


def deploy(
    trial: StoredTrial,
    config: TrialConfig,
    variants: Sequence[Variant],
    threads: Sequence[int],
    *,
    views: Sequence[str] = (),
    calibration: int = CALIBRATION,
    doing: Callable[[str], None] = lambda what: None,
) -> Iterator[Row]:
    """Measure Keras and every variant with each number of threads; yield a row each, empty ones with their reason.

    Args:
        config: the one that `trained_config` returns.
        views: kinds of test-time augmentation that get rows of their own: "flips", "scales".
        doing: called with a few words before each step.
    """
    check_threads(threads)
    with TemporaryDirectory(prefix="segbench-") as name, without_gpu():
        bench = _Bench(trial, replace(config, devices_per_trial=1), threads, views, Path(name), doing)
        yield from map(bench.compared, bench.keras())
        doing("exporting")
        for one in export(trial, config, variants, bench.place / "files", calibration=calibration):
            yield from map(bench.compared, bench.file(one))


@dataclass(frozen=True)
class _Bench:
    """The measurements of one trial, whose files are in the folder `place`."""

    trial: StoredTrial
    config: TrialConfig
    threads: Sequence[int]
    views: Sequence[str]
    place: Path
    doing: Callable[[str], None]

    def keras(self) -> Iterator[Row]:
        """Score and time the trial itself; the scores are those that files are compared with."""
        yield from self._keras()
        for tta in self.views:
            known = {"tta": tta}
            if reason := self._no_views(tta):
                yield from self._lacking(KERAS, self.config.precision, known | {"empty": reason})
                continue
            try:
                yield from self._keras(tta)
            except BenchError as error:
                yield from self._lacking(KERAS, self.config.precision, known | {"failed": str(error)})

    def _keras(self, tta: str = "") -> Iterator[Row]:
        backend, precision = self.config.backend, self.config.precision
        title = f"Keras on {backend}{f', {tta}' if tta else ''}"
        self.doing(f"{title}: scoring")
        request = {**self._request, "tta": tta}
        scored = ask_process("score:score_keras", {**request, "into": self._folder(KERAS, tta)}, backend)
        for count in self.threads:
            self.doing(f"{title}: timing, threads: {count}")
            with cores(count) as device:
                timings = ask_process("score:measure_keras", {**request, "images": self._picture}, backend)
            size = (self.trial.folder / WEIGHTS).stat().st_size
            yield self._row(KERAS, precision, count, device=device, size_mib=size / MIB, tta=tta) | scored | timings

    def _no_views(self, tta: str) -> str:
        """Say why the trial has no row with these views; empty if it has."""
        if tta != SCALES:
            return ""
        if self.config.crop:
            return "A model of crops is timed on one tile, which has one size. Use --tta flips."
        try:
            view_sizes(self.config)
        except BenchError as error:
            return str(error)
        return ""

    def file(self, one: Exported) -> Iterator[Row]:
        """Score and time an exported file, as it is and with mirrored images, or say why there is none."""
        name, precision = one.variant.form.name, one.variant.precision
        if not one.folder or not one.facts:
            yield from self._lacking(name, precision, {"empty": one.empty} if one.empty else {"failed": one.failed})
            return
        size = sum(part["bytes"] for part in one.facts["files"].values()) / MIB
        for tta in ("", *(view for view in self.views if view == FLIPS)):  # a file takes images of one size
            known = {"size_mib": size, "logit_drift": one.facts["check"]["drift"], "tta": tta}
            try:
                scored = self._score(one, tta)
                for count in self.threads:
                    device, timings = self._time(one, count, tta)
                    yield self._row(name, precision, count, device=device, **known) | scored | timings
            except BenchError as error:
                yield from self._lacking(name, precision, {"tta": tta, "failed": str(error)})

    def _lacking(self, form: str, precision: str, why: Row) -> Iterator[Row]:
        yield from (self._row(form, precision, count) | why for count in self.threads)

    def _score(self, one: Exported, tta: str) -> Row:
        form = one.variant.form
        self.doing(f"{form.title} {one.variant.precision}{f', {tta}' if tta else ''}: scoring")
        request = {**self._request, "form": form.name, "file": _path(one), "into": self._folder(one.variant.name, tta)}
        request |= {"input_shape": one.facts["input"]["shape"] if one.facts else [], "tta": tta}
        backend = quickest() if form.needs else form.backend  # one framework in a process
        return ask_process("score:score_file", request, backend)

    def _time(self, one: Exported, count: int, tta: str) -> tuple[str, Row]:
        form = one.variant.form
        self.doing(f"{form.title} {one.variant.precision}{f', {tta}' if tta else ''}: timing, threads: {count}")
        request = {"form": form.name, "file": _path(one), "threads": count, "images": self._picture, "tta": tta}
        with cores(count) as device:
            return device, ask_process("measure:measure_file", request, None)

    def compared(self, row: Row) -> Row:
        """Add the drift of the score from the trial's own, with its paired interval, and the agreement with Keras."""
        if "metrics" not in row:
            return row
        form = KERAS if row["format"] == KERAS else f"{row['format']}-{row['precision']}"
        folder = self.place / _name(form, row["tta"])
        tables = [read_table(folder / IMAGES, counts_only=True), self._own_table()]
        mine, trials = of_tables(tables)
        drift = mine.drift_from(trials)
        maps = agreement(folder / MAPS, self.place / KERAS / MAPS)
        known = isfinite(drift.low)  # not of a single test image
        interval = {"drift_low": drift.low, "drift_high": drift.high} if known else {}
        lost = f"its mean IoU is {-drift.mean:.3f} lower than the trial's" if drift.mean < -LARGE_LOSS else ""
        return row | {"drift": drift.mean, "agreement": maps, "flag": lost, **interval}

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

    def _folder(self, name: str, tta: str) -> str:
        folder = self.place / _name(name, tta)
        folder.mkdir()
        return str(folder)

    def _row(self, form: str, precision: str, threads: int, *, device: str = "", **known: Any) -> Row:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"run": self.trial.folder.name, "format": form, "precision": precision, "threads": threads, "tta": ""}
        return row | {"device": device, "finished": now, "versions": versions(), **known}


def _name(form: str, tta: str) -> str:
    return f"{form}-{tta}" if tta else form


def _path(one: Exported) -> str:
    return str(one.folder / one.variant.form.file) if one.folder else ""
