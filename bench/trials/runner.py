"""Run planned trials; one that fails gets a record, and the others continue."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.data.source import forget_opened, opened_once
from bench.results.outcomes import recover
from bench.results.sizes.noted_limits import note_limit
from bench.results.store import ResultsFolder
from bench.results.weight_retention import Pruning
from bench.trials.cluster.workers import Workers
from bench.trials.plan import PlannedTrial, plan
from bench.trials.progress import Observer
from bench.trials.scheduling.life import Life
from bench.trials.scheduling.placement import Placement
from bench.trials.scheduling.scheduler import Scheduler
from bench.trials.scheduling.slots import Slot, local_slots
from bench.trials.scheduling.waiting import Waiting


def run(configs: Iterable[TrialConfig], **how: Any) -> list[TrialRecord]:
    """Run the trials that are not done yet and return the records of all, in the order of `configs`.

    The arguments are those of `run_planned`.
    """
    return [record for _, record in run_planned(configs, **how) if record]


def run_each(configs: Sequence[TrialConfig], **how: Any) -> list[TrialRecord | None]:
    """Do as `run`, and return a record for each configuration; None for a trial that another runner works on."""
    found = [(trial.config, record) for trial, record in run_planned(configs, **how)]
    return [
        next((record for other, record in found if replace(other, pack=config.pack) == config), None)
        for config in configs
    ]


def run_planned(
    configs: Iterable[TrialConfig],
    *,
    results: Path | str,
    observer: Observer | None = None,
    force: bool = False,
    rerun_stale: bool = False,
    slots: Sequence[Slot] = (),
    workers: Workers | None = None,
    each_device: bool = False,
) -> list[tuple[PlannedTrial, TrialRecord | None]]:
    """Plan the trials, run those that are not done yet, and return each with its record.

    Args:
        configs: resolved (`catalog.resolve_config`), with `init_from` as a folder (`start_from`).
        results: the results folder; it is made if it doesn't exist.
        force: run finished trials again. The old record stays until the new one is final, but a new record that
            failed is returned.
        rerun_stale: run those finished trials again that ran on other versions of the backend or of Keras.
        slots: one for each trial that may run at a time, all of one device; none for one trial on this machine.
        workers: the machines of a cluster, which have the slots then, also of several types of device.
        each_device: run each trial on each type of device, not only on one.

    Raises:
        BenchError: the data, the weights or the folder can't be used; or the run stopped because the disk is full or
            the folder was removed. Trials that had ended are recorded.
        KeyboardInterrupt: after the running trials have been recorded as interrupted.
    """
    configs = list(configs)
    observer = observer or Observer()
    slots = workers.slots if workers else slots or local_slots(configs=configs)
    folder = ResultsFolder(results)
    if folder.exists:
        _take_up(folder, force)
    how = {"force": force, "rerun_stale": rerun_stale, "each_device": each_device}
    types = list(dict.fromkeys(slot.device for slot in slots))
    with opened_once():
        trials = plan(configs, folder, types, **how, preparing=observer.preparing, doubting=observer.doubting)
        forget_opened()
    folder.create()  # not before, so that a refused run leaves none
    observer.planned(trials)
    for trial in trials:
        if trial.done and trial.record:
            note_limit(folder.folder(trial.identity), trial.config, trial.record)
    with _stopping_cleanly(folder):
        if workers:
            workers.need((trial for trial in trials if not trial.done), observer.warned)
        life, placement = Life(folder, observer, Pruning(folder)), Placement(trials)

        def lead(trial: PlannedTrial, slot: Slot) -> Waiting[TrialRecord | None]:
            return life.lead(placement.place(trial, slot.device), slot)

        def fits(trial: PlannedTrial, slot: Slot) -> bool:
            return placement.fits(trial, slot.device)

        records = Scheduler([] if workers else slots, lead, pool=workers, fits=fits).run(trials)
        life.close()
    return [*zip(trials, records, strict=True)]


def _take_up(folder: ResultsFolder, force: bool) -> None:
    """Find out before the data are prepared whether a folder can be written to, and settle its trials that ended."""
    folder.create()
    if not force:
        with _stopping_cleanly(folder):
            recover(folder)


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
