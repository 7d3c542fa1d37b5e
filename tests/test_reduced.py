"""JPEGs are decoded at a fraction of their size where that is enough: same grid, same faults, other files as ever."""

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION, RESIZES, DatasetSpec
from bench.data import pack
from bench.data.geometry import reduction, resize_image, resize_picture
from bench.data.reading.decode import is_reduced, read_row
from bench.data.source import open_source
from bench.datasets.image_files import read_picture, read_rgb

CLOSE = 2.0  # grey levels on average between the two ways of a smooth picture


def smooth(height=520, width=776, mode="RGB"):
    """Draw a smooth picture that no symmetry maps to itself."""
    small = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def saved(path, picture, **options):
    picture.save(path, quality=95, **options)
    return path


def difference(one, other):
    return np.abs(one.astype(float) - other).mean()


@pytest.mark.parametrize(
    ("original", "size", "policy", "times"),
    [
        ((1280, 1918), (128, 128), "stretch", 5),  # 1280 / 256
        ((1280, 1918), (128, 128), "letterbox", 7),  # to 85 x 128: 1280 / 170 = 7.5, 1918 / 256 = 7.5
        ((1280, 1918), (128, 128), "crop", 5),  # the shorter side covers
        ((1280, 1918), (320, 320), "stretch", 2),
        ((1280, 1918), (321, 321), "stretch", 1),
        ((1280, 1918), (16, 16), "stretch", 10),  # at least 128 pixels are left, whatever the size
        ((256, 256), (128, 128), "stretch", 1),
        ((100, 100), (400, 400), "stretch", 1),
    ],
)
def test_a_picture_stays_twice_as_large_as_it_is_wanted(original, size, policy, times):
    assert reduction(original, size, policy) == times


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("policy", RESIZES)
@pytest.mark.parametrize("shape", [(520, 776), (519, 773), (1027, 1031), (776, 300)])
def test_a_reduced_picture_lies_on_the_grid_of_the_whole_one(tmp_path, mode, policy, shape):
    path = saved(tmp_path / "a.jpg", smooth(*shape, mode))
    picture = read_picture(path, reduce=lambda size: reduction(size, (48, 64), policy))
    assert picture.scale > 1
    assert picture.size == shape
    whole = resize_image(read_rgb(path), (48, 64), policy)
    assert difference(resize_picture(picture, (48, 64), policy), whole) < CLOSE
    shifted = np.roll(whole, 1, axis=1)
    assert difference(shifted, whole) > CLOSE  # half a pixel's shift would show


@pytest.mark.parametrize("times", range(1, 12))
def test_a_jpeg_is_reduced_by_the_powers_of_two_up_to_eight(tmp_path, times):
    picture = read_picture(saved(tmp_path / "a.jpg", smooth()), reduce=lambda size: times)
    assert picture.scale == max(scale for scale in (1, 2, 4, 8) if scale <= times)
    assert picture.pixels.size == (-(-776 // picture.scale), -(-520 // picture.scale))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(520, 776), (519, 773)])
def test_a_turned_picture_is_reduced_only_where_no_pixel_is_cut(tmp_path, orientation, shape):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.jpg", smooth(*shape), exif=exif)
    asked = []
    picture = read_picture(path, turn=True, reduce=lambda size: asked.append(size) or 4)
    whole = read_rgb(path, turn=True)
    assert picture.size == asked[0] == whole.shape[:2]
    assert picture.scale == (4 if shape == (520, 776) or orientation == 1 else 1)
    assert difference(resize_picture(picture, (60, 64)), resize_image(whole, (60, 64))) < CLOSE
    assert read_picture(path, reduce=lambda size: 4).scale == 4  # as stored, nothing is turned


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tif", "webp"])
def test_any_other_format_is_read_whole(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    smooth().save(path)
    picture = read_picture(path, reduce=lambda size: 8)
    assert picture.scale == 1
    np.testing.assert_array_equal(picture.array(), read_rgb(path))


def test_a_progressive_jpeg_and_one_of_several_pictures_are_reduced_too(tmp_path):
    progressive = saved(tmp_path / "a.jpg", smooth(), progressive=True)
    several = saved(tmp_path / "b.mpo", smooth(), save_all=True, append_images=[smooth(60, 80)])
    for path in (progressive, several):
        picture = read_picture(path, reduce=lambda size: 4)
        assert picture.scale == 4
        assert difference(resize_picture(picture, (60, 64)), resize_image(read_rgb(path), (60, 64))) < CLOSE


def test_a_jpeg_that_is_cut_short_is_refused_also_where_it_is_reduced(tmp_path):
    path = saved(tmp_path / "a.jpg", smooth())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataFault, match="can't be decoded"):
        read_picture(path, reduce=lambda size: 8)


# ---------------------------------------------------------------- in a pack


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of three pairs for each split; the masks have a class of a single pixel."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "data"
    for split in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(3):
            mask = np.zeros((520, 776), np.uint8)
            mask[100:300, 200:400], mask[511, 700 + number] = 1, 2
            saved(folder / split / "images" / f"{number}.jpg", smooth().rotate(90 * number))
            Image.fromarray(mask).save(folder / split / "masks" / f"{number}.png")
    (folder / "classes.json").write_text('["nothing", "square", "dot"]', encoding="utf-8")
    return folder


def prepare(folder, size=(32, 48)):
    return pack.prepare(DatasetSpec(f"folder:{folder}", "bench.datasets.folder:load", ()), size, data_dir=folder)


def test_the_protocol_rises_only_where_a_picture_was_reduced(images):
    small, large = prepare(images), prepare(images, (300, 400))
    assert (small.protocol, large.protocol) == (REDUCED_PROTOCOL_VERSION, PROTOCOL_VERSION)
    assert small.fingerprint == large.fingerprint


def test_the_truth_is_whole_and_checked_whole(images):
    made = prepare(images)
    np.testing.assert_array_equal(made.truth(0), np.asarray(Image.open(images / "train" / "masks" / "0.png")))
    mask = np.array(Image.open(images / "val" / "masks" / "1.png"))
    mask[3, 5] = 7  # a pixel that is lost at the pack's size
    Image.fromarray(mask).save(images / "val" / "masks" / "1.png")
    with pytest.raises(BenchError, match=r"the values \[7\] are not classes"):
        prepare(images)


@pytest.mark.parametrize("size", [(32, 48), (100, 100), (300, 400)])
def test_what_would_be_reduced_is_known_without_decoding(images, size, monkeypatch):
    smooth(200, 300).save(images / "val" / "images" / "1.png")  # too small, and no JPEG
    Image.fromarray(np.zeros((200, 300), np.uint8)).save(images / "val" / "masks" / "1.png")
    (images / "val" / "images" / "1.jpg").unlink()
    source = open_source(DatasetSpec(f"folder:{images}", "bench.datasets.folder:load", ()), images)
    read = [read_row(source, sample, size, "stretch").reduced for sample in source.samples]
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", None)
    assert [is_reduced(source, sample, size, "stretch") for sample in source.samples] == read
    assert len(set(read)) == (1 if size == (300, 400) else 2)
