"""Run planned trials one after the other; a trial that fails gets a record, and the others continue."""

import os
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import cpu_device, expected_device, host_environment
from bench.results.store import LOG, PROGRESS, REQUEST, WEIGHTS, ResultsFolder, read_json, write_json
from bench.results.weight_retention import keep, prune
from bench.trials.local_process import IF_KILLED, OUTCOME, Executor, Handle, LocalExecutor
from bench.trials.plan import PlannedTrial, plan
from bench.trials.progress import Observer

POLL_SECONDS = 0.3
CLAIM_SECONDS = 1.0  # a reader that checks whether a trial is running holds its lock for a moment
LOG_LINES = 20  # kept of a failed trial's log


def run(
    configs: Iterable[TrialConfig],
    *,
    results: Path | str,
    observer: Observer | None = None,
    force: bool = False,
    executor: Executor | None = None,
) -> list[TrialRecord]:
    """Run the trials that are not done yet and return the records of all, in the order of `configs`.

    Args:
        configs: resolved (`catalog.resolve_config`), with `init_from` as a folder (`start_from`).
        results: the results folder; it is made if it doesn't exist.
        force: run finished trials again. The old record stays until the new one is final, but a new record that
            failed is returned.

    Raises:
        BenchError: the data, the weights or the folder can't be used, so nothing has been run.
        KeyboardInterrupt: after the running trial has been recorded as interrupted.
    """
    observer, executor = observer or Observer(), executor or LocalExecutor()
    folder = ResultsFolder(results)
    folder.create()
    trials = plan(configs, folder, preparing=observer.preparing, doubting=observer.doubting)
    observer.planned(trials)
    records = [_run_one(trial, folder, observer, executor, force) for trial in trials]
    return [record for record in records if record]


def _run_one(
    trial: PlannedTrial, results: ResultsFolder, observer: Observer, executor: Executor, force: bool
) -> TrialRecord | None:
    """Return the trial's record, an earlier final one or a new one; None if another runner is working on the trial."""
    if trial.done and not force:
        _keep_weights(trial, results, observer)
        return trial.record
    try:
        with results.claim(trial.identity).acquire(timeout=CLAIM_SECONDS):
            other = results.find(trial.identity)  # another runner may have finished it since the plan was made
            if other and other != trial.record and not force:
                _keep_weights(trial, results, observer)
                return other
            record, interrupted = _execute(trial, results, observer, executor)
            with results.finishing():
                results.finish(trial.identity, record)
                prune(results)
    except Timeout:
        observer.elsewhere(trial)
        return None
    observer.ended(trial, record)
    if interrupted:
        raise KeyboardInterrupt
    return record


def _keep_weights(trial: PlannedTrial, results: ResultsFolder, observer: Observer) -> None:
    """Keep the weights of a finished trial if `--keep-weights all` asks for it; tell the observer if there are none."""
    folder = results.folder(trial.identity)
    if trial.config.keep_weights != "all":
        return
    if (folder / WEIGHTS).is_file():
        keep(folder)
    else:
        observer.without_weights(trial)


def _execute(
    trial: PlannedTrial, results: ResultsFolder, observer: Observer, executor: Executor
) -> tuple[TrialRecord, bool]:
    """Run the trial's process to its end, however it ends; return the record and whether it was interrupted."""
    folder = results.running_folder(trial.identity)
    shutil.rmtree(folder, ignore_errors=True)  # left by a runner that died
    folder.mkdir(parents=True)
    started, clock = _now(), time.monotonic()
    request = {"config": trial.config.to_dict(), "fingerprint": trial.fingerprint}
    write_json(folder / REQUEST, {**request, **_now_and_here()})
    handle = executor.start(folder, trial.config.backend)
    ending = _watch(trial, folder, observer, handle)
    wall = time.monotonic() - clock
    outcome = read_json(folder / OUTCOME)  # it may exist even if the runner ended the trial, just too late
    if not outcome:
        status, reason = ending or handle.reason()
        found = read_json(folder / IF_KILLED) if status == "out_of_memory" else {}
        outcome = {"status": status, "reason": reason, **found}
    for name in (OUTCOME, IF_KILLED):
        (folder / name).unlink(missing_ok=True)
    if outcome["status"] != "ok":
        outcome["log_tail"] = _log_tail(folder / LOG)
        outcome.setdefault("dataset", {"name": trial.config.dataset, "fingerprint": trial.fingerprint})
        outcome.setdefault("training", _progress(folder))
        outcome.setdefault("environment", host_environment(gpu=expected_device() != cpu_device()))
    common = {
        "key": trial.key,
        "device": expected_device(),
        "repeat": trial.config.repeat,
        "configuration": trial.configuration,
        "config": trial.config.to_dict(),
        "started": started,
        "finished": _now(),
        "wall_seconds": round(wall, 3),
    }
    return TrialRecord.from_dict({**common, **outcome}), ending is not None and ending[0] == "interrupted"


def _watch(trial: PlannedTrial, folder: Path, observer: Observer, handle: Handle) -> tuple[str, str] | None:
    """Wait for the trial's end; return the status and the reason if the runner ended it."""
    limit = trial.config.timeout
    clock = time.monotonic()
    told: dict[str, Any] = {}
    try:
        observer.started(trial)
        while not handle.wait(POLL_SECONDS):
            progress = read_json(folder / PROGRESS)
            if progress and progress != told:
                observer.progressed(trial, progress)
                told = progress
            if limit and time.monotonic() - clock > limit:
                handle.stop()
                return "timed_out", f"Stopped after --timeout {limit:g} s."
    except KeyboardInterrupt:
        handle.stop()
        return "interrupted", "Interrupted by Ctrl-C or SIGTERM; the same command runs it again."
    return None


def _progress(folder: Path) -> dict[str, Any]:
    """Return the last progress of a failed trial."""
    progress = read_json(folder / PROGRESS)
    return {k: progress[k] for k in ("phase", "fraction", "steps", "images", "train_seconds") if k in progress}


def _log_tail(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]) if path.is_file() else ()


def _now_and_here() -> dict[str, Any]:
    return {"device": expected_device(), "runner": os.getpid(), "time": time.time()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
