"""Compare speeds by their samples: a paired test that is not misled by processes that are slow or fast as a whole.

Consecutive timings resemble each other, and whole processes are slow or fast, by their place in memory or their core.
Taken as independent, single calls of equal code differ significantly in every second comparison (docs/gate.md). So the
samples of a trial become a few blocks, each the median of consecutive samples, and the blocks of two trials form pairs.
A difference is significant if two tests say so:

- Wilcoxon's signed-rank test over all pairs of blocks;
- the interval of the median ratio, from a bootstrap that draws pairs of trials, and pairs of blocks within each. It
  has the small-sample correction n / (n - 1) for the n pairs of trials, and uses Student's t.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import wilcoxon

from bench.core.errors import BenchError
from bench.core.trial_config import POOLED
from bench.profiling.clock.timing_table import LATENCY, TRAIN, Samples, read_timings
from bench.results.analysis.bootstrap import LEVEL
from bench.results.analysis.configurations import Configuration
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.quiet import quiet_ratio
from bench.results.quantities import QUANTITIES

REPEATS = 4000  # draws of the bootstrap
BLOCKS = 10  # of a trial's samples of a kind
NOT_RECORDED = "samples not recorded"
KINDS = {"train_images_per_second": TRAIN, "latency_ms_p50": LATENCY}  # quantity: the samples that it summarises
_NO_PAIR = "no seed in common, so the samples are not paired"

_Trial = tuple[float, ...]  # its values of POOLED
Logs = NDArray[np.float64]  # (pairs,): logarithms of the ratios of one pair of processes


@dataclass(frozen=True)
class Shift:
    """The factor by which one side's values differ from the other's."""

    ratio: Interval  # low and high are NaN for one pair of processes, which says nothing about others
    p: float  # of the signed-rank test
    processes: int  # pairs of processes, such as two trials of one seed
    pairs: int  # pairs of blocks, over all of them
    level: float = LEVEL

    @property
    def is_significant(self) -> bool:
        """True if both tests say so; never for one pair of processes."""
        return self.processes > 1 and self.p < 1 - self.level and (self.ratio.low > 1 or self.ratio.high < 1)


def blocked(values: NDArray[np.float64], count: int = BLOCKS) -> NDArray[np.float64]:
    """Return the medians of `count` runs of consecutive samples; the samples themselves if they are fewer."""
    return np.array([np.median(part) for part in np.array_split(values, min(count, len(values)))])


def drawn_medians(logs: Sequence[Logs], seed: int = 0) -> NDArray[np.float64]:
    """Draw pairs of processes and pairs within each: the median of each draw, (REPEATS,)."""
    rng = np.random.default_rng(seed)
    counts = np.array([len(some) for some in logs])
    table = np.zeros((len(logs), counts.max()))
    for row, some in zip(table, logs, strict=True):
        row[: len(some)] = some
    processes = rng.integers(len(logs), size=(REPEATS, len(logs), 1))
    places = rng.random((REPEATS, len(logs), counts.min())) * counts[processes]
    return np.median(table[processes, places.astype(np.intp)], axis=(1, 2))


def signed_rank(logs: Sequence[Logs]) -> float:
    """Return the p-value of Wilcoxon's signed-rank test of all pairs; 1 if no pair differs."""
    values = np.concatenate(logs)
    return float(wilcoxon(values).pvalue) if values.any() else 1.0


def least_p(pairs: int) -> float:
    """Return the smallest p-value that the signed-rank test can give with that many pairs."""
    return 2.0 ** (1 - pairs)


def shift(logs: Sequence[Logs], level: float = LEVEL) -> Shift:
    """Test whether the ratios differ from 1.

    Args:
        logs: for each pair of processes, the logarithms of the ratios of its pairs of blocks.
    """
    mean, count = float(np.median(np.concatenate(logs))), len(logs)
    half = math.nan
    if count > 1:
        spread = float(drawn_medians(logs).std()) * math.sqrt(count / (count - 1))
        half = float(stdtrit(count - 1, (1 + level) / 2)) * spread
    ratio = Interval(*(math.exp(value) for value in (mean, mean - half, mean + half)))
    return Shift(ratio, signed_rank(logs), count, sum(map(len, logs)), level)


def speed_shifts(one: Configuration, other: Configuration) -> dict[str, Shift | str]:
    """Compare the samples of two configurations, by quantity: second / first, or why they can't be compared.

    Trials with equal seed, repeat and fold are paired. Those of a busy machine are left out beside quiet ones; a side
    that has no others widens the intervals.
    """
    shares = one.others_share, other.others_share
    try:
        sides = [_samples_of(member) for member in (one, other)]
    except BenchError as error:
        return dict.fromkeys(KINDS, str(error).removesuffix("."))
    found = {name: _shift_of(name, kind, sides) for name, kind in KINDS.items()}
    return {name: some if isinstance(some, str) else _widened(name, some, shares) for name, some in found.items()}


def _widened(name: str, found: Shift, shares: tuple[float, float]) -> Shift:
    return replace(found, ratio=quiet_ratio(QUANTITIES[name], found.ratio, shares))


def _samples_of(member: Configuration) -> dict[_Trial, dict[str, Samples]]:
    """Read the samples of the trials whose timings count."""
    trials = zip(*(member.timed[name] for name in (*POOLED, "folder")), strict=True)
    return {tuple(known): read_timings(folder) for *known, folder in trials}


def _shift_of(name: str, kind: str, sides: Sequence[dict[_Trial, dict[str, Samples]]]) -> Shift | str:
    values = [{key: some[kind] for key, some in side.items() if kind in some} for side in sides]
    if not all(values):
        return NOT_RECORDED
    if not (shared := sorted(values[0].keys() & values[1].keys())):
        return _NO_PAIR
    return shift([_logs(name, values[0][key], values[1][key]) for key in shared])


def _logs(name: str, one: Samples, other: Samples) -> Logs:
    """Pair the blocks of two trials: the logarithms of second / first."""
    first, second = (np.log(blocked(_values(name, some))) for some in (one, other))
    count = min(len(first), len(second))
    return second[:count] - first[:count]


def _values(name: str, samples: Samples) -> NDArray[np.float64]:
    """Return the quantity's value in each sample; the first block of training is a warm-up and left out."""
    if name == "latency_ms_p50":
        return samples.per_image
    return 1 / (samples.per_image[1:] if len(samples.per_image) > 1 else samples.per_image)
