"""Group tiles that show the same place, by cells that look alike; `tiles.py` says what is found and what isn't."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.data.facts.file_facts import Fact
from bench.datasets.look_alikes import near_pairs

GRID = 3  # cells along each side of a tile
SIDE = 32  # of a shrunk cell, in pixels
CELLS = GRID * GRID  # of a tile
NO_HASH = 0  # that of a cell that is flat
NEAR = 10  # bits of 64 in which hashes may differ
CERTAIN, LIKELY = (0.9, 0.85), (0.8, 0.5)  # correlations of grey values and of slopes: of one cell, and of two
MOST_TILES = 9  # tiles that can contain one cell of a scene; a hash in more of them is a pattern, not a place
MOST_DATES = 2  # times so many tiles may have cells like one; one with more is a pattern
_BLOCK = 2**13  # pairs of cells that are correlated at once


@dataclass(frozen=True)
class Cells:
    """The cells of all tiles that may tell a place: neither flat nor a pattern."""

    count: int  # of tiles
    tiles: np.ndarray  # the number of each cell's tile, int64 (M,)
    spots: np.ndarray  # and its row and column there, int64 (M, 2)
    hashes: np.ndarray  # uint64 (M,)
    pixels: np.ndarray  # grey values, uint8 (M, 1024)

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> "Cells":
        """Take the cells from the facts of the tiles."""
        hashes = np.array([np.frombuffer(fact, np.uint64, CELLS) for fact in facts], np.uint64).reshape(-1)
        tiles, numbers = np.divmod(np.arange(len(hashes)), CELLS)
        kept = np.flatnonzero((hashes != NO_HASH) & (_tiles_with(hashes, tiles) <= MOST_TILES))
        tiles, numbers = tiles[kept], numbers[kept]
        pixels = np.empty((len(kept), SIDE * SIDE), np.uint8)
        for row, (tile, number) in enumerate(zip(tiles.tolist(), numbers.tolist(), strict=True)):
            pixels[row] = np.frombuffer(facts[tile], np.uint8, SIDE * SIDE, 8 * CELLS + number * SIDE * SIDE)
        return cls(len(facts), tiles, np.stack(np.divmod(numbers, GRID), axis=1), hashes[kept], pixels)

    def places(self) -> list[int]:
        """Number the connected components of tiles that show the same place."""
        edges = self._joins()
        graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(self.count, self.count))
        return connected_components(graph, directed=False)[1].tolist()

    def _joins(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of tiles that show the same place, some more than once."""
        one, other, alike = (np.concatenate(parts) for parts in zip(*self._alike(), strict=True))
        slopes = self._slopes(one, other)
        kept = (self._crowd(one, other) <= MOST_DATES * MOST_TILES) & (slopes > LIKELY[1])
        one, other, certain = one[kept], other[kept], ((alike > CERTAIN[0]) & (slopes > CERTAIN[1]))[kept]
        tiles = self.tiles[one], self.tiles[other]
        down, right = (self.spots[one] - self.spots[other] + GRID).T
        shifts = ((tiles[0] * self.count + tiles[1]) * 2 * GRID + down) * 2 * GRID + right
        _, which, cells = np.unique(shifts, return_inverse=True, return_counts=True)
        joined = certain | (cells[which] > 1)
        return tiles[0][joined], tiles[1][joined]

    def _alike(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield pairs of cells, that of the lower tile first, whose hashes are near and grey values LIKELY.

        Their correlation comes third. The first is empty, so that there is one.
        """
        yield np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        for one, other in near_pairs(self.hashes, NEAR, "grouping tiles"):
            apart = self.tiles[one] != self.tiles[other]
            one, other = np.sort([one[apart], other[apart]], axis=0)  # the cells are in the order of their tiles
            alike = self._correlations(one, other)
            kept = alike > LIKELY[0]
            yield one[kept], other[kept], alike[kept]

    def _correlations(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Correlate the grey values of pairs of cells, float32 (N,)."""
        means, spreads = self.moments
        found = np.empty(len(one), np.float32)
        for begin in range(0, len(one), _BLOCK):
            ours, theirs = one[begin : begin + _BLOCK], other[begin : begin + _BLOCK]
            centred = self.pixels[ours] - means[ours, None]
            products = np.einsum("ij,ij->i", centred, self.pixels[theirs].astype(np.float32))
            found[begin : begin + _BLOCK] = products / (SIDE**2 * spreads[ours] * spreads[theirs])
        return found

    def _slopes(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Correlate the slopes down and to the right of pairs of cells, float32 (N,)."""
        found = np.zeros(len(one), np.float32)
        for begin in range(0, len(one), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            left, right = _slopes_of(self.pixels[one[block]]), _slopes_of(self.pixels[other[block]])
            product, *squares = (np.einsum("ij,ij->i", a, b) for a, b in ((left, right), (left, left), (right, right)))
            found[block] = product / np.sqrt(np.maximum(squares[0] * squares[1], 1e-9))
        return found

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation of each cell, float32 (M,)."""
        blocks = [self.pixels[begin : begin + _BLOCK] for begin in range(0, len(self.pixels), _BLOCK)] or [self.pixels]
        means, spreads = (np.concatenate([of(block, axis=1) for block in blocks]) for of in (np.mean, np.std))
        return means.astype(np.float32), spreads.astype(np.float32)

    def _crowd(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Count for each pair of cells the tiles that have cells like one of them: of the two, the more crowded."""
        cells, tiles = np.append(one, other), self.tiles[np.append(other, one)]
        again = np.unique(cells * self.count + tiles) // self.count
        crowds = np.bincount(again, minlength=len(self.tiles))
        return np.maximum(crowds[one], crowds[other])


def _slopes_of(pixels: np.ndarray) -> np.ndarray:
    """Take the differences of neighbours in cells, uint8 (N, 1024), each way without their mean: float32 (N, 1984)."""
    cells = pixels.reshape(-1, SIDE, SIDE).astype(np.float32)
    ways = [np.diff(cells, axis=axis).reshape(len(cells), -1) for axis in (1, 2)]
    return np.concatenate([way - way.mean(axis=1, keepdims=True) for way in ways], axis=1)


def _tiles_with(hashes: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Count for each cell the tiles that have its hash."""
    order = np.lexsort((tiles, hashes))
    hashes, tiles = hashes[order], tiles[order]
    new = np.append(True, (hashes[1:] != hashes[:-1]) | (tiles[1:] != tiles[:-1]))  # not again in one tile
    _, begin, size = np.unique(hashes, return_index=True, return_counts=True)
    counts = np.empty(len(order), np.int64)
    counts[order] = np.repeat(np.add.reduceat(new.astype(np.int64), begin), size)
    return counts
