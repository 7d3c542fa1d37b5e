"""Find tiles that show the same place, by a perceptual hash of every cell of the grid along which they were cut.

Airbus cut its scenes into tiles of 768 pixels at steps of 256, so neighbours share whole cells of 256 x 256 pixels:
rows, columns or a corner. Each cell's hash (`imagehash.phash`, 64 bits, of the cell at an eighth of its size, which
JPEG decodes directly) is looked up among the hashes of all tiles. Hashing all 192,556 tiles takes about five minutes on
one core; it is done once, since the hashes are cached.

What it finds, measured on an excerpt of 120 tiles: the one pair that truly overlaps, in all of its 6 shared cells (they
are bit-identical, since cells lie on JPEG's own blocks), and no false match among 583,000 pairs of cells. In simulated
pairs that share 6 cells, with one tile recompressed, all 120 pairs were found at JPEG quality 75 to 95 and 80 % at
quality 60; for single cells it was 90 to 96 % and 38 %. What it does not find: the same place at another time, in other
light or at another resolution, tiles shifted by anything but whole cells, and overlaps in flat cells only (no data,
clouds without texture), which are left out because they look the same everywhere.
"""

import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import imagehash
import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bench.core.files import cache_path, text_hash, write_atomically

GRID = 3  # cells along each side of a tile
MOST_TILES = 9  # tiles that can contain one cell of a scene; a hash in more of them is a pattern, not a place
_CELL = 32  # side of a shrunk cell, in pixels
_FLAT = 0.5  # a shrunk cell with a smaller standard deviation of its grey values shows nothing
_NONE = 0  # hash of a cell that is flat, or of a tile that can't be read
_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile, zlib.error, struct.error)
"""The errors of NumPy and zipfile for a file that isn't there, is cut short or is something else."""
_VERSION = "tiles-1"  # changed whenever the hashes change


def overlapping(paths: Sequence[Path]) -> list[str]:
    """Return each tile's group: tiles that overlap, directly or in a chain, share one, named by its first tile name."""
    names = [path.name for path in paths]
    labels = _components(_hashes(paths))
    first: dict[int, str] = {}
    for label, name in zip(labels, names, strict=True):
        first[label] = min(name, first.get(label, name))
    return [first[label] for label in labels]


def _components(hashes: np.ndarray) -> list[int]:
    """Number the connected components of tiles that share hashes (N, cells)."""
    count = len(hashes)
    cells, tiles = hashes.ravel(), np.repeat(np.arange(count), hashes.shape[1])
    order = np.lexsort((tiles, cells))
    cells, tiles = cells[order], tiles[order]
    again = np.append(False, (cells[1:] == cells[:-1]) & (tiles[1:] == tiles[:-1]))  # the same hash twice in one tile
    kept = (cells != _NONE) & ~again
    cells, tiles = cells[kept], tiles[kept]
    _, begin, size = np.unique(cells, return_index=True, return_counts=True)
    shared = np.repeat((size > 1) & (size <= MOST_TILES), size)
    first, other = np.repeat(tiles[begin], size)[shared], tiles[shared]  # each joins the first tile with its hash
    graph = coo_array((np.ones(len(first), bool), (first, other)), shape=(count, count))
    return connected_components(graph, directed=False)[1].tolist()


def _hashes(paths: Sequence[Path]) -> np.ndarray:
    """Hash the cells of all tiles, uint64 (N, 9); a file's hashes are cached until its size or time changes."""
    stamps = [_stamp(path) for path in paths]
    folder = text_hash(f"{_VERSION} {paths[0].parent if paths else ''}")[:12]
    file = cache_path("tiles") / f"{folder}.npz"
    known = _load(file)
    missing = [i for i, stamp in enumerate(stamps) if stamp not in known]
    if missing:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the GIL
            made = pool.map(tile_hashes, (paths[i] for i in missing))
            known.update(zip((stamps[i] for i in missing), made, strict=True))
        _save(file, known)
    return np.array([known[stamp] for stamp in stamps], np.uint64).reshape(len(paths), GRID * GRID)


def tile_hashes(path: Path) -> np.ndarray:
    """Hash a tile's cells, row by row, uint64 (9,); 0 for flat cells, and for every cell of an unreadable file."""
    try:
        with Image.open(path) as picture:
            picture.draft("L", (GRID * _CELL, GRID * _CELL))  # JPEG decodes an eighth of the size five times as fast
            small = picture.convert("L").resize((GRID * _CELL, GRID * _CELL), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # reported when it is read for a pack
        return np.full(GRID * GRID, _NONE, np.uint64)
    steps = range(0, GRID * _CELL, _CELL)
    return np.array([_cell_hash(small.crop((x, y, x + _CELL, y + _CELL))) for y in steps for x in steps], np.uint64)


def _cell_hash(cell: Image.Image) -> int:
    return _NONE if np.asarray(cell).std() < _FLAT else int(str(imagehash.phash(cell)), 16)


def _stamp(path: Path) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return f"{path.name} missing"
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _load(file: Path) -> dict[str, np.ndarray]:
    try:
        with file.open("rb") as opened, np.load(opened) as kept:
            hashes = kept["hashes"].astype(np.uint64, casting="no").reshape(-1, GRID * GRID)
            return dict(zip(kept["stamps"].tolist(), hashes, strict=True))
    except _DAMAGED:  # none yet, or left by a process that died
        return {}


def _save(file: Path, known: dict[str, np.ndarray]) -> None:
    with suppress(OSError):  # a read-only cache: the tiles are hashed again next time
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file) as part:
            np.savez(part, stamps=np.array(list(known)), hashes=np.array(list(known.values()), np.uint64))
