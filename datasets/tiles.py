"""Find tiles that show the same place, by the cells of the grid along which they were cut.

Airbus cut its scenes into tiles of 768 pixels at steps of 256, so neighbours share whole cells of 256 x 256 pixels:
rows, columns or a corner. A cell is looked at in grey at an eighth of its size, which JPEG decodes directly. Two tiles
show the same place, at one date or at two, if cells whose perceptual hashes (`imagehash.phash`, 64 bits) differ by at
most NEAR bits correlate above CERTAIN in one cell, or above LIKELY in two or more that are shifted alike.

Measured on an excerpt of 120 tiles, where one pair truly overlaps, which is found and no other; on copies of these
tiles, shifted by whole cells, with other tiles' pixels in the place of cells that aren't shared; and on 601 million
pairs of cells of different tiles, cut at all steps of 32 pixels:

    tiles of 120 that are found, by shared cells    9    6    3    1    in brackets: by equal hashes alone
    same date, JPEG at quality 88                 120  120  120  120
    another date: gain, haze and noise            117  113  103   89    (85, 75, 57, 36)
    and shifted by up to 2 pixels besides         105   98   80   57    (52, 35, 18, 10)

    pairs of cells of different places that have an equal hash: 316, and 20,989 within 10 bits; of these 517 correlate
    above 0.8, 14 above 0.9, and one pair of tiles has two that are shifted alike

So false pairs are rare and there are some: tiles with a straight coast, mostly, or a slope of haze. What is not found:
low contrast (a standard deviation below 4 grey levels) at another date, tiles shifted by anything but whole cells,
another resolution, and overlaps in flat cells only (no data, clouds without texture).

Looking at a tile takes 1.2 ms of a core; the look-up among 2,614 tiles takes 0.3 s, among 20,000 two. The facts of all
192,556 tiles are 1.8 GB in the cache, and as much of memory while they are grouped, which is done once.
"""

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.core.files import answer_path, file_stamp, recall, remember
from bench.data.facts.file_facts import Fact, look_up, only_sampled
from bench.data.reading.contents import content, threads_for
from bench.data.remote.failures import Unreachable
from bench.datasets.look_alikes import near_pairs

GRID = 3  # cells along each side of a tile
SIDE = 32  # of a shrunk cell, in pixels
NEAR, CERTAIN, LIKELY = 10, 0.9, 0.8  # bits of 64; correlation of one cell, and of two
MOST_TILES = 9  # tiles that can contain one cell of a scene; a hash in more of them is a pattern, not a place
MOST_DATES = 2  # times so many tiles may have cells like one; one with more is a pattern
_CELLS, _LOW = GRID * GRID, 8  # cells of a tile; frequencies along each side of the hash
_FLAT = 0.5  # a shrunk cell with a smaller standard deviation of its grey values shows nothing
_NONE = 0  # hash of a cell that is flat
_FACTS, _GROUPS = "tiles-2", "places-1"  # changed whenever the facts, or the groups made of them, change
_NOTHING = bytes(_CELLS * (8 + SIDE * SIDE))  # the fact of a tile whose cells are all flat
_BLOCK = 2**13  # pairs of cells that are correlated at once


def overlapping(paths: Sequence[Path]) -> list[str]:
    """Return each tile's group: tiles that show one place, directly or in a chain, share one, named by its first tile.

    The groups are cached until a file's size or time changes, unless the system couldn't read one. While only a sample
    of the files is looked at (`sampling`), and the groups aren't known, each tile is a group.
    """
    names = [path.name for path in paths]
    stamps = [f"{path.name} {' '.join(map(str, file_stamp(path)))}" for path in paths]
    folder = str(paths[0].parent) if paths else ""
    answer = answer_path("places", "\n".join([_FACTS, _GROUPS, folder, *stamps]))
    labels = recall(answer)
    if labels is None:
        facts = look_up(
            _FACTS, folder, paths, stamps, tile_fact, "comparing tiles", threads_for(paths[0] if paths else None)
        )
        if only_sampled():
            return names
        labels = Cells.of([_NOTHING if fact is None else fact for fact in facts]).places()
        if None not in facts:
            remember(answer, labels)
    first: dict[int, str] = {}
    for label, name in zip(labels, names, strict=True):
        first[label] = min(name, first.get(label, name))
    return [first[label] for label in labels]


