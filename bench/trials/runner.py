"""Run planned trials one after the other; a trial that fails gets a record, and the others continue."""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import Timeout

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import expected_device, versions
from bench.results.outcomes import record_of, recover, settle
from bench.results.software import is_stale
from bench.results.store import ResultsFolder
from bench.results.trial_files import IF_KILLED, REQUEST, WEIGHTS, read_json, write_json
from bench.results.trial_output import read_outcome, read_progress, usable
from bench.results.weight_retention import keep, prune
from bench.trials.local_process import Executor, Handle, LocalExecutor
from bench.trials.plan import PlannedTrial, is_done, plan
from bench.trials.progress import Observer

UNREADABLE = "unreadable"  # status of a row for a trial whose record can't be read; it is never written
POLL_SECONDS = 0.3
CLAIM_SECONDS = 1.0  # a reader that checks whether a trial is running holds its lock for a moment
PATIENCE_SECONDS = 2.0  # before a word is said about waiting for another run to finish a trial
FINISHING_SECONDS = 60.0  # before a trial is recorded while another run still chooses weights


def run(
    configs: Iterable[TrialConfig],
    *,
    results: Path | str,
    observer: Observer | None = None,
    force: bool = False,
    rerun_stale: bool = False,
    executor: Executor | None = None,
) -> list[TrialRecord]:
    """Run the trials that are not done yet and return the records of all, in the order of `configs`.

    Args:
        configs: resolved (`catalog.resolve_config`), with `init_from` as a folder (`start_from`).
        results: the results folder; it is made if it doesn't exist.
        force: run finished trials again. The old record stays until the new one is final, but a new record that
            failed is returned.
        rerun_stale: run those finished trials again that ran on other versions of the backend or of Keras.

    Raises:
        BenchError: the data, the weights or the folder can't be used; or the run stopped because the disk is full or
            the folder was removed. Trials that had ended are recorded.
        KeyboardInterrupt: after the running trial has been recorded as interrupted.
    """
    observer, executor = observer or Observer(), executor or LocalExecutor()
    folder = ResultsFolder(results)
    folder.create()
    if not force:
        with _stopping_cleanly(folder):
            recover(folder)
    again = {"force": force, "rerun_stale": rerun_stale}
    trials = plan(configs, folder, **again, preparing=observer.preparing, doubting=observer.doubting)
    observer.planned(trials)
    with _stopping_cleanly(folder):
        records = [_run_one(trial, folder, observer, executor) for trial in trials]
    return [record for record in records if record]


@contextmanager
def _stopping_cleanly(results: ResultsFolder) -> Iterator[None]:
    """Turn a full disk, a removed folder and the like into one line; what has ended is on the disk already."""
    try:
        yield
    except BrokenPipeError:  # of the terminal, not of the folder
        raise
    except OSError as error:
        results.check_present()
        raise BenchError(
            f"The run has stopped because '{error.filename or results.path}' can't be written "
            f"({error.strerror or error}). Finished trials stay. Make room or repair the disk; the same command "
            "continues with what is missing."
        ) from error


def _run_one(trial: PlannedTrial, results: ResultsFolder, observer: Observer, executor: Executor) -> TrialRecord | None:
    """Return the trial's record, an earlier final one or a new one; None if another runner is working on the trial."""
    if trial.done:
        _keep_weights(trial, results, observer)
        return trial.record
    try:
        lock = results.claim(trial.identity).acquire(timeout=CLAIM_SECONDS)
    except Timeout:
        observer.elsewhere(trial)
        return None
    with lock:
        try:
            taken_up = settle(results, trial.identity, force=trial.again)
            other = results.find(trial.identity)
        except BenchError as error:
            record = _unreadable(trial, error)
            observer.ended(trial, record)
            return record
        if other and _is_enough(trial, other, taken_up=taken_up is not None):
            _keep_weights(trial, results, observer)
            return other
        results.check_room()
        record, interrupted = _execute(trial, results, observer, executor)
        record = _finish(trial, results, observer, record)
    observer.ended(trial, record)
    if interrupted:
        raise KeyboardInterrupt
    return record


