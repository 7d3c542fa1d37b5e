"""Find tiles that show the same place, by the cells of the grid along which they were cut.

Airbus cut its scenes into tiles of 768 pixels at steps of 256, so neighbours share whole cells of 256 x 256 pixels:
rows, columns or a corner. A cell is looked at in grey at an eighth of its size, which JPEG decodes directly. Two tiles
show the same place, at one date or at two, if cells whose perceptual hashes (`imagehash.phash`, 64 bits) differ by at
most NEAR bits are CERTAIN to be alike, or LIKELY to be and two or more that are shifted alike. Alike are cells whose
grey values correlate, and the slopes between neighbours too: the values of any two straight coasts, or slopes of haze,
correlate, and their slopes only where the ground is the same.

Measured on an excerpt of 120 tiles, where one pair truly overlaps, which is found and no other; on copies of these
tiles, shifted by whole cells, with other tiles' pixels in the place of cells that aren't shared; and on 591 million
pairs of cells of different tiles, cut at all steps of 32 pixels:

    tiles of 120 that are found, by shared cells    9    6    3    1    in brackets: by grey values alone
    same date, JPEG at quality 88                 120  120  120  120
    another date: gain, haze and noise            105   98   85   68    (106, 99, 87, 70)
    and shifted by up to 2 pixels besides          98   88   64   29    (98, 89, 67, 45)

    pairs of cells of different places that have a near hash and correlate above 0.8: 503, of which 12 % have slopes
    that correlate above 0.5; above 0.9: 14, and none with slopes above 0.85 (of cells at another date 96 % have)

All tiles have 2,500 times as many pairs. Of 192,556 made tiles with the spectra of the excerpt's, as many coasts and
slopes as give its rate of false pairs, and scenes of 2 to 40 tiles at two dates, grey values alone make 9,384 false
joins and one group of 3,775 tiles. With slopes there are 114 false joins, no group is larger than 38, and 98 % of the
true joins are left. It takes 18 s of a core and 5.2 GiB.

What is not found: low contrast (a standard deviation below 4 grey levels) at another date, tiles shifted by anything
but whole cells, another resolution, and overlaps in flat cells only (no data, clouds without texture).

Looking at a tile takes 1.2 ms of a core. The facts of all 192,556 tiles are 1.8 GB in the cache. They are grouped once.
"""

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn

from bench.core.files import answer_path, recall, remember
from bench.data.facts.file_facts import look_up, only_sampled
from bench.data.reading.contents import content, stamps_for, threads_for
from bench.data.remote.failures import Unreachable
from bench.datasets.places import CELLS, GRID, NO_HASH, SIDE, Cells

_LOW = 8  # frequencies along each side of the hash
_FLAT = 0.5  # a shrunk cell with a smaller standard deviation of its grey values shows nothing
_FACTS, _GROUPS = "tiles-3", "places-2"  # changed whenever the facts, or the groups made of them, change
_NOTHING = bytes(CELLS * (8 + SIDE * SIDE))  # the fact of a tile whose cells are all flat


def overlapping(paths: Sequence[Path]) -> list[str]:
    """Return each tile's group: tiles that show one place, directly or in a chain, share one, named by its first tile.

    The groups are cached until a file changes, unless the system couldn't read one. While only a sample
    of the files is looked at (`sampling`), and the groups aren't known, each tile is a group.
    """
    names = [path.name for path in paths]
    first_path = paths[0] if paths else None
    stamp = stamps_for(first_path)
    stamps = [f"{path.name} {' '.join(map(str, stamp(path)))}" for path in paths]
    folder = str(paths[0].parent) if paths else ""
    answer = answer_path("places", "\n".join([_FACTS, _GROUPS, folder, *stamps]))
    labels = recall(answer)
    if labels is None:
        facts = look_up(_FACTS, folder, paths, stamps, tile_fact, "comparing tiles", threads_for(first_path))
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
    cells = small.reshape(GRID, SIDE, GRID, SIDE).swapaxes(1, 2).reshape(CELLS, SIDE, SIDE)
    return cell_hashes(cells).tobytes() + cells.tobytes()


def cell_hashes(cells: np.ndarray) -> np.ndarray:
    """Hash shrunk cells, (N, 32, 32), as `imagehash.phash` does: uint64 (N,), and 0 for flat ones."""
    low = dctn(cells.astype(float), axes=(1, 2))[:, :_LOW, :_LOW].reshape(len(cells), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    hashes = np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
    return np.where(cells.std(axis=(1, 2)) < _FLAT, np.uint64(NO_HASH), hashes)
