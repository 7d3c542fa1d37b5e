"""`bench show-dataset`: counts, class balance, image sizes, and a contact sheet."""

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from fakes import write_fake_airbus, write_fake_folder, write_fake_pets
from PIL import Image
from test_prepare import bench, cache, rows  # noqa: F401 - the fixture

from bench.evaluation.pictures import PALETTE, SHEET_COLUMNS, SHEET_SIDE, contact_sheet


def test_counts_balance_sizes_and_where_it_is_from(tmp_path):
    folder = write_fake_pets(tmp_path / "pets")
    code, output = bench("show-dataset", "pets", "--data-dir", folder)
    table = rows(output)
    assert code == 0
    assert table["test"] == ["4", "4"]
    assert table["0"][0] == "pet"
    assert table["2"][2] == "12"
    assert "40 x 50 (12)" in output
    assert "CC BY-SA 4.0" in output
    assert "of all images" in output


def test_only_so_many_images_are_read(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=20)
    code, output = bench("show-dataset", f"folder:{folder}", "--images", "5")
    assert code == 0
    assert "of 5 images" in output
    assert rows(output)["train"] == ["14", "14"]
    (folder / "masks" / "s0.png").unlink()
    code, output = bench("show-dataset", f"folder:{folder}", "--images", "0")
    assert "1 of 20 images can't be read" in output


def test_a_sheet_is_a_picture_of_the_data(tmp_path):
    folder = write_fake_airbus(tmp_path / "airbus", ships=[0] * 8 + [1] * 4 + [2] * 4)
    file = tmp_path / "sheet.png"
    code, output = bench("show-dataset", "airbus", "--data-dir", folder, "--contact-sheet", file)
    assert code == 0
    assert "images of airbus may not be published" in output
    with Image.open(file) as sheet:
        assert sheet.width == SHEET_COLUMNS * (2 * SHEET_SIDE + 6)
        pixels = np.asarray(sheet).reshape(-1, 3).astype(int)
    orange, blue = PALETTE[1], PALETTE[2]
    for colour in (orange, blue):  # the first ship and the second, over light grey
        assert (np.abs(pixels - (0.6 * colour + 0.4 * 180)).max(axis=1) < 25).any()


def test_a_sheet_takes_pictures_of_any_size_and_any_number_of_objects():
    many = np.arange(400, dtype=np.uint16).reshape(20, 20)
    wide = np.zeros((5, 50), np.uint8)
    sheet = contact_sheet([("a", np.zeros((20, 20, 3), np.uint8), many), ("b", np.zeros((5, 50, 3), np.uint8), wide)])
    assert sheet.size == (2 * (2 * SHEET_SIDE + 6), SHEET_SIDE + 16 + 6)


def test_a_sheet_has_a_legend_of_the_classes_that_are_on_it():
    labels = np.arange(400, dtype=np.uint8).reshape(20, 20) % 10
    names = [*(f"a class with a long name, {n}" for n in range(10)), "an absent one with a longer name still"]
    plain, sheet, whole = (
        contact_sheet([("a", np.zeros((20, 20, 3), np.uint8), labels)], classes) for classes in ((), names, names[:10])
    )
    legend = np.asarray(sheet)[plain.height :].reshape(-1, 3)
    assert sheet.height > plain.height + 2 * 16  # in several lines
    for label in range(1, 8):
        assert (legend == PALETTE[label]).all(axis=1).any()
    np.testing.assert_array_equal(np.asarray(sheet), np.asarray(whole))


def test_the_wrong_way_is_one_line(tmp_path):
    folder = write_fake_folder(tmp_path / "mine")
    for arguments, says in (
        ((), "`bench show-dataset` needs a name: pets"),
        (("pest",), "Did you mean 'pets'"),
        ((f"folder:{folder}", "--contact-sheet", "x.jpg"), "Accepted: a file that ends in .png"),
        ((f"folder:{folder}", "--contact-sheet", tmp_path / "no" / "x.png"), "x.png' can't be written"),
        ((f"folder:{folder}", "--images", "-1"), "--images is -1"),
        (
            (f"folder:{folder}", "--dataset-param", "balance_ships=5"),
            "Unknown parameter of folder:mine 'balance_ships'. Did you mean 'balance'",
        ),
    ):
        code, output = bench("show-dataset", *arguments)
        assert code == 2
        assert says in output


@pytest.mark.parametrize("name", ["carvana", "airbus", pytest.param("pets", id="pets")])
@needs("airbus")
def test_the_excerpts_can_be_shown(name, tmp_path):
    folder = EXCERPTS / {"pets": "oxford_pets"}.get(name, name)
    code, output = bench("show-dataset", name, "--data-dir", folder, "--images", "6")
    assert code == 0
    assert "of 6 images" in output