def tile_fact(path: Path) -> bytes | None:
    """Return the hashes, uint64 (9,), and the grey values, uint8 (9, 32, 32), of a tile's cells, row by row.

    A flat cell has the hash 0, and so has every cell of a tile that is missing or damaged. Return None for one that the
    system can't read now.
    """
    try:
        with content(path) as file, Image.open(file) as picture:
            picture.draft("L", (GRID * SIDE, GRID * SIDE))  # JPEG decodes an eighth of the size five times as fast
            small = np.asarray(picture.convert("L").resize((GRID * SIDE, GRID * SIDE), Image.Resampling.BOX))
    except Unreachable:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # told when it is packed
        known = getattr(error, "errno", None) in (None, errno.ENOENT)  # Pillow's own errors have no number
        return _NOTHING if known else None
    cells = small.reshape(GRID, SIDE, GRID, SIDE).swapaxes(1, 2).reshape(_CELLS, SIDE, SIDE)
    return cell_hashes(cells).tobytes() + cells.tobytes()


def cell_hashes(cells: np.ndarray) -> np.ndarray:
    """Hash shrunk cells, (N, 32, 32), as `imagehash.phash` does: uint64 (N,), and 0 for flat ones."""
    low = dctn(cells.astype(float), axes=(1, 2))[:, :_LOW, :_LOW].reshape(len(cells), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
    return np.where(cells.std(axis=(1, 2)) < _FLAT, np.uint64(_NONE), hashes)


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
        hashes = np.array([np.frombuffer(fact, np.uint64, _CELLS) for fact in facts], np.uint64).reshape(-1)
        tiles, numbers = np.divmod(np.arange(len(hashes)), _CELLS)
        kept = np.flatnonzero((hashes != _NONE) & (_tiles_with(hashes, tiles) <= MOST_TILES))
        tiles, numbers = tiles[kept], numbers[kept]
        pixels = np.empty((len(kept), SIDE * SIDE), np.uint8)
        for row, (tile, number) in enumerate(zip(tiles.tolist(), numbers.tolist(), strict=True)):
            pixels[row] = np.frombuffer(facts[tile], np.uint8, SIDE * SIDE, 8 * _CELLS + number * SIDE * SIDE)
        return cls(len(facts), tiles, np.stack(np.divmod(numbers, GRID), axis=1), hashes[kept], pixels)

    def places(self) -> list[int]:
        """Number the connected components of tiles that show the same place."""
        one, other, alike = (np.concatenate(parts) for parts in zip(*self._alike(), strict=True))
        distinct = self._crowd(one, other) <= MOST_DATES * MOST_TILES
        one, other, alike = one[distinct], other[distinct], alike[distinct]
        tiles = self.tiles[one], self.tiles[other]
        down, right = (self.spots[one] - self.spots[other] + GRID).T
        shifts = ((tiles[0] * self.count + tiles[1]) * 2 * GRID + down) * 2 * GRID + right
        _, which, cells = np.unique(shifts, return_inverse=True, return_counts=True)
        joined = (alike > CERTAIN) | (cells[which] > 1)
        edges = tiles[0][joined], tiles[1][joined]
        graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(self.count, self.count))
        return connected_components(graph, directed=False)[1].tolist()

    def _alike(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield pairs of cells, that of the lower tile first, which are near and correlate above LIKELY; and how much.

        The first is empty, so that there is one.
        """
        yield np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        means, spreads = self._moments()
        for one, other in near_pairs(self.hashes, NEAR, "grouping tiles"):
            apart = self.tiles[one] != self.tiles[other]
            one, other = np.sort([one[apart], other[apart]], axis=0)  # the cells are in the order of their tiles
            for begin in range(0, len(one), _BLOCK):
                ours, theirs = one[begin : begin + _BLOCK], other[begin : begin + _BLOCK]
                centred = self.pixels[ours] - means[ours, None]
                products = np.einsum("ij,ij->i", centred, self.pixels[theirs].astype(np.float32))
                alike = products / (SIDE**2 * spreads[ours] * spreads[theirs])
                kept = alike > LIKELY
                yield ours[kept], theirs[kept], alike[kept]

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
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


def _tiles_with(hashes: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Count for each cell the tiles that have its hash."""
    order = np.lexsort((tiles, hashes))
    hashes, tiles = hashes[order], tiles[order]
    new = np.append(True, (hashes[1:] != hashes[:-1]) | (tiles[1:] != tiles[:-1]))  # not again in one tile
    _, begin, size = np.unique(hashes, return_index=True, return_counts=True)
    counts = np.empty(len(order), np.int64)
    counts[order] = np.repeat(np.add.reduceat(new.astype(np.int64), begin), size)
    return counts
