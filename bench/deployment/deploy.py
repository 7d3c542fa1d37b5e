"""Measure a stored trial where it will run, Keras and each exported file on the CPU: scores, times, memory and size.

Each measurement has a process of its own. Times are those of one image at a time, on as many cores as threads.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.core.backends import quickest
from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.deployment.class_maps import MAPS, PICTURES, agreement
from bench.deployment.export_run import CALIBRATION, CHILD_SECONDS, Exported, Variant, export
from bench.evaluation.image_table import ImageTable, read_table
from bench.profiling.environment import cpu_device, versions
from bench.profiling.gpu import VISIBLE
from bench.profiling.host.share import Share, usable_cores
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
) -> list[Row]:
    """Measure Keras and every variant with each number of threads; return a row each, empty ones with their reason.

    Args:
        config: the one that `trained_config` returns.
        doing: called with a few words before each step.
    """
    check_threads(threads)
    config = replace(config, devices_per_trial=1)
    with TemporaryDirectory(prefix="segbench-") as name, _without_gpu():
        place = Path(name)
        doing(f"Keras on {config.backend}: scoring")
        keras = {"trial": str(trial.folder.resolve()), "config": config.to_dict()}
        own = _ask("score:score_keras", {**keras, "into": str(_made(place / KERAS))}, config.backend)
        picture = str(place / KERAS / PICTURES)
        found: list[Row] = []
        for count in threads:
            doing(f"Keras on {config.backend}: timing, {count} threads")
            with cores(count) as device:
                timings = _ask("score:measure_keras", {**keras, "images": picture}, config.backend)
            size = (trial.folder / WEIGHTS).stat().st_size
            found.append(_row(trial, KERAS, config.precision, count, device, size) | own | timings)
        doing("exporting")
        files = export(trial, config, variants, place / "files", calibration=calibration)
        for one in files:
            found += _file_rows(trial, config, one, threads, place, picture, doing)
        return [_compared(row, trial, place) for row in found]


def check_threads(threads: Sequence[int]) -> None:
    """Raise BenchError unless the machine has that many cores for this process."""
    there = len(usable_cores())
    if wrong := [count for count in threads if not 1 <= count <= there]:
        raise BenchError(f"--threads is {wrong[0]}. Accepted: 1 to {there}, the cores of this process.")


def _file_rows(
    trial: StoredTrial,
    config: TrialConfig,
    one: Exported,
    threads: Sequence[int],
    place: Path,
    picture: str,
    doing: Callable[[str], None],
) -> list[Row]:
    form, precision = one.variant.form, one.variant.precision
    if not one.folder or not one.facts:
        reason = {"empty": one.empty} if one.empty else {"failed": one.failed}
        return [_row(trial, form.name, precision, count, "", 0) | reason for count in threads]
    file = {"form": form.name, "file": str(one.folder / form.file)}
    doing(f"{form.title} {precision}: scoring")
    request = {"trial": str(trial.folder.resolve()), "config": config.to_dict(), **file}
    request |= {"input_shape": one.facts["input"]["shape"], "into": str(_made(place / one.variant.name))}
    backend = quickest() if form.needs else form.backend  # one framework in a process
    try:
        scored = _ask("score:score_file", request, backend)
        rows = []
        for count in threads:
            doing(f"{form.title} {precision}: timing, {count} threads")
            with cores(count) as device:
                timings = _ask("measure:measure_file", {**file, "threads": count, "images": picture}, None)
            size = sum(part["bytes"] for part in one.facts["files"].values())
            row = _row(trial, form.name, precision, count, device, size) | scored | timings
            rows.append(row | {"logit_drift": one.facts["check"]["drift"], "flag": one.flag})
        return rows
    except BenchError as error:
        return [_row(trial, form.name, precision, count, "", 0) | {"failed": str(error)} for count in threads]


def _row(trial: StoredTrial, form: str, precision: str, threads: int, device: str, size: int) -> Row:
    return {
        "run": trial.folder.name,
        "format": form,
        "precision": precision,
        "threads": threads,
        "device": device,
        "size_mib": size / MIB,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


def _compared(row: Row, trial: StoredTrial, place: Path) -> Row:
    """Add the drift of the score from the trial's own, with its paired interval, and the agreement with Keras."""
    if "metrics" not in row:
        return row
    folder = place / (KERAS if row["format"] == KERAS else f"{row['format']}-{row['precision']}")
    tables = [read_table(folder / IMAGES, counts_only=True), _own_table(trial, place)]
    drawn = bootstrap([[MEAN_IOU.score.values(t)] for t in tables], tables[0].groups, MEAN_IOU.score.of_sums)
    drift = drawn[0].drift_from(drawn[1])
    maps = agreement(folder / MAPS, place / KERAS / MAPS)
    return row | {"drift": drift.mean, "drift_low": drift.low, "drift_high": drift.high, "agreement": maps}


def _own_table(trial: StoredTrial, place: Path) -> ImageTable:
    """Return the record's per-image table; that of Keras here if the record's is gone or of other images."""
    here = read_table(place / KERAS / IMAGES, counts_only=True)
    try:
        own = read_table(trial.folder / IMAGES, counts_only=True)
    except BenchError:
        return here
    return own if own.names == here.names and own.counts.shape == here.counts.shape else here


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


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _ask(target: str, request: dict[str, Any], backend: str | None) -> dict[str, Any]:
    try:
        (answer,) = ask(f"bench.deployment.{target}", [request], backend, CHILD_SECONDS)
    except ChildEnded as ended:
        raise BenchError(f"The process of {target.partition(':')[2]} ended: {ended}") from ended
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer
