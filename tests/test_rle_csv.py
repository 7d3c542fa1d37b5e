"""Run-length tables: the order is never guessed, columns are known names or given, and faults name the row."""

from pathlib import Path

import numpy as np
import pytest
from layout_fixtures import save, save_text

from bench.config import checks
from bench.config.catalog import find_dataset
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.datasets import folder, layouts

SIZE = (3, 4)
RUNS = "1 2 5 1"  # down the columns: (0, 0), (1, 0) and (1, 1); along the rows: (0, 0), (0, 1) and (1, 0)
BY_COLUMN = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
BY_ROW = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


@pytest.fixture
def here(tmp_path):
    for name in ("a", "b", "c"):
        save(np.zeros((*SIZE, 3), np.uint8), tmp_path / "images" / f"{name}.png")
    return tmp_path


def write(here: Path, *rows: str, header: str = "ImageId,EncodedPixels") -> Path:
    save_text(here / "train.csv", header, *rows)
    return here


def labels(here: Path, name: str = "images/a", **params) -> list:
    dataset = folder.load(here, **params)
    (sample,) = [sample for sample in dataset.samples if sample.name == name]
    return dataset.read(sample)[1].tolist()


def test_the_order_must_be_given(here):
    write(here, f"a.png,{RUNS}")
    with pytest.raises(
        BenchError, match=r"train\.csv: .* fit both\. Say which with --dataset-param order=column .*row"
    ):
        folder.load(here)
    assert labels(here, order="column") == BY_COLUMN
    assert labels(here, order="row") == BY_ROW
    assert "runs are counted by row from 1" in folder.load(here, order="row").notes


@pytest.mark.parametrize(
    ("header", "row", "classes"),
    [
        ("ImageId,ClassId,EncodedPixels", f"a.png,3,{RUNS}", ("background", "class_3")),  # Severstal
        ("img,rle_mask", f"a.png,{RUNS}", ("background", "foreground")),  # Carvana
        ("id,encoding", f"a,{RUNS}", ("background", "foreground")),  # HuBMAP
        ("id,rle", f"a,{RUNS}", ("background", "foreground")),
        ("ImageId_ClassId,EncodedPixels", f"a.png_4,{RUNS}", ("background", "class_4")),  # Severstal at first
        ("Image_Label,EncodedPixels", f"a.png_Fish,{RUNS}", ("background", "Fish")),  # clouds
        ("id,annotation,width,height,cell_type", f"a,{RUNS},4,3,cort", ("background", "foreground")),  # Sartorius
        ("ImageId,EncodedPixels,Height,Width,ClassId", f"a.png,{RUNS},3,4,x", ("background", "x")),  # iMaterialist
    ],
)
def test_known_columns_are_found(here, header, row, classes):
    write(here, row, header=header)
    assert folder.load(here, order="row").classes == classes
    assert labels(here, order="row") == BY_ROW


def test_columns_of_other_names_are_given(here):
    write(here, f"a.png,{RUNS},dog", header="photo,text,kind")
    with pytest.raises(BenchError, match=r"which of its columns photo, text, kind .*columns=image:class:rle"):
        folder.load(here, order="row")
    assert labels(here, order="row", columns="photo:kind:text") == BY_ROW
    assert folder.load(here, order="row", columns="photo,kind,text").classes == ("background", "dog")
    assert folder.load(here, order="row", columns="photo:text").classes == ("background", "foreground")
    with pytest.raises(BenchError, match=r"the table has no column 'x'\. It has: photo, text, kind"):
        folder.load(here, order="row", columns="x:text")
    with pytest.raises(BenchError, match="names 1 columns; give image:rle or image:class:rle"):
        folder.load(here, order="row", columns="text")


