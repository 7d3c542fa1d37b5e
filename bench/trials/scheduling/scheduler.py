"""Lead the lives of trials in as many slots as there are: a slot takes the next trial when its own has ended.

Where there are several slots, the next trial begins while the record of the former is brought to the disk: trials that
end together would otherwise wait for each other's.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from bench.core.errors import BenchError
from bench.trials.scheduling.waiting import FREE, SlotLost, Waiting

ROUND_SECONDS = 0.05  # between two looks at all lives; the end of a trial is seen after half of it, on average
STALL_SECONDS = 60.0  # without a slot and without the hope of one, before a run ends
OTHER_ENDED = "Ended because the run could not go on"
Trial = TypeVar("Trial")
Slot = TypeVar("Slot")
Value = TypeVar("Value")


class Pool(Protocol[Slot]):
    """A source of slots that come and go."""

    def more(self) -> list[Slot]:
        """Return the slots that have become ready since the last call."""

    def lost(self, slot: Slot, status: str, reason: str) -> None:
        """Take back a slot in which a trial was LOST or REFUSED; it may become ready again."""

    def expects(self) -> bool:
        """Tell whether slots may become ready soon."""

    def why_none(self) -> str:
        """Say what has become of the slots."""


class Scheduler(Generic[Trial, Slot, Value]):
    """A scheduler of one life a slot, all led by the calling thread.

    Args:
        slots: where trials run, such as an executor for each GPU.
        lead: makes the life of a trial in a slot.
        pool: of further slots, and those that were lost.
        fits: tells whether a trial may run in a slot.
    """

    def __init__(
        self,
        slots: Iterable[Slot],
        lead: Callable[[Trial, Slot], Waiting[Value]],
        *,
        pool: Pool[Slot] | None = None,
        fits: Callable[[Trial, Slot], bool] = lambda trial, slot: True,
    ):
        self._free, self._lead, self._pool, self._fits = list(slots), lead, pool, fits
        self._trials: Sequence[Trial] = ()  # a trial is known by its place in the order
        self._waiting: list[int] = []
        self._lives: dict[int, Waiting[Value]] = {}
        self._slots: dict[int, Slot] = {}  # of those lives that still need theirs
        self._ended: dict[int, Value] = {}
        self._hopeless: float | None = None  # since when nothing has run and no slot was expected

    def run(self, trials: Sequence[Trial]) -> list[Value]:
        """Lead all lives to their ends, begun in the given order; return what they returned, in that order.

        If one raises an error or the thread is interrupted, the others are interrupted before the error is raised.
        """
        self._trials, self._waiting = trials, list(range(len(trials)))
        try:
            self._begin()
            while self._lives or self._waiting:
                time.sleep(ROUND_SECONDS)
                self._advance_all()
        except BaseException as error:
            self._interrupt("" if isinstance(error, KeyboardInterrupt) else OTHER_ENDED)
            raise
        return [self._ended[number] for number in sorted(self._ended)]

    @property
    def _at_once(self) -> int:
        return len(self._free) + len(self._slots)

    def _begin(self) -> None:
        """Begin lives until no free slot fits a trial that is left, or too many are still brought to their ends."""
        if self._pool and self._waiting:
            self._free += self._pool.more()
        while len(self._lives) < 2 * self._at_once and (found := self._next()):
            number, slot = found
            self._waiting.remove(number)
            self._free.remove(slot)
            self._slots[number] = slot
            self._lives[number] = self._lead(self._trials[number], slot)
            self._advance(number)
        self._check_hope()

    def _next(self) -> tuple[int, Slot] | None:
        """Find the first trial that fits a free slot, and that slot."""
        if not self._free:
            return None
        pairs = ((number, slot) for number in self._waiting for slot in self._free)
        return next((pair for pair in pairs if self._fits(self._trials[pair[0]], pair[1])), None)

    def _check_hope(self) -> None:
        """Raise BenchError if trials have been waiting for long, but nothing runs and no slot is expected."""
        if self._lives or not self._waiting or not self._pool or self._pool.expects():
            self._hopeless = None
            return
        self._hopeless = self._hopeless or time.monotonic()
        if time.monotonic() - self._hopeless > STALL_SECONDS:
            raise BenchError(
                f"{len(self._waiting)} trials are left, and for {STALL_SECONDS:g} s no worker was there that may run "
                f"them ({self._pool.why_none()}). Finished trials stay; the same command goes on."
            )

    def _advance_all(self) -> None:
        """Advance all lives; no slot stays free while those that need none are brought to their ends."""
        self._fill()
        for number in [number for number in self._lives if number not in self._slots]:
            self._advance(number)
            self._fill()

    def _fill(self) -> None:
        """Advance the lives that have a slot, and begin others in the slots that become free."""
        for number in list(self._slots):
            self._advance(number)
        self._begin()

    def _advance(self, number: int) -> None:
        """Lead a life to where it waits next; free its slot if it has ended or needs none any more."""
        life = self._lives.pop(number)  # gone, should it raise an error
        try:
            free = next(life) is FREE
            if free and self._at_once == 1:
                free = next(life) is FREE
        except StopIteration as end:
            self._ended[number] = end.value
            free = True
        except SlotLost as loss:
            self._give_back(number, loss)
            return
        else:
            self._lives[number] = life
        if free and number in self._slots:
            self._free.append(self._slots.pop(number))

    def _give_back(self, number: int, loss: SlotLost) -> None:
        """Let a trial whose slot was lost be the next to run."""
        if not self._pool:
            raise loss
        self._pool.lost(self._slots.pop(number), loss.status, str(loss))
        self._waiting.insert(0, number)

    def _interrupt(self, reason: str) -> None:
        """Throw KeyboardInterrupt into all lives, then lead them to their ends; what they raise then is known."""
        interrupted = list(self._lives)
        for number in interrupted:
            with suppress(KeyboardInterrupt, BenchError, OSError):
                life = self._lives.pop(number)
                life.throw(KeyboardInterrupt(reason))
                self._lives[number] = life
        while self._lives:
            for number in list(self._lives):
                with suppress(KeyboardInterrupt, BenchError, OSError):
                    self._advance(number)
            time.sleep(ROUND_SECONDS)
