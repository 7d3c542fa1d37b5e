"""Lead the lives of trials in as many slots as there are: a slot takes the next trial when its own has ended.

Where there are several slots, the next trial begins while the record of the former is brought to the disk: trials that
end together would otherwise wait for each other's.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from bench.core.errors import BenchError
from bench.trials.scheduling.waiting import FREE, Waiting

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
        self._at_once = len(self._free)
        self._lives: dict[int, Waiting[Value]] = {}  # by the trial's place in the order
        self._slots: dict[int, Slot] = {}  # of those lives that still need theirs
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
                self._advance_all(coming)
        except BaseException as error:
            self._interrupt("" if isinstance(error, KeyboardInterrupt) else OTHER_ENDED)
            raise
        return [self._ended[number] for number in sorted(self._ended)]

    def _begin(self, coming: Iterator[tuple[int, Trial]]) -> None:
        """Begin lives until no slot is free, no trial is left or too many lives are still brought to their ends."""
        while self._free and len(self._lives) < 2 * self._at_once and (following := next(coming, None)):
            number, trial = following
            self._slots[number] = self._free.pop(0)
            self._lives[number] = self._lead(trial, self._slots[number])
            self._advance(number)

    def _advance_all(self, coming: Iterator[tuple[int, Trial]]) -> None:
        """Advance all lives; no slot stays free while those that need none are brought to their ends."""
        self._fill(coming)
        for number in [number for number in self._lives if number not in self._slots]:
            self._advance(number)
            self._fill(coming)

    def _fill(self, coming: Iterator[tuple[int, Trial]]) -> None:
        """Advance the lives that have a slot, and begin others in the slots that become free."""
        for number in list(self._slots):
            self._advance(number)
        self._begin(coming)

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
        else:
            self._lives[number] = life
        if free and number in self._slots:
            self._free.append(self._slots.pop(number))

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
