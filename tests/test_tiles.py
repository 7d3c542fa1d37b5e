"""Tiles of one place at two dates are found by their cells; a hash alone, or a cell that many have, joins none."""

import errno
import io
import itertools
import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from test_airbus import scene

from bench.core.files import VARIABLE
from bench.datasets import places, tiles
from bench.datasets.look_alikes import count_ones, near_pairs
from bench.datasets.places import Cells

STEP = 256  # pixels of a tile's cell


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def another_date(picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """Change gain and offset, add haze that varies over the tile, and noise."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    haze = Image.fromarray(rng.uniform(0, 12, (4, 4)).astype(np.float32)).resize((width, height), Image.BICUBIC)
    noise = rng.normal(0, 5, (height, width))
    changed = 0.75 * picture + 15 + (np.asarray(haze) + noise)[..., None]
    return changed.clip(0, 255).astype(np.uint8)


def jpeg(folder, name, picture):
    Image.fromarray(picture).save(folder / name, quality=85)
    return folder / name


@pytest.mark.parametrize("down, right", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)])
def test_a_place_at_another_date_is_one_group_whatever_cells_are_shared(tmp_path, down, right):
    ground = scene(11)
    first = jpeg(tmp_path, "a.jpg", ground[:768, :768])
    moved = scene(12, 768, 768)
    moved[: 768 - down * STEP, : 768 - right * STEP] = ground[down * STEP : 768, right * STEP : 768]
    second = jpeg(tmp_path, "b.jpg", another_date(moved))
    others = [jpeg(tmp_path, f"c{seed}.jpg", another_date(scene(seed, 768, 768), seed)) for seed in (20, 21, 22)]
    assert tiles.overlapping([first, second, *others]) == ["a.jpg", "a.jpg", "c20.jpg", "c21.jpg", "c22.jpg"]


def test_a_tile_that_the_system_could_not_read_is_looked_at_again(tmp_path, monkeypatch):
    ground, opened = scene(11), tiles.content
    paths = [jpeg(tmp_path, "a.jpg", ground[:768, :768]), jpeg(tmp_path, "b.jpg", ground[STEP : STEP + 768, :768])]

    def denied(path):
        if path.name == "b.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path)

    with monkeypatch.context() as broken:
        broken.setattr(tiles, "content", denied)
        assert tiles.overlapping(paths) == ["a.jpg", "b.jpg"]
    assert tiles.overlapping(paths) == ["a.jpg", "a.jpg"]


def test_tiles_of_another_folder_with_the_same_names_sizes_and_times_have_places_of_their_own(tmp_path):
    ground, groups = scene(11), []
    for name, other in (("one", ground[STEP : STEP + 768, :768]), ("two", scene(12, 768, 768))):
        (tmp_path / name).mkdir()
        paths = [jpeg(tmp_path / name, f"{n}.jpg", p) for n, p in (("a", ground[:768, :768]), ("b", other))]
        for path in paths:
            path.write_bytes(path.read_bytes().ljust(10**6))
            os.utime(path, (1, 1))
        groups.append(tiles.overlapping(paths))
    assert groups == [["a.jpg", "a.jpg"], ["a.jpg", "b.jpg"]]


# ---------------------------------------------------------------- the rule, with correlations that are made


def texture(seed: int) -> np.ndarray:
    """A cell's grey values without their mean, float (32, 32), smooth, with a standard deviation of 1."""
    rough = np.random.default_rng(seed).normal(size=(8, 8)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(rough).resize((32, 32), Image.BICUBIC), float)
    return (smooth - smooth.mean()) / smooth.std()


def like(cell: np.ndarray, correlation: float, seed: int, points: int = 16) -> np.ndarray:
    """A cell that correlates with another one by so much, through noise of so many points along each side.

    The hash hardly sees noise of 16 points, and of 32 not at all; the slopes see that of 32 most.
    """
    rough = np.random.default_rng(seed).normal(size=(points, points)).astype(np.float32)
    noise = np.asarray(Image.fromarray(rough).resize(cell.shape, Image.BICUBIC), float)
    noise = noise - noise.mean()
    noise -= (noise * cell).mean() * cell
    return correlation * cell + np.sqrt(1 - correlation**2) * noise / noise.std()


def fact(cells: dict[int, np.ndarray]) -> bytes:
    """The fact of a tile that has these cells, by their number; the others are flat."""
    grey = np.full((9, 32, 32), 128, np.uint8)
    for number, cell in cells.items():
        grey[number] = (128 + 25 * cell).round().clip(0, 255)
    return tiles.cell_hashes(grey).tobytes() + grey.tobytes()


def joined(*facts: bytes) -> bool:
    labels = Cells.of(facts).places()
    return len(set(labels)) == 1


A, B = texture(1), texture(2)


@pytest.mark.parametrize(
    "other, expected",
    [
        pytest.param({8: like(A, 0.97, 4)}, True, id="one cell above 0.9"),
        pytest.param({8: like(A, 0.88, 4)}, False, id="one cell between"),
        pytest.param({7: like(A, 0.88, 4), 8: like(B, 0.88, 4)}, True, id="two cells shifted alike"),
        pytest.param({8: like(A, 0.88, 4), 4: like(B, 0.88, 4)}, False, id="two cells shifted otherwise"),
        pytest.param({8: like(A, 0.95, 1, 32)}, False, id="one cell with other slopes"),
        pytest.param({7: like(A, 0.88, 4, 32), 8: like(B, 0.88, 4, 32)}, False, id="two cells with other slopes"),
        pytest.param({7: like(A, 0.7, 1), 8: like(B, 0.7, 2)}, False, id="two cells below 0.8"),
        pytest.param({8: texture(3)}, False, id="another place"),
        pytest.param({}, False, id="flat"),
    ],
)
def test_one_cell_must_be_certain_and_two_must_be_shifted_alike(other, expected):
    one, two = fact({0: A, 1: B}), fact(other)
    assert joined(one, two) is joined(two, one) is expected


def test_an_equal_hash_alone_joins_nothing():
    """Cells of little but noise: they have a hash in common and no place."""
    noisy = [fact({4: like(A, 0.7, seed, 32)}) for seed in range(60)]
    hashes = Counter(one[:72] for one in noisy)
    (common, count), *_ = hashes.most_common()
    assert 2 <= count <= places.MOST_TILES
    assert not joined(*[one for one in noisy if one[:72] == common][:2])
    assert len(set(Cells.of(noisy).places())) == len(noisy)


def test_a_cell_that_many_tiles_have_is_no_place():
    crowd = [fact({4: like(A, 0.99, seed)}) for seed in range(places.MOST_DATES * places.MOST_TILES + 2)]
    assert len(set(Cells.of(crowd).places())) == len(crowd)
    assert len(set(Cells.of(crowd[:-2]).places())) == 1


def test_tiles_of_one_slope_and_other_ground_make_no_chain_and_a_place_among_them_is_found(monkeypatch):
    cells = [like(A, 0.97, seed, 32) for seed in range(12)]  # correlate above 0.9: the fine ground hardly counts
    facts = [fact({4: cell}) for cell in cells]
    assert len(set(Cells.of(facts).places())) == len(facts)
    labels = Cells.of([*facts, fact({0: 0.8 * cells[7]})]).places()
    assert labels[7] == labels[-1] and len(set(labels)) == len(facts)
    for name, (values, _) in (("CERTAIN", places.CERTAIN), ("LIKELY", places.LIKELY)):  # values alone make one group
        monkeypatch.setattr(places, name, (values, -1.0))
    assert len(set(Cells.of(facts).places())) == 1


def test_no_tiles_and_only_flat_ones_have_no_places():
    assert Cells.of([]).places() == []
    assert Cells.of([fact({}), fact({})]).places() == [0, 1]


# ---------------------------------------------------------------- near hashes


def test_near_hashes_are_found_once_each_and_all_up_to_five_bits():
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2**64, 40, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in rng.choice(64, int(rng.integers(0, 14)), replace=False)) for _ in range(600)]
    hashes = np.append(rng.choice(centres, 600) ^ np.array(flips, np.uint64), rng.integers(0, 2**64, 500, np.uint64))
    pairs = [tuple(sorted(pair)) for some in near_pairs(hashes, 10, "") for pair in zip(*map(list, some), strict=True)]
    assert len(pairs) == len(set(pairs))
    near = {
        (i, j): (int(hashes[i]) ^ int(hashes[j])).bit_count() for i, j in itertools.combinations(range(len(hashes)), 2)
    }
    wanted = {pair for pair, bits in near.items() if bits <= 10}
    assert {pair for pair, bits in near.items() if bits <= 5} <= set(pairs) <= wanted
    assert len(pairs) > 0.6 * len(wanted)


