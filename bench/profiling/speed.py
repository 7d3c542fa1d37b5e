"""Rates and latencies: warmed up, awaited, medians over blocks."""

import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

from bench.errors import BenchError

SECONDS = 5.0  # of measuring, for each figure
ENOUGH_SECONDS = 1 / 3  # for calls of a millisecond
MAX_CALLS = 100


def seconds_since(start: float) -> float:
    """Wall seconds since a `time.perf_counter`; BenchError when the clock has gone back."""
    seconds = time.perf_counter() - start
    if seconds < 0:
        raise BenchError(f"The machine's clock went back by {-seconds:.3g} s while timing. Run the trial again.")
    return max(seconds, 1e-9)


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    call()
    return seconds_since(start)


def rate_summary(rates: list[float]) -> tuple[float | None, float | None]:
    """Median and interquartile range of the blocks' rates; the first block warms up and is left out."""
    rates = rates[1:] or rates
    if not rates:
        return None, None
    if len(rates) < 2:
        return rates[0], None
    low, _, high = quantiles(rates, n=4, method="inclusive")
    return median(rates), high - low


def paired_ratio(bare: Callable[[], Any], through: Callable[[], Any], *, pairs: int = 5) -> tuple[float, float, float]:
    """Time two ways of doing the same work in turn, so that the machine's drift falls on both.

    Returns:
        Median seconds of `bare`, of `through`, and the median of bare / through pair by pair.
    """
    times = []
    for i in range(pairs):
        if i % 2:
            after, before = seconds_of(through), seconds_of(bare)
        else:
            before, after = seconds_of(bare), seconds_of(through)
        times.append((before, after))
    return median(b for b, _ in times), median(t for _, t in times), median(b / t for b, t in times)


def latency(call: Callable[[], Any], *, warm_up: int = 3) -> dict[str, float]:
    """Milliseconds of an awaited call: p50, p95 and p99 of up to 100 calls or 5 seconds, at least 10."""
    for _ in range(warm_up):
        call()
    times: list[float] = []
    while len(times) < 10 or (len(times) < MAX_CALLS and sum(times) < SECONDS):
        times.append(seconds_of(call))
    cuts = quantiles(times, n=100, method="inclusive")
    return {"calls": len(times), **{f"latency_ms_p{p}": 1000 * cuts[p - 1] for p in (50, 95, 99)}}


def rate(call: Callable[[], Any], images: int, *, warm_up: int = 1) -> float:
    """Median images/s of an awaited call that handles `images` images, after a warm-up.

    At least 20 calls and a third of a second, but no more than 5 seconds, and at least 3 calls.
    """
    for _ in range(warm_up):
        call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < SECONDS and (len(times) < 20 or sum(times) < ENOUGH_SECONDS)):
        times.append(seconds_of(call))
    return images / median(times)
