"""What a TIFF file's value for none marks, however the file stores its values, and what is forecast of such files."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.core.files import VARIABLE
from bench.datasets.image_files import read_picture

NODATA = 42113


def tiff(path: Path, array: np.ndarray, none: object, **options) -> None:
    tags = [(NODATA, "s", len(str(none)) + 1, str(none), True)]
    tifffile.imwrite(path, array, extratags=tags, **{"photometric": "minisblack", **options})


def grey(path: Path, array: np.ndarray, bits: int, photometric: int, none: int) -> None:
    """Write one grey band of 1, 2, 4 or 8 bits a pixel; the width is a multiple of 8."""
    stored = np.packbits((array[..., None] >> np.arange(bits)[::-1] & 1).astype(bool).ravel()).tobytes()
    (height, width), short, long = array.shape, 3, 4
    text = f"{none}".encode().ljust(4, b"\0")
    tags = [
        *((256, short, 1, width), (257, short, 1, height), (258, short, 1, bits), (259, short, 1, 1)),
        *((262, short, 1, photometric), (273, long, 1, 8 + 2 + 12 * 10 + 4), (277, short, 1, 1)),
        *((278, short, 1, height), (279, long, 1, len(stored)), (NODATA, 2, 4, int.from_bytes(text, "little"))),
    ]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(head + bytes(4) + stored)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("none", ["lowest", "highest"])
def test_the_value_for_none_is_the_stored_one_where_pillow_gives_another(tmp_path, bits, photometric, none):
    array = np.arange(256).reshape(16, 16) % 2**bits
    value = 0 if none == "lowest" else 2**bits - 1
    grey(tmp_path / "a.tif", array, bits, photometric, value)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").missing, array == value)


def test_alpha_has_no_part_in_the_value_for_none(tmp_path):
    array = np.full((8, 8, 2), 255, np.uint8)
    array[:2, :, 0] = 0
    tiff(tmp_path / "a.tif", array, 0, extrasamples=[2], planarconfig="contig")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").missing, array[..., 0] == 0)


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_the_highest_number_of_64_bits_may_stand_for_none(tmp_path, kind):
    highest = np.iinfo(kind).max
    array = np.arange(64).reshape(8, 8).astype(kind)
    array[0, 3] = highest
    tiff(tmp_path / "a.tif", array, highest)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").missing, array == highest)


@pytest.mark.parametrize("none", ["9" * 400, "9" * 5000, "1e400", "-inf", "-1", "5.5", "none"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "uint64"])
def test_what_no_pixel_can_have_marks_none(tmp_path, none, kind):
    tiff(tmp_path / "a.tif", np.full((8, 8, 5), 10, kind), none, planarconfig="contig")
    assert read_picture(tmp_path / "a.tif").missing is None


@pytest.mark.parametrize("kind, bands", [("uint16", 5), ("float32", 5), ("uint8", 4), ("uint16", 1)])
def test_a_dry_run_forecasts_files_of_any_bands_in_which_values_are_missing(tmp_path, monkeypatch, kind, bands):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    place = tmp_path / "set"
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
    for number in range(8):
        array = np.random.default_rng(number).integers(1, 250, (16, 24, bands)).astype(kind)
        array[:3] = 0
        tiff(place / "images" / f"a{number}.tif", array, 0, planarconfig="contig" if bands > 1 else None)
        Image.fromarray((array[..., 0] > 120).astype(np.uint8)).save(place / "masks" / f"a{number}.png")
    where = ["--dataset", f"folder:{place}", "--results", str(tmp_path / "results")]
    options = ["--arch", "unet", "--image-size", "16", "--budget", "1epochs", "--dry-run"]
    found = CliRunner().invoke(app, ["run", *where, *options])
    assert found.exit_code == 0, found.exception