def test_classes_are_sorted_as_numbers_and_a_later_row_lies_on_top(here):
    write(here, "a.png,10,1 3", "a.png,9,2 1", header="ImageId,ClassId,EncodedPixels")
    assert folder.load(here, order="row").classes == ("background", "class_9", "class_10")
    assert labels(here, order="row")[0] == [2, 1, 2, 0]


def test_pixels_may_be_counted_from_0(here):
    write(here, "a.png,0 2 11 1")
    assert labels(here, order="row", base=0) == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(DataFault, match=r"train\.csv, a\.png, row 2: .*starts at 0, but pixels are counted from 1"):
        labels(here, order="row")


@pytest.mark.parametrize(
    ("runs", "says"), [("1 2 3", "odd count"), ("1 2 12 2", "ends past the last pixel, 12"), ("5 2 5 1", "overlap")]
)
def test_damaged_runs_are_faults_that_name_the_row(here, runs, says):
    write(here, f"b.png,{RUNS}", f"a.png,{runs}")
    with pytest.raises(DataFault, match=rf"train\.csv, a\.png, row 3: .*{says}"):
        labels(here, order="row")


def test_a_row_without_runs_is_background_and_other_images_are_counted(here):
    write(here, f"a.png,{RUNS}", "b.png,")
    assert labels(here, "images/b", order="row") == [[0] * 4] * 3
    notes = " | ".join(folder.load(here, order="row").notes)
    assert "1 images have no annotation and are all background (the first: b.png)" in notes
    assert "1 images are in no annotation file and left out (the first: images/c.png)" in notes


def test_runs_without_a_class_are_named(here):
    write(here, f"a.png,x,{RUNS}", f"b.png,,{RUNS}", header="ImageId,ClassId,EncodedPixels")
    with pytest.raises(BenchError, match=r"train\.csv, row 3, b\.png: it has runs and no class"):
        folder.load(here, order="row")


def test_the_size_in_the_table_is_checked(here):
    write(here, f"a.png,{RUNS},4,4", header="ImageId,EncodedPixels,Height,Width")
    with pytest.raises(DataFault, match=r"a\.png: it was annotated at 4x4 pixels and has 3x4"):
        labels(here, order="row")
    write(here, f"a.png,{RUNS},4,", header="ImageId,EncodedPixels,Height,Width")
    with pytest.raises(BenchError, match=r"row 2, a\.png: its size is '4' x '', not pixels"):
        folder.load(here, order="row")


def test_of_several_tables_one_is_chosen(here):
    write(here, f"a.png,{RUNS}")
    save_text(here / "more.csv", "ImageId,EncodedPixels", "b.png,1 12")
    with pytest.raises(BenchError, match=r"has 2 CSV files with runs, .*more\.csv, train\.csv\. Say which"):
        folder.load(here, order="row")
    assert labels(here, "images/b", order="row", table="more.csv") == [[1] * 4] * 3
    with pytest.raises(BenchError, match=r"has 0 CSV files called x\.csv"):
        folder.load(here, order="row", table="x.csv")


def test_groups_and_other_tables_are_no_runs(here):
    save_text(here / "groups.csv", "name,group", "a,1", "b,x")
    save_text(here / "meta.csv", "id,age,text", "a,12,3 dogs and 2 4")
    save_text(here / "sample_submission.csv", "id,rle", "a,1 2")
    assert not layouts.layouts()["rle-csv"].fits(here)


def test_the_parameters_of_layouts_are_checked_before_the_folder_is_read():
    spec, _ = find_dataset("folder:.")
    assert checks.params({"order": "row", "base": 1, "columns": ""}, spec) == {"order": "row"}
    with pytest.raises(BenchError, match=r"'base' of folder:.* is 2.* Accepted: 0, 1"):
        checks.params({"base": 2}, spec)


def test_a_parameter_of_another_layout_is_refused(here):
    (here / "masks").mkdir()
    with pytest.raises(BenchError, match=r"The layout images-masks has no parameter 'order'\. It has: none"):
        folder.load(here, layout="images-masks", order="row")
