"""Values of image files are read to the bit: by each writer, depth, byte order, plane layout and compression."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.datasets.files.readers import open_picture
from bench.datasets.image_files import open_image, read_head, read_picture, read_scale

LOSSLESS = [None, "lzw", "adobe_deflate", "packbits", "lzma", "zstd", "deflate"]
KINDS = ["uint8", "uint16", "float32", "int8", "int16", "int32", "uint32", "float16", "float64"]


def values(kind: str, bands: int, size=(17, 23)) -> np.ndarray:
    """Random values of the whole range that float32 holds, (H, W, C)."""
    rng = np.random.default_rng(bands)
    if kind.startswith("float"):
        return rng.normal(0, 100, (*size, bands)).astype("float16").astype(kind)
    info = np.iinfo(kind)
    return rng.integers(max(info.min, -(2**24)), min(info.max, 2**24), (*size, bands), endpoint=True).astype(kind)


def expected(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.name in ("uint8", "uint16", "float32") else array.astype(np.float32)


def same(path: Path, array: np.ndarray, **options) -> None:
    found = read_picture(path, **options).array()
    wanted = expected(array)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_png_of_16_bits_by_opencv_keeps_each_bit(tmp_path, bands):
    array = values("uint16", bands)
    order = [0, 1, 2, 3][:bands] if bands == 1 else [2, 1, 0, 3][:bands]
    cv2.imwrite(str(tmp_path / "a.png"), array[..., order])
    same(tmp_path / "a.png", array[..., :3])
    if bands == 4:  # alpha is left out unless it is asked for
        same(tmp_path / "a.png", array[..., [3, 0]], bands=(3, 0))


def test_a_png_of_16_bits_by_pillow_keeps_each_bit(tmp_path):
    array = values("uint16", 1)
    Image.fromarray(array[..., 0]).save(tmp_path / "a.png")
    same(tmp_path / "a.png", array)
    assert read_head(tmp_path / "a.png").size == (17, 23)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_tiff_of_any_depth_byte_order_and_layout_keeps_each_bit(tmp_path, byteorder, planarconfig, kind, bigtiff):
    array = values(kind, 5)
    stored = array if planarconfig == "contig" else np.moveaxis(array, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, byteorder=byteorder, planarconfig=planarconfig, photometric="minisblack",
                     bigtiff=bigtiff, rowsperstrip=4)  # fmt: skip
    same(path, array)
    assert read_head(path).size == (17, 23)
    assert read_scale(path, reduce=lambda size: 8) == 1


@pytest.mark.needs("imagecodecs")
@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_a_tiff_of_any_compression_keeps_each_bit(tmp_path, compression, predictor, kind, planarconfig, tile):
    if predictor and compression in (None, "packbits"):
        pytest.skip("predictors come with other compressions")
    array = values(kind, 5)
    stored = array if planarconfig == "contig" else np.moveaxis(array, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, compression=compression, predictor=predictor, planarconfig=planarconfig,
                     photometric="minisblack", tile=tile, byteorder=">")  # fmt: skip
    same(path, array)


@pytest.mark.parametrize("compression", [None, "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_a_tiff_by_pillow_keeps_each_bit(tmp_path, compression, kind):
    array = values(kind, 1)
    Image.fromarray(array[..., 0]).save(tmp_path / "a.tif", compression=compression)
    same(tmp_path / "a.tif", array)


@pytest.mark.needs("imagecodecs")
@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_tiff_by_opencv_keeps_each_bit(tmp_path, kind, bands):
    """OpenCV compresses by LZW, and marks a fourth band neither as alpha nor as anything else."""
    array = values(kind, bands)
    order = [0] if bands == 1 else [2, 1, 0, 3][:bands]
    cv2.imwrite(str(tmp_path / "a.tif"), array[..., order])
    same(tmp_path / "a.tif", array, bands=tuple(range(bands)))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "adobe_deflate"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_a_photograph_in_a_tiff_keeps_each_bit(tmp_path, byteorder, planarconfig, compression, tile):
    array = values("uint8", 3)
    stored = array if planarconfig == "contig" else np.moveaxis(array, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planarconfig, byteorder=byteorder,
                     compression=compression, tile=tile)  # fmt: skip
    tifffile.imwrite(tmp_path / "b.tif", array[..., 0], byteorder=byteorder, compression=compression, tile=tile)
    same(tmp_path / "a.tif", array)
    same(tmp_path / "b.tif", np.repeat(array[..., :1], 3, axis=2))


@pytest.mark.parametrize("bands", [2, 7, 32])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "float64"])
def test_pages_of_one_band_are_bands(tmp_path, bands, kind):
    array = values(kind, bands)
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(array, -1, 0), photometric="minisblack")
    same(tmp_path / "a.tif", array)


def test_pages_by_pillow_are_bands(tmp_path):
    array = values("float32", 3)
    pages = [Image.fromarray(np.ascontiguousarray(array[..., band])) for band in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    same(tmp_path / "a.tif", array)


def test_a_stack_of_imagej_is_its_bands(tmp_path):
    array = values("uint16", 6)
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(array, -1, 0), imagej=True)
    same(tmp_path / "a.tif", array)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("imagej", [False, True])
def test_pages_that_only_the_description_tells_are_bands(tmp_path, kind, imagej):
    """ImageJ writes stacks of 4 GB and more with one page."""
    array = values(kind, 6)
    options = {"imagej": True} if imagej else {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(array, -1, 0), truncate=True, **options)
    same(tmp_path / "a.tif", array)
    with pytest.raises(DataFault, match=f"the mask has 6 bands of {kind}"):
        open_image(tmp_path / "a.tif", np.array)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "float64", "int64", "bool", ">u2", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_numpy_file_keeps_each_bit(tmp_path, kind, order):
    array = np.asarray(values("uint8", 5) % 2 if kind == "bool" else values("uint8", 5), dtype=kind, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    np.savez_compressed(tmp_path / "b.npz", anything=array)
    wanted = array.astype({"bool": "uint8", ">u2": "uint16", ">f4": "float32"}.get(kind, kind))
    for name in ("a.npy", "a.npz", "b.npz"):
        same(tmp_path / name, wanted)
        assert read_head(tmp_path / name).size == (17, 23)


def test_a_numpy_file_of_two_axes_has_one_band_and_one_of_bands_first_is_told_by_its_last_axis(tmp_path):
    array = values("uint16", 4, (40, 50))
    np.save(tmp_path / "a.npy", array[..., 0])
    same(tmp_path / "a.npy", array[..., :1])
    np.save(tmp_path / "b.npy", np.moveaxis(array, -1, 0))  # (4, 40, 50): 50 are no bands
    same(tmp_path / "b.npy", array)
    assert read_head(tmp_path / "b.npy").size == (40, 50)


@pytest.mark.parametrize("byteorder", "<>")
def test_a_bigtiff_of_bytes_is_read_in_either_byte_order(tmp_path, byteorder):
    grey, colours = values("uint8", 1, (5, 7)), values("uint8", 3, (5, 7))
    for array, photometric in ((grey, "minisblack"), (colours, "rgb")):
        stored = array[..., 0] if photometric == "minisblack" else array
        tifffile.imwrite(tmp_path / "b.tif", stored, photometric=photometric, byteorder=byteorder, bigtiff=True,
                         metadata=None)  # fmt: skip
        same(tmp_path / "b.tif", np.broadcast_to(array, (5, 7, 3)))
    tifffile.imwrite(tmp_path / "m.tif", grey[..., 0], photometric="minisblack", byteorder=byteorder, bigtiff=True,
                     metadata=None)  # fmt: skip
    with (tmp_path / "m.tif").open("rb") as file, open_picture(tmp_path / "m.tif", file) as mask:
        assert (np.asarray(mask) == grey[..., 0]).all()  # a mask's grey stays one band


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    bands=st.integers(1, 32),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    separate=st.booleans(),
    byteorder=st.sampled_from("<>"),
    bigtiff=st.booleans(),
    rows=st.integers(1, 40),
)
def test_any_tiff_is_read_to_the_bit(tmp_path_factory, kind, bands, size, separate, byteorder, bigtiff, rows):
    array = values(kind, bands, size)
    path = tmp_path_factory.getbasetemp() / "any.tif"
    stored = array[..., 0] if bands == 1 else np.moveaxis(array, -1, 0) if separate else array
    layout = ("separate" if separate else "contig") if bands > 1 else None
    tifffile.imwrite(path, stored, shape=stored.shape, planarconfig=layout,
                     photometric="minisblack", byteorder=byteorder, bigtiff=bigtiff, rowsperstrip=rows,
                     metadata=None)  # fmt: skip
    if kind == "uint8" and bands == 1:
        array = np.repeat(array, 3, axis=2)  # a photograph's grey
    same(path, array)
