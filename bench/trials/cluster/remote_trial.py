"""Run a trial on a worker of a Ray cluster, as an `Executor`: its files go there and come back as they change."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.durable import sync_tree
from bench.core.errors import BenchError, reason_of
from bench.core.files import name_part
from bench.core.untrusted.plain_files import is_folder
from bench.results.trial_files import CHECKPOINTS, OUTCOME, PROGRESS, RECORD, REQUEST, WEIGHTS, read_json, write_json
from bench.trials.cluster.mail import Chunk, Outbox, Receiver, chunks
from bench.trials.cluster.on_worker import INPUTS, News, Worker
from bench.trials.local_process import LOST, REFUSED, Handle

STOP_SECONDS = 60.0  # for a trial to end and to send what it has left
_LOW_MEMORY = "low on memory"  # in Ray's text, of many lines, about a worker that its memory monitor has ended


@dataclass(frozen=True)
class RayExecutor:
    """An executor of one trial at a time on a node of the cluster."""

    node: str  # its id
    name: str  # its name, for users
    share: tuple[int, int]  # number of the share of the node, and of all its shares
    cpus: float
    gpus: float

    def start(self, folder: Path, backend: str) -> Handle:
        return RemoteTrial(folder, backend, self)


class RemoteTrial:
    """A trial on a worker; a `Handle`. Its folder here gets the files that it writes there, the outcome last."""

    def __init__(self, folder: Path, backend: str, executor: RayExecutor):
        self._folder, self._node, self._receiver = folder, executor.name, Receiver(folder)
        self._seconds, self._told, self._began = 0.0, 0.0, False
        self._stopping = False
        self._ending: tuple[str, str] | None = None
        config = read_json(folder / REQUEST)["config"]
        paths = dict(_inputs(config))
        name = f"{name_part(folder.stem)}-{secrets.token_hex(4)}"
        write_json(folder / PROGRESS, {"phase": f"waiting for {executor.name}", "time": time.time()}, sync=False)
        self._worker = _actor(executor, name)
        for chunk in _outgoing(folder, paths):
            self._worker.take.remote(chunk)
        places = {option: place for option, (_, place) in paths.items()}
        self._answer = self._worker.start.remote(folder.name, backend, places)

    def wait(self, seconds: float) -> bool:
        import ray

        until = time.monotonic() + seconds
        while self._ending is None:
            left = max(0.0, until - time.monotonic())
            if not ray.wait([self._answer], timeout=left)[0]:
                return False
            self._receive()
            if left == 0.0:
                break
        return self._ending is not None

    def stop(self) -> None:
        self._stopping = True
        with suppress(OSError, BenchError):  # its last files can't be written here
            if self._began and self.wait(STOP_SECONDS):
                return
        if self._ending is None:  # else it holds its devices for ever
            self._end(LOST, f"{self._node} did not end the trial")

    def reason(self) -> tuple[str, str]:
        return self._ending or ("failed", "It runs.")

    def seconds(self) -> float:
        return self._seconds + (time.monotonic() - self._told if self._began and self._ending is None else 0.0)

    def _receive(self) -> None:
        """Take the answer that has come, and ask again."""
        import ray

        try:
            answer = ray.get(self._answer)
        except ray.exceptions.RayError as error:
            self._end(LOST, f"{self._node} was lost while the trial ran ({cause_of(error)})")
            return
        if not self._began:
            if answer:
                self._end(REFUSED, answer)
                return
            self._began, self._told = True, time.monotonic()
        else:
            self._take(answer)
        if self._ending is None:
            self._answer = self._worker.news.remote(self._stopping)

    def _take(self, news: News) -> None:
        self._seconds, self._told = news.seconds, time.monotonic()
        if is_folder(self._folder):
            for chunk in news.files:
                self._write(chunk)
            if any(chunk.path.startswith(f"{CHECKPOINTS}/") for chunk in news.files):
                self._drop_old(news.checkpoints)
        if news.ending:
            self._end(*news.ending)

    def _drop_old(self, checkpoints: Sequence[str]) -> None:
        """Remove the checkpoints that the worker has no more, once one that it has is whole here."""
        here = set(Outbox(self._folder).checkpoints())
        if here & set(checkpoints):
            for path in here - set(checkpoints):
                (self._folder / path).unlink(missing_ok=True)

    def _write(self, chunk: Chunk) -> None:
        if chunk.path == OUTCOME and chunk.is_last:
            sync_tree(self._folder)  # an outcome on the disk vouches for the other files
        self._receiver.take(chunk)
        if chunk.path == PROGRESS and (progress := read_json(self._folder / PROGRESS)):
            own_clock = {**progress, "time": time.time()}
            write_json(self._folder / PROGRESS, own_clock, sync=False)

    def _end(self, status: str, reason: str) -> None:
        import ray

        self._ending = status, reason
        ray.kill(self._worker)


def _actor(executor: RayExecutor, name: str) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(executor.node, soft=False)
    options = {"num_cpus": executor.cpus, "num_gpus": executor.gpus, "scheduling_strategy": there}
    return ray.remote(Worker).options(**options).remote(name, executor.share)


def _outgoing(folder: Path, paths: Mapping[str, tuple[Path, str]]) -> Iterator[Chunk]:
    """Yield the files that a trial starts from, each with its place on the worker."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    for chunk in chunks(folder, [path for path in names if path != PROGRESS]):
        yield Chunk(f"{folder.name}/{chunk.path}", chunk.size, chunk.offset, chunk.content)
    for source, place in paths.values():
        files = [RECORD, WEIGHTS] if source.is_dir() else [source.name]
        for chunk in chunks(source if source.is_dir() else source.parent, files):
            path = f"{place}/{chunk.path}" if source.is_dir() else place
            yield Chunk(f"{INPUTS}/{path}", chunk.size, chunk.offset, chunk.content)


def _inputs(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Yield the options that name weights on this machine, each with the path here and the place on the worker."""
    for option in ("weights", "init_from"):
        path = config.get(option)
        if path and os.path.exists(path):
            yield option, (Path(path), Path(path).name)


def cause_of(error: Exception) -> str:
    """Write what Ray says of an error in a few words: the first sentence of its last line.

    Memory is a cause like others: what filled the node may be another process than the trial's.
    """
    if _LOW_MEMORY in str(error):
        return f"Ray ended it because the node was {_LOW_MEMORY}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].partition(". ")[0].rstrip(".")[:200] if lines else reason_of(error)
