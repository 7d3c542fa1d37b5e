"""Airbus: several rows per tile, separate ships, tiles chosen by their ships, overlapping tiles in one split."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from fakes import write_fake_airbus, write_table
from PIL import Image
from scipy import ndimage

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.datasets import airbus, places, tiles

TABLE = "train_ship_segmentations_v2.csv"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return write_fake_airbus(tmp_path / "airbus")


def named(dataset, name):
    return next(sample for sample in dataset.samples if sample.name == name)


def write_tile(path: Path, pixels: np.ndarray, quality: int = 90) -> None:
    Image.fromarray(pixels).save(path, quality=quality)


def scene(seed: int, height: int = 1280, width: int = 1280) -> np.ndarray:
    """Ground with texture at all scales, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n), np.uint8)).resize((width, height), Image.BICUBIC), float
        )
        for n in (12, 50, 200)
    ]
    grey = 0.4 * layers[0] + 0.35 * layers[1] + 0.25 * layers[2]
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


# ---------------------------------------------------------------- labels and instances


def test_the_rows_of_a_tile_are_joined_and_touching_ships_stay_apart(folder):
    dataset = airbus.load(folder)
    image, labels = dataset.read(named(dataset, "000000006"))  # three ships, each touching the next
    instances = dataset.instances(named(dataset, "000000006"))
    assert image.shape == (96, 96, 3)
    assert labels.sum() == 3 * 8 * 30
    assert ndimage.label(labels)[1] == 1
    assert instances.dtype == np.uint16
    assert np.bincount(instances.ravel())[1:].tolist() == [240, 240, 240]
    np.testing.assert_array_equal(instances[10:34:8, 30], [1, 2, 3])
    np.testing.assert_array_equal(instances > 0, labels)


def test_an_empty_field_is_a_tile_without_ships(folder):
    dataset = airbus.load(folder)
    assert not dataset.read(named(dataset, "000000000"))[1].any()
    assert not dataset.instances(named(dataset, "000000000")).any()


@needs("airbus")
def test_the_excerpt_has_its_ships_and_its_one_overlapping_pair():
    dataset = airbus.load(EXCERPTS / "airbus")
    counts = Counter(int(dataset.instances(sample).max()) for sample in dataset.samples)
    assert sum(counts.values()) == 120
    assert counts[0] == 40
    assert max(counts) == 11
    groups = Counter(sample.group for sample in dataset.samples)
    assert groups.most_common(1) == [("075198eb6.jpg", 2)]
    assert len(groups) == 119


def test_the_known_corrupt_tile_is_left_out_by_name(folder):
    (folder / "train_v2" / "6384c3e78.jpg").write_bytes(b"cut short")
    with (folder / TABLE).open("a") as file:
        file.write("6384c3e78.jpg,\n")
    dataset = airbus.load(folder)
    assert len(dataset.samples) == 10
    assert dataset.notes == ("6384c3e78.jpg is known to be corrupt and left out",)


# ---------------------------------------------------------------- overlapping tiles


def test_overlapping_tiles_are_one_group(tmp_path):
    """Four tiles of one scene, cut at steps of 256, chained by their overlaps; five of other scenes."""
    (tmp_path / "train_v2").mkdir()
    ground = scene(0)
    corners = [(0, 0), (256, 0), (256, 256), (512, 512)]
    for number, (y, x) in enumerate(corners):
        write_tile(tmp_path / "train_v2" / f"d{number}.jpg", ground[y : y + 768, x : x + 768])
    for number in range(5):
        write_tile(tmp_path / "train_v2" / f"a{number}.jpg", scene(number + 1, 768, 768))
    names = sorted(path.name for path in (tmp_path / "train_v2").iterdir())
    write_table(tmp_path / TABLE, ("ImageId", "EncodedPixels"), [(name, "") for name in names])
    dataset = airbus.load(tmp_path)
    groups = {sample.name: sample.group for sample in dataset.samples}
    assert {groups[f"d{i}"] for i in range(4)} == {"d0.jpg"}
    assert len(set(groups.values())) == 6


def test_a_recompressed_tile_is_still_found(tmp_path):
    ground = scene(3)
    write_tile(tmp_path / "one.jpg", ground[:768, :768], quality=92)
    write_tile(tmp_path / "two.jpg", ground[:768, 256:1024], quality=80)
    write_tile(
        tmp_path / "far.jpg", ground[512:, 512:], quality=80
    )  # it shares no whole cell with `one` but the corner
    groups = tiles.overlapping([tmp_path / name for name in ("one.jpg", "two.jpg")])
    assert groups == ["one.jpg", "one.jpg"]


