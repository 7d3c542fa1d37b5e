"""Find pairs of hashes that differ in a few bits among millions, without comparing each with each.

Two hashes of 64 bits are compared if they agree, but for one bit at most, in one of three sets of every third bit. That
finds all pairs that differ by 5 bits or less (one of three sets then differs by one bit at most) and most others: of
made pairs of cells that correlate above 0.8 (0.9) and differ by at most 10 bits, 93 % (96 %), and it compares one in
15,000 of the pairs of satellite cells.
"""

from collections.abc import Iterator

import numpy as np

from bench.data.facts.long_steps import report

_SETS = [sum(1 << bit for bit in range(start, 64, 3)) for start in range(3)]
_BLOCK = 2**20  # pairs compared at once
_ONES = np.array([bin(number).count("1") for number in range(2**16)], np.uint8)


def near_pairs(hashes: np.ndarray, most: int, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of positions, each once, whose hashes, uint64 (N,), differ by at most `most` bits.

    Args:
        what: the step, for the progress.
    """
    for number, bits in enumerate(_SETS):
        for step, (one, other) in enumerate(_agreeing(hashes, bits)):
            if not step % 64:
                report(what, number, len(_SETS))
            different = hashes[one] ^ hashes[other]
            near = count_ones(different) <= most
            for earlier in _SETS[:number]:  # which has found the pair
                near &= count_ones(different & np.uint64(earlier)) > 1
            yield one[near], other[near]


def count_ones(numbers: np.ndarray) -> np.ndarray:
    """Count the bits that are set in each number, uint64 (N,)."""
    return _ONES[np.ascontiguousarray(numbers).view(np.uint16)].reshape(-1, 4).sum(axis=1)


def _agreeing(hashes: np.ndarray, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the pairs that agree in a set of bits but for one at most, in blocks."""
    masked = hashes & np.uint64(bits)
    order = np.argsort(masked, kind="stable")
    values, begin, size = np.unique(masked[order], return_index=True, return_counts=True)
    for flip in [0, *(1 << bit for bit in range(64) if bits >> bit & 1)]:
        wanted = values | np.uint64(flip)  # a value without this bit looks for the one with it
        found = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
        ours = np.flatnonzero((values[found] == wanted) & ((values != wanted) | (flip == 0)))
        for one, other in _products(begin, size, ours, found[ours]):
            kept = slice(None) if flip else one < other
            yield order[one[kept]], order[other[kept]]


def _products(
    begin: np.ndarray, size: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each position of a run of ours with each of the run of theirs; runs have a begin and a size."""
    rows = np.repeat(begin[ours], size[ours]) + _counted(size[ours])  # a position of ours
    starts, counts = np.repeat(begin[theirs], size[ours]), np.repeat(size[theirs], size[ours])
    ends = np.cumsum(counts)
    for first in range(0, int(ends[-1]) if len(ends) else 0, _BLOCK):
        pair = np.arange(first, min(first + _BLOCK, int(ends[-1])))
        row = np.searchsorted(ends, pair, side="right")
        yield rows[row], starts[row] + pair - (ends[row] - counts[row])


def _counted(sizes: np.ndarray) -> np.ndarray:
    """Count 0, 1, ... anew in each run."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
