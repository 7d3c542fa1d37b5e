"""Carvana: each car in one split, equal masks from GIFs and from the table, faults with file and row."""

import shutil
from collections import defaultdict

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from fakes import write_fake_carvana, write_table
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.config import catalog
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.data.source import open_source
from bench.data.splits import hashed_splits
from bench.datasets import carvana


@pytest.fixture
def folder(tmp_path):
    return write_fake_carvana(tmp_path / "carvana")


def splits_of_cars(dataset):
    splits = defaultdict(set)
    for sample in dataset.samples:
        splits[sample.name.partition("_")[0]].add(sample.split)
    return splits


def test_the_views_of_a_car_are_in_one_split(folder):
    dataset = open_source(catalog.datasets().get("carvana"), folder)
    splits = splits_of_cars(dataset)
    assert len(splits) == 6
    assert all(len(sides) == 1 for sides in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}
    assert {sample.group for sample in dataset.samples} == set(splits)


@given(groups=st.sets(st.text(min_size=1, max_size=4), min_size=3, max_size=40))
def test_every_split_has_a_group_of_three_or_more(groups):
    splits = hashed_splits(groups)
    assert set(splits.values()) == {"train", "val", "test"}
    assert splits == hashed_splits(sorted(groups, reverse=True))


def test_the_splits_have_their_shares_and_stay_when_groups_are_added():
    few, many = (hashed_splits(f"car{i}" for i in range(count)) for count in (1000, 2000))
    counts = [list(many.values()).count(split) for split in ("train", "val", "test")]
    assert counts == pytest.approx([1400, 200, 400], rel=0.1)
    assert all(many[group] == split for group, split in few.items())


def test_gifs_and_table_give_the_same_labels(folder):
    from_gifs = carvana.load(folder)
    labels = [from_gifs.read(sample)[1] for sample in from_gifs.samples]
    shutil.rmtree(folder / "train_masks")
    from_table = carvana.load(folder)
    assert [(s.name, s.split, s.group) for s in from_gifs.samples] == [
        (s.name, s.split, s.group) for s in from_table.samples
    ]
    assert all(mask.any() for mask in labels)
    np.testing.assert_array_equal(labels, [from_table.read(sample)[1] for sample in from_table.samples])


@needs("carvana")
def test_gifs_and_table_of_the_excerpt_give_the_same_labels(tmp_path):
    (tmp_path / "train").symlink_to(EXCERPTS / "carvana" / "train")
    shutil.copy(EXCERPTS / "carvana" / "train_masks.csv", tmp_path)
    from_gifs, from_table = carvana.load(EXCERPTS / "carvana"), carvana.load(tmp_path)
    assert len(from_gifs.samples) == 96
    for one, other in list(zip(from_gifs.samples, from_table.samples, strict=True))[::16]:
        image, labels = from_gifs.read(one)
        assert image.shape == (1280, 1918, 3)
        np.testing.assert_array_equal(labels, from_table.read(other)[1])


def fault(folder, name="000000000001_02"):
    dataset = carvana.load(folder)
    with pytest.raises(BenchError) as error:
        dataset.read(next(sample for sample in dataset.samples if sample.name == name))
    return error.value


def test_a_fault_of_a_gif_names_it(folder):
    gif = folder / "train_masks" / "000000000001_02_mask.gif"
    mask = Image.fromarray(np.arange(40 * 60, dtype=np.uint8).reshape(40, 60) % 3, "P")
    mask.putpalette([0, 0, 0, 255, 255, 255, 255, 0, 0])
    mask.save(gif)
    error = fault(folder)
    assert isinstance(error, DataFault) and error.kind == "values"
    assert f"{gif}: a mask's values are 0 and 1, not [2]" in str(error)

    Image.fromarray(np.zeros((40, 61), np.uint8), "P").save(gif)
    assert fault(folder).kind == "size"
    assert f"{gif}: the mask has 40x61 pixels, its image 40x60" in str(fault(folder))

    gif.unlink()
    assert str(fault(folder)) == f"{gif}: missing."

    picture = folder / "train" / "000000000001_02.jpg"
    picture.write_bytes(picture.read_bytes()[:900])
    assert fault(folder).kind == "unreadable"
    assert f"{picture}: can't be decoded" in str(fault(folder))


def test_a_fault_of_the_table_names_its_row(folder):
    shutil.rmtree(folder / "train_masks")
    table = folder / "train_masks.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert rows[5][0] == "000000000001_02.jpg"

    def write(changed):
        write_table(table, rows[0], changed)

    write([*rows[1:5], ("000000000001_02.jpg", "2399 3"), *rows[6:]])
    assert f"{table}, row 6, 000000000001_02.jpg: the run-length text can't be read: run 1, '2399 3', ends past" in str(
        fault(folder)
    )
    write(rows[1:])
    picture = folder / "train" / "000000000001_02.jpg"
    small = Image.open(picture)
    small.resize((2 * small.width, 2 * small.height)).save(picture)
    assert fault(folder).kind == "size"
    small.save(picture)
    write([*rows[1:5], *rows[6:]])
    assert "000000000001_02.jpg: train_masks.csv has no row for it" in str(fault(folder))
    write([*rows[1:], ("ffff_01.jpg", "1 2")])
    assert str(fault(folder, "ffff_01")) == f"{folder / 'train' / 'ffff_01.jpg'}: missing."
    write([*rows[1:], rows[5]])
    with pytest.raises(BenchError, match=r"row 20: '000000000001_02.jpg' already has row 6"):
        carvana.load(folder)
    write_table(table, ("image", "rle"), rows[1:])
    with pytest.raises(BenchError, match=r"train_masks.csv: the table has no column 'img'. It has: image, rle"):
        carvana.load(folder)


def test_a_folder_without_masks_is_told_what_is_missing(folder):
    shutil.rmtree(folder / "train_masks")
    (folder / "train_masks.csv").unlink()
    with pytest.raises(BenchError, match=r"neither train_masks nor train_masks.csv.*--data-dir"):
        carvana.load(folder)