def test_flat_tiles_and_broken_ones_are_alike_but_no_group(tmp_path):
    for name in ("black1.jpg", "black2.jpg"):
        write_tile(tmp_path / name, np.zeros((768, 768, 3), np.uint8))
    for name in ("cut1.jpg", "cut2.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    paths = [tmp_path / name for name in ("black1.jpg", "black2.jpg", "cut1.jpg", "cut2.jpg", "none1.jpg", "none2.jpg")]
    assert tiles.overlapping(paths) == [path.name for path in paths]


def test_a_pattern_in_many_tiles_groups_none(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(scene(5, 768, 768)).save(buffer, "JPEG")
    paths = [tmp_path / f"{i:02d}.jpg" for i in range(places.MOST_TILES + 1)]
    for path in paths:
        path.write_bytes(buffer.getvalue())
    assert tiles.overlapping(paths) == [path.name for path in paths]
    assert set(tiles.overlapping(paths[1:])) == {"01.jpg"}


@pytest.fixture
def compared(monkeypatch):
    """The names of the tiles that are looked at."""
    names = []
    make = tiles.tile_fact
    monkeypatch.setattr(tiles, "tile_fact", lambda path: names.append(path.name) or make(path))
    return names


def test_tiles_are_looked_at_again_only_if_a_file_changes(folder, compared):
    paths = sorted((folder / "train_v2").iterdir())
    tiles.overlapping(paths)
    assert sorted(compared) == [path.name for path in paths]
    tiles.overlapping(paths)
    assert len(compared) == len(paths)
    write_tile(paths[3], scene(1, 96, 96))
    tiles.overlapping(paths)
    assert compared[len(paths) :] == [paths[3].name]


# ---------------------------------------------------------------- faults


def fault(folder, name="000000001"):
    dataset = airbus.load(folder)
    with pytest.raises(BenchError) as error:
        dataset.read(named(dataset, name))
    return error.value


def test_a_fault_names_file_and_row(folder):
    table, tile = folder / TABLE, folder / "train_v2" / "000000001.jpg"
    where = f"{table}, row 3, 000000001.jpg: "
    whole, text = tile.read_bytes(), table.read_text()
    tile.write_bytes(whole[:1000])
    assert isinstance(fault(folder), DataFault)
    assert str(fault(folder)).startswith(f"{where}{tile}: can't be decoded")
    tile.unlink()
    assert str(fault(folder)) == f"{where}{tile}: missing."
    tile.write_bytes(whole)
    lines = text.splitlines()
    for broken, says in (
        ("1 2 3", "odd count"),
        ("nan", "'nan' is not a whole number"),
        ("9216 2", "past the last pixel"),
    ):
        table.write_text("\n".join([*lines[:2], f"000000001.jpg,{broken}", *lines[3:]]))
        assert str(fault(folder)).startswith(where)
        assert says in str(fault(folder))


def test_a_tile_of_another_size_is_no_place_for_the_runs(folder):
    tile = folder / "train_v2" / "000000001.jpg"
    picture = Image.open(tile)
    picture.resize((2 * picture.width, 2 * picture.height)).save(tile)
    assert fault(folder).kind == "size"
    assert f"{tile}: it has {2 * picture.height}x{2 * picture.width} pixels, the first image" in str(fault(folder))


def test_a_broken_table_is_one_error(folder):
    table = folder / TABLE
    for content, says in (
        (b"ImageId,Pixels\na.jpg,1 2\n", "the table has no column 'EncodedPixels'. It has: ImageId, Pixels"),
        (b"", "the table has no column 'ImageId'. It has: none"),
        (b"ImageId,EncodedPixels\na.jpg\n", "row 2: the row lacks ImageId or EncodedPixels"),
        (b"ImageId,EncodedPixels\n,1 2\n", "row 2: the row lacks ImageId or EncodedPixels"),
        (b"ImageId,EncodedPixels\n\xff\xfe,1 2\n", "the table can't be read"),
    ):
        table.write_bytes(content)
        with pytest.raises(BenchError) as error:
            airbus.load(folder)
        assert f"{table}" in str(error.value)
        assert says in str(error.value)


def test_a_tile_without_a_row_is_left_out_and_noted(folder):
    write_tile(folder / "train_v2" / "extra.jpg", scene(1, 96, 96))
    dataset = airbus.load(folder)
    assert len(dataset.samples) == 10
    assert dataset.notes == ("1 tiles of train_v2 left out, since the table does not name them",)
