"""Lead a trial on its worker in a cluster: take its files, run its process, send what that writes."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from bench.core.errors import BenchError, reason_of
from bench.core.files import cache_folder
from bench.core.leftovers import end_leftovers
from bench.core.surroundings import usable_cores
from bench.core.untrusted.plain_files import MIB, remove
from bench.profiling.host.share import Share, parts
from bench.results.store import LEAST_BYTES
from bench.results.trial_files import REQUEST, RUNNING, read_json, write_json
from bench.trials.cluster.mail import Chunk, Outbox, Receiver, chunks, parcels
from bench.trials.local_process import LocalExecutor

INPUTS = "inputs"  # the folder, beside the trial's, of the weights that it starts from
LOOK_SECONDS = 0.5  # between two messages of a trial that runs
_OF_RAY = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT")  # variables that Ray sets in its workers


@dataclass(frozen=True)
class News:
    """A message of a running trial; `ending` is the status and the reason for want of an outcome, once it has ended."""

    seconds: float  # for which its process has run
    files: tuple[Chunk, ...] = ()
    checkpoints: tuple[str, ...] = ()  # all that there are
    ending: tuple[str, str] | None = None


class Worker:
    """The side of a trial on its worker; Ray gives it a process of its own, and ends that with the runner.

    Args:
        name: unique to this attempt.
        share: the number of the trial's share of the machine, and that of all shares.
    """

    def __init__(self, name: str, share: tuple[int, int]):
        _forget_variables_of_ray()
        self._name, self._share = name, _share(*share)
        self._held = ExitStack()
        self._receiver: Receiver | None = None
        self._news: Iterator[News] = iter(())
        self._problem = ""

    def take(self, chunk: Chunk) -> None:
        """Write what the trial starts from; a problem is told by `start`."""
        if self._problem:
            return
        try:
            if not self._receiver:
                self._place = _own_place(self._held, self._name)
                self._receiver = Receiver(self._place)
            self._receiver.take(chunk)
        except (OSError, BenchError) as error:
            self._problem = reason_of(error)

    def start(self, trial: str, backend: str, paths: Mapping[str, str]) -> str:
        """Start the trial's process; return why that can't be, or an empty text.

        Args:
            trial: the name of its folder.
            paths: of the files of weights below the inputs, by the option that names them.
        """
        if self._problem:
            return self._problem
        folder = self._place / trial
        if (free := shutil.disk_usage(folder).free) < LEAST_BYTES:
            return f"its disk is full: {free / MIB:.1f} MiB are free at '{folder}'"
        request = read_json(folder / REQUEST)
        own = {option: str(self._place / INPUTS / path) for option, path in paths.items()}
        request |= {"runner": os.getpid(), "time": time.time(), "config": {**request["config"], **own}}
        outbox = Outbox(folder)
        try:
            write_json(folder / REQUEST, request, sync=False)
            self._process = LocalExecutor(share=self._share).start(folder, backend)
        except OSError as error:
            return reason_of(error)
        self._news = self._messages(folder, outbox)
        return ""

    def news(self, stop: bool) -> News:
        """Return what is new since the last call, after a moment; end the trial first if `stop` says so."""
        if stop:
            self._process.stop()
        return next(self._news)

    def _messages(self, folder: Path, outbox: Outbox) -> Iterator[News]:
        began, ended = time.monotonic(), False
        while not ended:
            ended = self._process.wait(LOOK_SECONDS)
            seconds = time.monotonic() - began
            for some in parcels(chunks(folder, outbox.changed(ended=ended))):
                yield News(seconds, some, tuple(outbox.checkpoints()))
            if not ended:
                yield News(seconds)
        self._held.close()
        yield News(seconds, ending=self._process.reason())


def _share(number: int, count: int) -> Share | None:
    cores = usable_cores()
    return Share(parts(cores, count)[number], len(cores), count) if count > 1 else None


def _forget_variables_of_ray() -> None:
    """Remove what Ray has set for its own work since this process began: it would change a trial, and its record."""
    with suppress(psutil.Error, OSError):
        given = psutil.Process().environ()
        for name in _OF_RAY:
            if name not in given:
                os.environ.pop(name, None)


def _own_place(held: ExitStack, name: str) -> Path:
    """Make a folder on this node that is removed when `held` is closed; remove those whose process has died."""
    parent = cache_folder("ray")
    with FileLock(parent / "places.lock"):
        for lock in parent.glob("*.trial"):
            with suppress(Timeout), FileLock(lock).acquire(timeout=0):
                _leave(lock.with_suffix(""))
                lock.unlink()
        place = parent / name
        held.enter_context(FileLock(parent / f"{name}.trial"))
        remove(place)
        place.mkdir()
        held.callback(_leave, place)
    return place


def _leave(place: Path) -> None:
    for folder in place.glob(f"*{RUNNING}"):
        end_leftovers(folder)
    shutil.rmtree(place, ignore_errors=True)