def _is_enough(trial: PlannedTrial, other: TrialRecord, *, taken_up: bool) -> bool:
    """Tell whether a record that is there now is what the trial would run for.

    Another runner has finished it since the plan was made, or what a runner that died had left was taken up.
    """
    if trial.outdated and is_stale(other):
        return False
    return is_done(trial.config, other) if taken_up else other != trial.record and not trial.forced


def _finish(trial: PlannedTrial, results: ResultsFolder, observer: Observer, record: TrialRecord) -> TrialRecord:
    """Put the record in its place and remove the weights that it beats; return it, or why it had to wait."""
    with _finishing(trial, results, observer) as alone:
        try:
            results.finish(trial.identity, record)
        except BenchError as error:
            return _unreadable(trial, error)
        if alone:
            prune(results)
    return record


@contextmanager
def _finishing(trial: PlannedTrial, results: ResultsFolder, observer: Observer) -> Iterator[bool]:
    """Yield whether the lock for choosing weights is held; after a minute go on without it, as a record must stand."""
    lock = results.finishing()
    try:
        for seconds in (PATIENCE_SECONDS, FINISHING_SECONDS):
            try:
                lock.acquire(timeout=seconds)
                break
            except Timeout:
                observer.waiting(trial, FINISHING_SECONDS if seconds == PATIENCE_SECONDS else 0.0)
        yield lock.is_locked
    finally:
        lock.release()


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
    shutil.rmtree(folder, ignore_errors=True)  # left by a runner that died, without an outcome
    folder.mkdir()
    request = _request(trial)
    write_json(folder / REQUEST, request, sync=False)
    clock = time.monotonic()
    handle = executor.start(folder, trial.config.backend)
    ending = _watch(trial, results, observer, handle)
    ended = request["time"] + time.monotonic() - clock
    outcome = read_outcome(folder)  # it may exist even if the runner ended the trial, just too late
    if not outcome:
        status, reason = ending or handle.reason()
        found = read_json(folder / IF_KILLED) if status == "out_of_memory" else {}
        outcome = usable({"status": status, "reason": reason, **found})
    return record_of(folder, request, outcome, ended), ending is not None and ending[0] == "interrupted"


def _watch(trial: PlannedTrial, results: ResultsFolder, observer: Observer, handle: Handle) -> tuple[str, str] | None:
    """Wait for the trial's end; return the status and the reason if the runner ended it."""
    limit, folder = trial.config.timeout, results.running_folder(trial.identity)
    clock = time.monotonic()
    told: dict[str, Any] = {}
    try:
        observer.started(trial)
        while not handle.wait(POLL_SECONDS):
            progress = read_progress(folder)
            if progress and progress != told:
                observer.progressed(trial, progress)
                told = progress
            if not folder.is_dir():
                handle.stop()
                break
            if limit and time.monotonic() - clock > limit:
                handle.stop()
                return "timed_out", f"Stopped after --timeout {limit:g} s."
    except KeyboardInterrupt:
        handle.stop()
        return "interrupted", "Interrupted by Ctrl-C or SIGTERM; the same command runs it again."
    if not folder.is_dir():
        results.check_present()
        folder.mkdir()
        return "failed", "The trial's folder was removed while it ran; the same command runs it again."
    return None


def _request(trial: PlannedTrial) -> dict[str, Any]:
    """Return what the trial's process needs to run it and any runner needs to record it."""
    return {
        "key": trial.key,
        "configuration": trial.configuration,
        "config": trial.config.to_dict(),
        "fingerprint": trial.fingerprint,
        "device": expected_device(),
        "runner": os.getpid(),
        "time": time.time(),
    }


def _unreadable(trial: PlannedTrial, error: BenchError) -> TrialRecord:
    """Return the row of a trial whose folder can't be read, and which is therefore left alone."""
    reason = f"{error} Its folder was left alone; remove it to run the trial anew."
    config = trial.config.to_dict()
    return TrialRecord(
        *(trial.key, expected_device(), trial.config.repeat, UNREADABLE, config, trial.configuration, reason),
        dataset={"name": trial.config.dataset, "fingerprint": trial.fingerprint},
        environment={"versions": versions()},
    )
