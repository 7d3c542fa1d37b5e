"""Compute a fact of each of many files once: it is kept as soon as it is made, and its progress is reported.

A command that is interrupted or killed goes on where it was: the facts are in a log of the cache, each under a key such
as its file's name, size and time. To say what is to come, `sampling` computes the facts of a few files only.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from bench.core.files import cache_path, text_hash
from bench.core.surroundings import usable_cores
from bench.data.facts.fact_log import FactLog, key_of
from bench.data.facts.long_steps import report
from bench.data.remote.patience import threads as pool_of

Item = TypeVar("Item")
Fact = bytes | memoryview
_AT_ONCE = 32  # items for each thread between two writes: what a kill loses
_SAMPLE, _SAMPLE_SECONDS = 128, 4.0  # most items that `sampling` looks at, and the time after which it stops


@dataclass(frozen=True)
class Pending:
    """A step that `sampling` has only tried."""

    what: str  # such as "comparing tiles"
    items: int  # left to do
    seconds: float  # for all of them, estimated
    size: int = 0  # bytes of their facts in the cache, estimated
    log: str = ""  # the file with the facts that are known
    known: int = 0  # its size in bytes

    @property
    def holds(self) -> bool:
        """Tell whether no more facts are known than when it was tried."""
        with suppress(OSError):
            return Path(self.log).stat().st_size == self.known
        return False


_pending: ContextVar[list[Pending] | None] = ContextVar("pending", default=None)


@contextmanager
def sampling() -> Iterator[list[Pending]]:
    """Compute at most a few missing facts of each kind inside the context; the list gets the steps that are left."""
    left: list[Pending] = []
    token = _pending.set(left)
    try:
        yield left
    finally:
        _pending.reset(token)


_gaps: ContextVar[list[str] | None] = ContextVar("gaps", default=None)


@contextmanager
def noting_gaps() -> Iterator[list[str]]:
    """Note the steps that leave facts out inside the context: what follows from theirs may be another thing later."""
    found: list[str] = []
    token = _gaps.set(found)
    try:
        yield found
    finally:
        _gaps.reset(token)


def sampled() -> list[Pending] | None:
    """Return the steps that are left inside `sampling`; None outside."""
    return _pending.get()


def still_left(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether steps that `sampling` has left before, as dictionaries, are still to come; note them again then."""
    left, noted = [Pending(**step) for step in steps], _pending.get()
    if not all(step.holds for step in left):
        return False
    if noted is not None:
        noted += left
    return True


def only_sampled() -> bool:
    """Tell whether `sampling` has left out any fact."""
    return bool(_pending.get())


def look_up(
    kind: str,
    place: str,
    items: Sequence[Item],
    keys: Sequence[str],
    make: Callable[[Item], bytes | None],
    what: str,
    threads: int = 0,
) -> list[Fact | None]:
    """Return the fact of each item, from the log or computed now in threads; None where there is none.

    That is so for those that `sampling` leaves out, and for those of which `make` returns None: they can't be read now,
    which may change without a new size or time (a permission, a network disk), so nothing is kept of them.

    Several processes may ask at once: one computes, the others wait and read.

    Args:
        kind: a name and version, changed whenever the facts change.
        place: whose items they are, such as a folder; each place has a log of its own.
        keys: say all that each item's fact depends on, such as the file's name, size and time.
        make: computes a fact; threads gain where it releases Python's lock, as Pillow does.
        what: the step, for the progress, such as "comparing tiles".
        threads: how many compute; 0: one for each core.
    """
    path = log_of(kind, place)
    digests = [key_of(key) for key in keys]
    log, unkept = FactLog(path), dict[bytes, bytes]()
    left = noted if (noted := _pending.get()) is not None else []
    before = len(left)
    if any(digest not in log.places for digest in digests):
        with _lock(path, what) as writable:
            log = FactLog(path)  # another process may have computed them meanwhile
            missing = {d: item for d, item in zip(digests, items, strict=True) if d not in log.places}
            for found in _made(missing, make, what, threads or len(usable_cores())):
                made = {digest: fact for digest, fact in found.items() if fact is not None}
                if not (writable := writable and log.append(made)):
                    unkept |= made
        log = FactLog(path)
        for number in range(before, len(left)):
            left[number] = replace(left[number], log=str(path), known=log.end)
    facts = [unkept[digest] if digest in unkept else log.get(digest) for digest in digests]
    if None in facts and (gaps := _gaps.get()) is not None:
        gaps.append(what)
    return facts


def log_of(kind: str, place: str) -> Path:
    """Return the file in which the facts of a kind and place are kept."""
    return cache_path("facts") / f"{kind}-{text_hash(place)[:12]}.log"


@contextmanager
def _lock(path: Path, what: str) -> Iterator[bool]:
    """Hold the lock of a log; yield False without it if the cache can't be written, or somebody samples."""
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if _pending.get() is not None:
                yield False
                return
            report(f"waiting for another process: {what}", 0, 0)
            lock.acquire()
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _made(
    missing: dict[bytes, Item], make: Callable[[Item], bytes | None], what: str, threads: int
) -> Iterator[dict[bytes, bytes | None]]:
    """Yield the facts in pieces as they are made, of all that are missing or of a sample."""
    left = _pending.get()
    order = list(missing) if left is None else _sample(list(missing))
    begun, done, size = time.monotonic(), 0, 0
    with pool_of(threads) as pool:
        for begin in range(0, len(order), _AT_ONCE * threads):
            report(what, begin, len(missing))
            some = order[begin : begin + _AT_ONCE * threads]
            facts = dict(zip(some, pool.map(make, map(missing.__getitem__, some)), strict=True))
            yield facts
            done, size = begin + len(some), size + sum(len(fact) for fact in facts.values() if fact)
            if left is not None and time.monotonic() - begun > _SAMPLE_SECONDS:
                break
    report(what, done, len(missing))
    if left is not None and done < len(missing):
        rest, seconds = len(missing) - done, time.monotonic() - begun
        left.append(Pending(what, rest, seconds / done * rest, round(size / done * rest)))


def _sample(order: list[bytes]) -> list[bytes]:
    """Choose evenly spaced items."""
    return order[:: max(1, len(order) // _SAMPLE)][:_SAMPLE]
