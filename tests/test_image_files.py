"""Image files are read as they are or refused by name: depth, bands, pages, damage, orientation."""

import io
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.datasets import folder
from bench.datasets.image_files import read_head, read_labels, read_picture, read_rgb, read_size

GREY = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


DEEP = {
    "grey.png": GREY.astype(np.uint16) * 16,
    "grey.tif": GREY.astype(np.uint16) * 200,
    "float.tif": GREY.astype(np.float32) / 7,
    "integers.tif": GREY.astype(np.int32),
    "colour.tif": COLOUR.astype(np.uint16) * 257,
    "bands.tif": np.repeat(GREY[..., None], 13, axis=2),
}


@pytest.mark.parametrize("name", DEEP)
def test_a_picture_that_would_be_clipped_or_cut_is_not_taken_for_rgb(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".png"):
        Image.fromarray(DEEP[name]).save(path)
    else:
        photometric = "rgb" if name == "colour.tif" else "minisblack"
        tifffile.imwrite(path, DEEP[name], photometric=photometric, planarconfig="contig" if "bands" in name else None)
    with pytest.raises(DataFault, match=r"has \d+ bands? of (uint8|uint16|float32)") as error:
        read_rgb(path)
    assert error.value.kind == "depth"
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
def test_8_bits_of_any_mode_are_read(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(COLOUR).convert(mode).save(path)
    assert read_rgb(path).shape == (12, 16, 3)


def test_a_damaged_file_is_one_line_also_where_warnings_are_errors(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(COLOUR).save(path)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            read_rgb(path)
        except DataFault as fault:
            assert "\n" not in str(fault) or "a.tif" in str(fault)


def test_nothing_but_our_message_is_printed_of_a_damaged_file(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.repeat(GREY[..., None], 13, axis=2), photometric="minisblack", planarconfig="contig")
    code = (
        f"from bench.datasets.image_files import read_rgb\ntry: read_rgb(__import__('pathlib').Path({str(path)!r}))\n"
    )
    code += "except Exception as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "13 bands of uint8" in done.stdout


# ---------------------------------------------------------------- orientation


def with_orientation(array: np.ndarray, orientation: int) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = orientation
    Image.fromarray(array).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def folder_of(path, image: np.ndarray, orientation: int, mask: np.ndarray):
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for number in range(3):
        (path / "images" / f"a{number}.png").write_bytes(with_orientation(image, orientation))
        Image.fromarray(mask).save(path / "masks" / f"a{number}.png")
    return path


MASK = np.zeros((16, 12), np.uint8)
MASK[2:5, 3:8] = 255


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_image_is_turned_where_its_mask_fits_only_so(tmp_path, orientation):
    data = folder.load(folder_of(tmp_path / "mine", COLOUR, orientation, MASK))
    image, labels = data.read(data.samples[0])
    assert image.shape[:2] == labels.shape == MASK.shape
    np.testing.assert_array_equal(image, read_rgb(data.samples[0].files[0], turn=True))
    assert any("3 images are turned by their EXIF orientation" in note for note in data.notes)
    assert not data.warnings
    assert "turned" in data.samples[0].token


def test_an_image_whose_mask_fits_as_stored_is_left_without_a_word(tmp_path):
    data = folder.load(folder_of(tmp_path / "mine", COLOUR, 6, MASK.T))
    image, _ = data.read(data.samples[0])
    np.testing.assert_array_equal(image, COLOUR)
    assert not data.warnings
    assert "turned" not in data.samples[0].token


@pytest.mark.parametrize(("image", "orientation"), [(COLOUR, 3), (COLOUR, 2), (COLOUR, 4), (COLOUR[:, :12], 6)])
def test_where_sizes_dont_tell_nothing_is_turned_and_a_warning_says_what_settles_it(tmp_path, image, orientation):
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:4] = 255
    path = folder_of(tmp_path / "mine", image, orientation, mask)
    data = folder.load(path)
    np.testing.assert_array_equal(data.read(data.samples[0])[0], image)
    (warning,) = data.warnings
    assert "EXIF orientation" in warning
    assert "exif=apply" in warning
    assert folder.load(path, exif="ignore").warnings == ()
    settled = folder.load(path, exif="apply")
    assert settled.warnings == ()
    assert not np.array_equal(settled.read(settled.samples[0])[0], image)
    assert settled.samples[0].token != data.samples[0].token


def test_an_unknown_way_with_orientations_is_one_line(tmp_path):
    with pytest.raises(BenchError, match="apply, ignore"):
        folder.load(folder_of(tmp_path / "mine", COLOUR, 3, MASK.T), exif="yes")


def test_a_senseless_orientation_is_none(tmp_path):
    (tmp_path / "a.png").write_bytes(with_orientation(COLOUR, 77))
    assert read_head(tmp_path / "a.png").orientation == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_tiff_with_an_orientation_is_turned_only_when_asked_as_any_other_format_is(
    tmp_path, orientation, compression
):
    picture = Image.fromarray(COLOUR)
    exif = picture.getexif()
    exif[274] = orientation
    for name, options in (("a.tif", {"compression": compression}), ("a.png", {})):
        picture.save(tmp_path / name, exif=exif, **options)
    tiff, png = tmp_path / "a.tif", tmp_path / "a.png"
    assert read_head(tiff) == read_head(png)
    assert (read_rgb(tiff) == COLOUR).all()
    assert (read_rgb(tiff, turn=True) == read_rgb(png, turn=True)).all()


def test_a_large_picture_is_read_without_a_warning_and_a_huge_one_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 90)
    with pytest.raises(DataFault, match=r"a.png: it is too large \(.*192 pixels.*Cut it into tiles") as error:
        read_rgb(path)
    assert error.value.kind == "size"
    script = f"""
from PIL import Image
Image.MAX_IMAGE_PIXELS = 100
from bench.datasets.image_files import read_rgb
from pathlib import Path
print(read_rgb(Path({str(path)!r})).shape)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(12, 16, 3)"
    assert not run.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("read", [read_rgb, read_size, read_head, read_labels, read_picture])
@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device", "a folder", "a link to a FIFO"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, monkeypatch, read, kind):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    path, other = tmp_path / "a.png", tmp_path / "other"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("a.png")
    elif kind == "a device":
        path.symlink_to(os.devnull)
    elif kind == "a folder":
        path.mkdir()
    else:
        os.mkfifo(other)
        path.symlink_to(other)
    with pytest.raises(DataFault, match=rf"a\.png: can't be read \(it is {kind.removeprefix('a link to ')}\)"):
        read(path)
