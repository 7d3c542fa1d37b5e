"""The life of a trial in a run: it is claimed, runs in a process of its own, is watched to its end and recorded.

A life is a generator, which yields whenever it has to wait, so that one thread leads many of them (`scheduler.py`).
KeyboardInterrupt thrown into it ends the trial's process; the trial is recorded as interrupted before the error is
raised again.
"""

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from filelock import Timeout

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.untrusted.plain_files import is_folder, remove
from bench.profiling.environment import versions
from bench.results.outcomes import record_of, settle
from bench.results.software import is_stale
from bench.results.store import ResultsFolder
from bench.results.trial_files import CODE, IF_KILLED, REQUEST, WEIGHTS, read_json, write_json
from bench.results.trial_output import read_outcome, read_progress, usable
from bench.results.weight_retention import Pruning, keep
from bench.trials.local_process import LOST, REFUSED, Handle
from bench.trials.plan import PlannedTrial, is_done
from bench.trials.progress import WAIT, Observer
from bench.trials.saved.earlier_attempts import fresh_folder
from bench.trials.scheduling.slots import Slot
from bench.trials.scheduling.waiting import FREE, SlotLost, Waiting, acquired, released, stopped

INTERRUPTED = "Interrupted by Ctrl-C or SIGTERM"  # the reason, unless the interrupt has one
UNREADABLE = "unreadable"  # status of a row for a trial whose record can't be read; it is never written
LOOK_SECONDS = 0.3  # between two looks at a trial's progress
CLAIM_SECONDS = 1.0  # a reader that checks whether a trial is running holds its lock for a moment
PATIENCE_SECONDS = 2.0  # before a word is said about waiting for another run to finish a trial
FINISHING_SECONDS = 60.0  # before a trial is recorded while another run still chooses weights
MOST_LOST = 3  # workers that a trial may lose: it may be what ends them