def test_the_blocks_of_pairs_change_nothing(monkeypatch):
    hashes = np.random.default_rng(0).integers(0, 2**6, 300).astype(np.uint64)

    def found():
        return {
            tuple(sorted(pair)) for some in near_pairs(hashes, 3, "") for pair in zip(*map(list, some), strict=True)
        }

    whole = found()
    monkeypatch.setattr("bench.datasets.look_alikes._BLOCK", 7)
    assert found() == whole


def test_ones_are_counted_in_all_64_bits():
    numbers = np.array([0, 1, 2**63, 2**64 - 1, 0x8000800080008000], np.uint64)
    assert count_ones(numbers).tolist() == [0, 1, 1, 64, 4]


def test_a_hash_is_that_of_imagehash():
    import imagehash

    cells = np.stack([fact_cell.round().astype(np.uint8) for fact_cell in (128 + 30 * texture(s) for s in range(20))])
    expected = [int(str(imagehash.phash(Image.fromarray(cell))), 16) for cell in cells]
    assert tiles.cell_hashes(cells).tolist() == expected


def test_a_tile_of_another_format_and_size_has_cells(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(scene(1, 300, 300)).save(buffer, "PNG")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    found = tiles.tile_fact(tmp_path / "a.jpg")
    assert len(found) == 9 * (8 + 32 * 32)
    assert np.frombuffer(found, np.uint64, 9).all()
