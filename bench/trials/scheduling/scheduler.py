"""Lead the lives of trials in as many slots as there are: a slot takes the next trial when its own has ended."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from bench.core.errors import BenchError
from bench.trials.scheduling.waiting import Waiting

ROUND_SECONDS = 0.05  # between two looks at all lives; the end of a trial is seen after half of it, on average
OTHER_ENDED = "Ended because the run could not go on"
Trial = TypeVar("Trial")
Slot = TypeVar("Slot")
Value = TypeVar("Value")


class Scheduler(Generic[Trial, Slot, Value]):
    """A scheduler of one life a slot, all led by the calling thread.

    Args:
        slots: where trials run, such as an executor for each GPU.
        lead: makes the life of a trial in a slot.
    """

    def __init__(self, slots: Iterable[Slot], lead: Callable[[Trial, Slot], Waiting[Value]]):
        self._free, self._lead = list(slots), lead
        self._lives: dict[int, tuple[Waiting[Value], Slot]] = {}  # by the trial's place in the order
        self._ended: dict[int, Value] = {}

    def run(self, trials: Sequence[Trial]) -> list[Value]:
        """Lead all lives to their ends, begun in the given order; return what they returned, in that order.

        If one raises an error or the thread is interrupted, the others are interrupted before the error is raised.
        """
        coming = iter(enumerate(trials))
        try:
            self._begin(coming)
            while self._lives:
                time.sleep(ROUND_SECONDS)
                self._advance_all()
                self._begin(coming)
        except BaseException as error:
            self._interrupt("" if isinstance(error, KeyboardInterrupt) else OTHER_ENDED)
            raise
        return [self._ended[number] for number in sorted(self._ended)]

    def _begin(self, coming: Iterator[tuple[int, Trial]]) -> None:
        """Begin lives until no slot is free or no trial is left."""
        while self._free and (following := next(coming, None)):
            number, trial = following
            slot = self._free.pop(0)
            self._lives[number] = self._lead(trial, slot), slot
            self._advance(number)

    def _advance_all(self) -> None:
        for number in list(self._lives):
            self._advance(number)

    def _advance(self, number: int) -> None:
        """Lead a life to where it waits next; if it has ended, free its slot."""
        life, slot = self._lives.pop(number)  # gone, should it raise an error
        try:
            next(life)
        except StopIteration as end:
            self._ended[number] = end.value
            self._free.append(slot)
        else:
            self._lives[number] = life, slot

    def _interrupt(self, reason: str) -> None:
        """Throw KeyboardInterrupt into all lives, then lead them to their ends; what they raise then is known."""
        interrupted = list(self._lives)
        for number in interrupted:
            with suppress(KeyboardInterrupt, BenchError, OSError):
                life, slot = self._lives.pop(number)
                life.throw(KeyboardInterrupt(reason))
                self._lives[number] = life, slot
        while self._lives:
            for number in list(self._lives):
                with suppress(KeyboardInterrupt, BenchError, OSError):
                    self._advance(number)
            time.sleep(ROUND_SECONDS)