@dataclass(frozen=True)
class Life:
    """The lives of the trials of a run: what they have in common, and `lead`, which leads one.

    Call `close` once all have ended.
    """

    results: ResultsFolder
    observer: Observer
    pruning: Pruning
    lost: Counter[str] = field(default_factory=Counter)  # workers, by the trial's identity

    def lead(self, trial: PlannedTrial, slot: Slot) -> Waiting[TrialRecord | None]:
        """Return the trial's record, an earlier final one or a new one; None if another runner is working on it.

        Raises:
            SlotLost: the slot is gone, and the trial is to run in another.
        """
        if trial.done:
            self._keep_weights(trial)
            return trial.record
        lock = self.results.claim(trial.identity)
        if not (yield from acquired(lock, CLAIM_SECONDS)):
            self.observer.elsewhere(trial)
            return None
        with released(lock):
            try:
                taken_up = settle(self.results, trial.identity, force=trial.again)
                other = self.results.find(trial.identity)
            except BenchError as error:
                record = _unreadable(trial, error)
                self.observer.ended(trial, record)
                return record
            if other and _is_enough(trial, other, taken_up=taken_up is not None):
                self._keep_weights(trial)
                return other
            self.results.check_room()
            record, interrupted = yield from self._execute(trial, slot)
            try:
                if not interrupted:  # else nothing may begin
                    yield FREE
            except KeyboardInterrupt:
                interrupted = True
            record = yield from self._finish(trial, record)
        self.observer.ended(trial, record)
        if interrupted:
            raise KeyboardInterrupt
        return record

    def _execute(self, trial: PlannedTrial, slot: Slot) -> Waiting[tuple[TrialRecord, bool]]:
        """Run the trial's process to its end, however it ends; return the record and whether it was interrupted."""
        folder = self.results.running_folder(trial.identity)
        earlier = fresh_folder(self.results, trial.identity, anew=trial.forced)
        request = {**_request(trial), "earlier": earlier}
        if slot.environment:
            request["environment"] = dict(slot.environment)
        write_json(folder / REQUEST, request, sync=False)
        if trial.code:
            write_json(folder / CODE, trial.code, sync=False)
        clock = time.monotonic()
        handle = slot.executor.start(folder, trial.config.backend)
        ending = yield from self._watch(trial, handle)
        request["time"] += time.monotonic() - clock - handle.seconds()  # what it waited for a worker
        ended = request["time"] + handle.seconds()
        outcome = read_outcome(folder)  # it may exist even if the runner ended the trial, just too late
        if not outcome:
            status, reason = ending or self._unless_lost(trial, handle)
            found = read_json(folder / IF_KILLED) if status == "out_of_memory" else {}
            outcome = usable({"status": status, "reason": reason, **found})
        return record_of(folder, request, outcome, ended), ending is not None and ending[0] == "interrupted"

    def _unless_lost(self, trial: PlannedTrial, handle: Handle) -> tuple[str, str]:
        """Return how the trial ended; raise SlotLost if it is to run elsewhere."""
        status, reason = handle.reason()
        if status not in (LOST, REFUSED):
            return status, reason
        self.lost[trial.identity] += status == LOST and handle.seconds() > 0.0
        if self.lost[trial.identity] < MOST_LOST:
            self.observer.lost(trial, reason)
            raise SlotLost(status, reason)
        return "failed", f"{MOST_LOST} workers were lost while it ran, which it may have caused; the last: {reason}."

    def _watch(self, trial: PlannedTrial, handle: Handle) -> Waiting[tuple[str, str] | None]:
        """Wait for the trial's end; return the status and the reason if the runner ended it."""
        limit, folder = trial.config.timeout, self.results.running_folder(trial.identity)
        looked = time.monotonic()
        waited = 0.0
        told: dict[str, Any] = {}
        try:
            self.observer.started(trial)
            while not handle.wait(0.0):
                yield
                if time.monotonic() - looked < LOOK_SECONDS:
                    continue
                before, looked = looked, time.monotonic()
                waited += looked - before if told.get("phase") == WAIT else 0.0
                progress = read_progress(folder)
                if progress and progress != told:
                    if (note := progress.get("note")) and note != told.get("note"):
                        self.observer.noted(trial, note)
                    self.observer.progressed(trial, progress)
                    told = progress
                if not is_folder(folder):
                    yield from stopped(handle)
                    break
                if limit and handle.seconds() - waited > limit:
                    yield from stopped(handle)
                    return "timed_out", f"Stopped after --timeout {limit:g} s."
        except KeyboardInterrupt as interrupt:
            yield from stopped(handle)
            return "interrupted", f"{str(interrupt) or INTERRUPTED}; the same command runs it again."
        except BaseException:
            handle.stop()
            raise
        if not is_folder(folder):
            self.results.check_present()
            remove(folder)
            folder.mkdir()
            return "failed", "The trial's folder was removed while it ran; the same command runs it again."
        return None

    def _finish(self, trial: PlannedTrial, record: TrialRecord) -> Waiting[TrialRecord]:
        """Put the record in its place and remove the weights that it beats; return it, or why it had to wait.

        A minute is waited for another run that chooses weights, then the record is put in its place nevertheless.
        """
        lock = self.results.finishing()
        alone = yield from acquired(lock, PATIENCE_SECONDS)
        if not alone:
            self.observer.waiting(trial, FINISHING_SECONDS)
            alone = yield from acquired(lock, FINISHING_SECONDS)
        if not alone:
            self.observer.waiting(trial, 0.0)
        with released(lock):
            try:
                self.results.finish(trial.identity, record)
            except BenchError as error:
                return _unreadable(trial, error)
            if alone:
                self.pruning.after(trial.identity)
        return record

    def close(self) -> None:
        """Remove the weights that are beaten, if that was put off; another run that finishes a trial does it, too."""
        if self.pruning.due:
            with suppress(Timeout), self.results.finishing().acquire(timeout=PATIENCE_SECONDS):
                self.pruning.choose()

    def _keep_weights(self, trial: PlannedTrial) -> None:
        """Keep a finished trial's weights if `--keep-weights all` asks for it; tell the observer if there are none."""
        folder = self.results.folder(trial.identity)
        if trial.config.keep_weights != "all":
            return
        if (folder / WEIGHTS).is_file():
            keep(folder)
        else:
            self.observer.without_weights(trial)


def _is_enough(trial: PlannedTrial, other: TrialRecord, *, taken_up: bool) -> bool:
    """Tell whether a record that is there now is what the trial would run for.

    Another runner has finished it since the plan was made, or what a runner that died had left was taken up.
    """
    if trial.outdated and is_stale(other):
        return False
    return is_done(trial.config, other) if taken_up else other != trial.record and not trial.forced


def _request(trial: PlannedTrial) -> dict[str, Any]:
    """Return what the trial's process needs to run it and any runner needs to record it."""
    return {
        "key": trial.key,
        "configuration": trial.configuration,
        "config": trial.config.to_dict(),
        "fingerprint": trial.fingerprint,
        "protocol_version": trial.protocol,
        "contents": dict(trial.contents),
        "opened": trial.opened,
        "device": trial.device,
        "runner": os.getpid(),
        "time": time.time(),
    }


def _unreadable(trial: PlannedTrial, error: BenchError) -> TrialRecord:
    """Return the row of a trial whose folder can't be read, and which is therefore left alone."""
    reason = f"{error} Its folder was left alone; remove it to run the trial anew."
    config = trial.config.to_dict()
    return TrialRecord(
        *(trial.key, trial.device, trial.config.repeat, UNREADABLE, config, trial.configuration, reason),
        dataset={"name": trial.config.dataset, "fingerprint": trial.fingerprint},
        environment={"versions": versions()},
        protocol_version=trial.protocol,
    )
