"""Folders of images with any bands: how they are chosen, what has no value, and what doesn't fit together."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.config import catalog
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.data import pack
from bench.data.source import open_source
from bench.datasets import folder
from bench.datasets.image_files import open_image, read_picture

SIZE = (24, 32)
SCALE, TIEPOINT, KEYS, NODATA, EXTRA = 33550, 33922, 34735, 42113, 338


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def image(bands=5, kind="uint16", seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 250, (*SIZE, bands)).astype(kind)


def mask() -> np.ndarray:
    found = np.zeros(SIZE, np.uint8)
    found[4:12, 6:20] = 1
    return found


def geo(x=500.0, y=900.0, scale=10.0, point=False) -> list[tuple]:
    keys = (1, 1, 0, 1, 1025, 0, 1, 2 if point else 1)
    return [(SCALE, "d", 3, (scale, scale, 0.0)), (TIEPOINT, "d", 6, (0.0, 0, 0, x, y, 0)), (KEYS, "H", 8, keys)]


def tiff(path: Path, array: np.ndarray, tags=(), **options) -> None:
    contig = "contig" if array.ndim == 3 and array.shape[2] > 1 else None
    tifffile.imwrite(path, array, extratags=[(*tag, True) for tag in tags],
                     **{"photometric": "minisblack", "planarconfig": contig, **options})  # fmt: skip


def write(place: Path, images, suffix=".tif", tags=(), mask_tags=None, count=10) -> Path:
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
    for number in range(count):
        array = images(number)
        path = place / "images" / f"a{number}{suffix}"
        if suffix == ".npy":
            np.save(path, array)
        else:
            tiff(path, array, tags)
        if mask_tags is not None:
            tiff(place / "masks" / f"a{number}.tif", mask(), mask_tags)
        else:
            Image.fromarray(mask()).save(place / "masks" / f"a{number}.png")
    return place


def spec(place: Path):
    return catalog.find_dataset(f"folder:{place}", None)[0]


def packed(place: Path, **params):
    found, where = catalog.find_dataset(f"folder:{place}", None)
    return pack.prepare(found, SIZE, data_dir=where, params=params)


def test_a_folder_of_any_bands_is_packed_as_it_is_stored(tmp_path):
    place = write(tmp_path / "set", lambda number: image(seed=number))
    found = packed(place, scale_values="range")
    for row, sample in enumerate(found.names):
        np.testing.assert_array_equal(found.images[row], image(seed=int(sample[1:])))
    np.testing.assert_array_equal(packed(place, scale_values="range", bands="5,2").images, found.images[..., [4, 1]])


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_a_folder_of_numpy_files_is_read_and_its_masks_too(tmp_path, kind):
    place = write(tmp_path / "set", lambda number: image(7, kind, number), ".npy")
    for path in (place / "masks").iterdir():
        np.save(path.with_suffix(".npy"), np.array(Image.open(path)).astype(np.int64))
        path.unlink()
    data = folder.load(place)
    found, labels = data.read(data.samples[3])
    np.testing.assert_array_equal(found, image(7, kind, 3))
    np.testing.assert_array_equal(labels, mask())
    assert len(data.classes) == 2


def test_numpy_files_beside_pictures_are_no_images(tmp_path):
    place = write(tmp_path / "set", lambda number: image(3, "uint8", number))
    np.save(place / "images" / "a0.npy", np.zeros(7))
    assert len(folder.load(place).samples) == 10


def test_pixels_without_a_value_are_counted_and_ignored(tmp_path):
    def holes(number: int) -> np.ndarray:
        found = image(seed=number)
        found[:2, :, 1] = 0
        return found

    found = packed(write(tmp_path / "set", holes, tags=[(NODATA, "s", 2, "0")]))
    assert (found.labels[:, :2] == 255).all() and (found.labels[:, 2:] != 255).all()
    assert any(
        "640 pixels of 10 images have no value" in note for note in found.notes
    )  # 2 rows of 32 pixels, 10 images


@pytest.mark.parametrize("bands, ignored", [("1", 0), ("2", 64), ("", 64)])
def test_only_chosen_bands_need_a_value(tmp_path, bands, ignored):
    array = image(kind="float32")
    array[:2, :, 1] = np.nan
    found = packed(write(tmp_path / "set", lambda number: array), bands=bands)
    assert (found.labels[0] == 255).sum() == ignored


def test_the_value_for_none_in_8_bits_counts_where_all_bands_have_it(tmp_path):
    array = image(3, "uint8")
    array[0, :, 1] = 0  # a dark colour
    array[1] = 0
    path = tmp_path / "a.tif"
    for photometric, stored in (("rgb", array), ("minisblack", np.dstack([array, array]))):
        tiff(path, stored, [(NODATA, "s", 2, "0")], photometric=photometric)
        missing = read_picture(path).missing
        assert missing is not None and missing[1].all() and missing.sum() == SIZE[1]
    np.testing.assert_array_equal(read_picture(path, bands=(0, 1, 2)).array(), array)


@pytest.mark.parametrize("kind, none", [("int32", -(2**31)), ("uint32", 2**32 - 1), ("int16", -9999)])
def test_a_whole_number_for_none_may_be_beyond_those_that_are_read(tmp_path, kind, none):
    array = image(kind=kind)
    array[0, 0, 2] = none
    tiff(tmp_path / "a.tif", array, [(NODATA, "s", len(str(none)) + 1, str(none))])
    found = read_picture(tmp_path / "a.tif")
    assert found.missing is not None and found.missing.sum() == 1
    np.testing.assert_array_equal(found.array()[1:], array[1:].astype(np.float32))


@pytest.mark.parametrize("text", ["-1.7976931348623157e+308", "1e39"])
def test_a_number_for_none_beyond_the_type_changes_nothing_without_a_warning(tmp_path, text):
    tiff(tmp_path / "a.tif", image(kind="float32"), [(NODATA, "s", len(text) + 1, text)])
    assert read_picture(tmp_path / "a.tif").missing is None


@pytest.mark.parametrize("text", ["nan", "-9999", "none", "0.5", "1e400", ""])
def test_a_value_for_none_that_the_type_has_not_changes_nothing(tmp_path, text):
    tiff(tmp_path / "a.tif", image(), [(NODATA, "s", len(text) + 1, text)])
    assert read_picture(tmp_path / "a.tif").missing is None


def test_a_float_for_none_is_found_as_the_file_has_it(tmp_path):
    array = image(kind="float32")
    array[0, 0, 3] = np.finfo(np.float32).min
    tiff(tmp_path / "a.tif", array, [(NODATA, "s", 24, "-3.4028234663852886e+38")])
    missing = read_picture(tmp_path / "a.tif").missing
    assert missing is not None and missing.sum() == 1 and missing[0, 0]


def cloud_optimized(path: Path, array: np.ndarray, **options) -> None:
    """Write an image with an overview and a mask of 1 bit, as GDAL does."""
    valid = np.ones(SIZE, bool)
    valid[:3] = False
    with tifffile.TiffWriter(path) as writer:
        writer.write(array, planarconfig="contig", metadata=None, **options)
        writer.write(valid, subfiletype=4, metadata=None, photometric=4)
        writer.write(array[::2, ::2], planarconfig="contig", subfiletype=1, metadata=None, **options)


@pytest.mark.parametrize("bands, kind, photometric", [(5, "uint16", "minisblack"), (3, "uint8", "rgb")])
def test_overviews_and_masks_inside_a_file_are_no_bands(tmp_path, bands, kind, photometric):
    path, array = tmp_path / "a.tif", image(bands, kind)
    cloud_optimized(path, array, photometric=photometric)
    found = read_picture(path)
    np.testing.assert_array_equal(found.array(), array)
    assert found.missing is not None and found.missing[:3].all() and found.missing.sum() == 3 * SIZE[1]


def test_a_mask_with_overviews_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(mask(), metadata=None)
        writer.write(mask()[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif", np.array), mask())


# ---------------------------------------------------------------- a fourth band


@pytest.mark.parametrize(
    "kind, extra, bands", [("uint8", 0, 4), ("uint8", 2, 3), ("uint8", 1, 3), ("uint16", 0, 4), ("uint16", 2, 3)]
)
def test_a_fourth_band_is_alpha_only_if_the_file_says_so(tmp_path, kind, extra, bands):
    array = image(4, kind)
    array[..., 3] = 255  # opaque: associated alpha changes no colour
    tiff(tmp_path / "a.tif", array, photometric="rgb", extrasamples=[extra])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").array(), array[..., :bands])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif", bands=(3, 0)).array(), array[..., [3, 0]])


def test_a_band_that_is_marked_as_alpha_is_taken_if_it_is_asked_for(tmp_path):
    place = write(tmp_path / "set", lambda number: image(4, "uint8", number))
    for number in range(10):
        tiff(place / "images" / f"a{number}.tif", image(4, "uint8", number), photometric="rgb", extrasamples=[2])
    whole, rgb = packed(place, bands="1,2,3,4"), packed(place)
    said = "band 4 is left out, since a0.tif marks it as alpha; --bands 1,2,3,4 takes it as a band"
    assert said in rgb.notes and said not in whole.notes
    assert (whole.images.shape[-1], rgb.images.shape[-1]) == (4, 3)
    np.testing.assert_array_equal(whole.images[..., :3], rgb.images)
    np.testing.assert_array_equal(whole.images[0, ..., 3], image(4, "uint8", int(whole.names[0][1:]))[..., 3])


def test_the_fourth_band_of_a_photograph_is_its_alpha_channel(tmp_path):
    array = image(4, "uint8")
    Image.fromarray(array).save(tmp_path / "a.png")
    Image.fromarray(array[..., :3]).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", bands=(3, 1)).array(), array[..., [3, 1]])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").array(), array[..., :3])
    with pytest.raises(DataFault, match=r"b\.png: it has 3 bands, so there is no band 4"):
        read_picture(tmp_path / "b.png", bands=(3,))


# ---------------------------------------------------------------- what doesn't fit together


@pytest.mark.parametrize("odd", [image(4), image(kind="float32"), image(1)], ids=["4 bands", "floats", "1 band"])
def test_an_image_of_other_bands_in_the_middle_of_a_set_is_named(tmp_path, odd):
    place = write(tmp_path / "set", lambda number: odd if number == 5 else image(seed=number))
    with pytest.raises(BenchError, match=r"a5\.tif: the image has \d bands? of \w+, the first training image 5 of"):
        packed(place)


def test_a_mask_of_another_extent_is_named_with_both(tmp_path):
    place = write(tmp_path / "set", lambda number: image(), tags=geo(), mask_tags=geo(x=540))
    data = folder.load(place)
    with pytest.raises(
        DataFault, match=r"masks/a0\.tif: .* x 540 to 860, y 660 to 900, its image x 500 to 820"
    ) as error:
        data.read(data.samples[0])
    assert error.value.kind == "size"
    with pytest.raises(BenchError, match="the mask covers"):
        packed(place)


SOUND = {
    "the same": geo(),
    "no tags": [],
    "less than half a pixel apart": geo(x=504),
    "the same by centres": geo(x=505, y=895, point=True),
    "the same by a matrix": [(34264, "d", 16, (10.0, 0, 0, 500, 0, -10, 0, 900, 0, 0, 0, 0, 0, 0, 0, 1))],
    "a matrix of nothing": [(34264, "d", 16, (0.0,) * 16)],
}


@pytest.mark.parametrize("tags", SOUND.values(), ids=SOUND)
def test_a_mask_of_the_same_extent_is_read(tmp_path, tags):
    data = folder.load(write(tmp_path / "set", lambda number: image(), tags=geo(), mask_tags=tags))
    np.testing.assert_array_equal(data.read(data.samples[0])[1], mask())


@pytest.mark.parametrize("tags", [geo(x=506), geo(y=800), geo(scale=9.0), geo(x=498, point=True), geo(scale=-10.0)])
def test_half_a_pixel_or_another_scale_is_another_extent(tmp_path, tags):
    data = folder.load(write(tmp_path / "set", lambda number: image(), tags=geo(), mask_tags=tags))
    with pytest.raises(DataFault, match="the mask covers"):
        data.read(data.samples[0])


@pytest.mark.parametrize("kind", ["float64", "float16", "int8", "int64", "uint32", "bool"])
def test_a_mask_of_any_type_is_read_from_a_tiff_file(tmp_path, kind):
    place = write(tmp_path / "set", lambda number: image())
    for number in range(10):
        (place / "masks" / f"a{number}.png").unlink()
        tiff(place / "masks" / f"a{number}.tif", mask().astype(kind))
    data = folder.load(place)
    np.testing.assert_array_equal(data.read(data.samples[0])[1], mask())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_bands_are_turned_as_a_photograph_is(tmp_path, orientation):
    array = image(3, "uint8")
    picture = Image.fromarray(array)
    exif = picture.getexif()
    exif[274] = orientation
    picture.save(tmp_path / "rgb.tif", exif=exif)
    tiff(tmp_path / "deep.tif", array.astype(np.uint16), [(274, "H", 1, orientation)])
    for turn in (False, True):
        np.testing.assert_array_equal(
            read_picture(tmp_path / "deep.tif", turn=turn).array(),
            read_picture(tmp_path / "rgb.tif", turn=turn).array(),
        )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_pixels_without_a_value_are_turned_with_their_image(tmp_path, orientation, kind):
    array = image(3, kind)
    array[0, :4] = 0
    options = {"photometric": "rgb"} if kind == "uint8" else {}
    tiff(tmp_path / "a.tif", array, [(274, "H", 1, orientation), (NODATA, "s", 2, "0")], **options)
    for turn in (False, True):
        found = read_picture(tmp_path / "a.tif", turn=turn)
        assert found.missing is not None and found.missing.shape == found.array().shape[:2]
        np.testing.assert_array_equal(found.missing, (found.array() == 0).all(axis=-1))


def test_chosen_bands_of_a_folder_are_read_by_the_data_set_itself(tmp_path):
    place = write(tmp_path / "set", lambda number: image(40, seed=number))
    found, where = catalog.find_dataset(f"folder:{place}", None)
    source = open_source(found, where, {"bands": "40,1"})
    np.testing.assert_array_equal(source.dataset.read(source.samples[0])[0], image(40)[..., [39, 0]])
    with pytest.raises(BenchError, match="has 40 bands; 1 to 32 are read"):
        open_source(found, where, {}).dataset.read(source.samples[0])


def test_the_ending_of_ome_is_no_part_of_a_name(tmp_path):
    place = write(tmp_path / "set", lambda number: image(seed=number), ".ome.tif")
    assert len(folder.load(place).samples) == 10
    np.testing.assert_array_equal(folder.load(place).read(folder.load(place).samples[0])[1], mask())
