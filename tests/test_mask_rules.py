"""What a mask's values mean is decided or doubted, never guessed: each rule has inputs that it takes and leaves."""

import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.datasets import folder
from bench.datasets.classes_file import read_classes
from bench.datasets.classes_proposal import proposal, write_proposal
from bench.datasets.mask_survey import facts_of

SIZE = (24, 32)
OBJECT = np.zeros(SIZE, np.uint8)
OBJECT[6:18, 8:20] = 1
SMALL = np.zeros(SIZE, np.uint8)
SMALL[2:5, 3:7] = 1
COLOURS = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0), (10, 20, 200)], np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def saved(mask: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def made(path: Path, masks, classes=None, suffix="png", **options) -> Path:
    """A folder with an image for each mask, which is an array, a Pillow image or a file's bytes."""
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks):
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
        content = mask if isinstance(mask, bytes) else saved(mask, kind, **options)
        (path / "masks" / f"m{number}.{suffix}").write_bytes(content)
        Image.new("RGB", SIZE[::-1], (number, 9, 9)).save(path / "images" / f"m{number}.png")
    if classes is not None:
        (path / "classes.json").write_text(json.dumps(classes), encoding="utf-8")
    return path


def palette(indices: np.ndarray, colours) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette([int(value) for colour in colours for value in colour])
    return picture


def with_alpha(mask: np.ndarray) -> Image.Image:
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[..., 3] = mask * 255
    return Image.fromarray(rgba)


def labels_of(path: Path) -> list[np.ndarray]:
    dataset = folder.load(path)
    return [dataset.read(sample)[1] for sample in dataset.samples]


def softened(mask: np.ndarray) -> np.ndarray:
    """The mask as bilinear interpolation leaves it: shrunk and enlarged again."""
    small = Image.fromarray(mask * 255).resize((SIZE[1] // 2, SIZE[0] // 2), Image.Resampling.BILINEAR)
    return np.array(small.resize(SIZE[::-1], Image.Resampling.BICUBIC))


def noisy(mask: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 9, mask.shape)
    return np.where(mask, 255 - noise, noise).astype(np.uint8)


REFUSED = {
    "noise at both ends": ([noisy(OBJECT), noisy(SMALL)], {}, "threshold"),
    "noise with two names": ([noisy(OBJECT), noisy(SMALL)], {"classes": ["ground", "car"]}, "threshold"),
    "two scales": ([OBJECT, OBJECT * 255], {}, r"\[1, 255\]"),
    "two scales with names": ([OBJECT, SMALL, SMALL * 255], {"classes": ["ground", "car"]}, '"ignore"'),
    "16-bit ids": ([OBJECT.astype(np.uint16) * 1000, OBJECT.astype(np.uint16) * 300], {}, "above 255, 300, 1000"),
    "32-bit ids": ([Image.fromarray(OBJECT.astype(np.int32) * 70000)], {"suffix": "tif"}, "above 255, 70000"),
    "probabilities": ([Image.fromarray(OBJECT * np.float32(0.7))], {"suffix": "tif"}, "fractions, 0.7.*threshold"),
    "nodata": ([Image.fromarray(OBJECT - np.float32(1) * 9999 * SMALL)], {"suffix": "tif"}, "-9999.*ignore"),
    "not a number": ([Image.fromarray(np.where(SMALL, np.float32("nan"), OBJECT))], {"suffix": "tif"}, "nan.*ignore"),
    "colours": ([COLOURS[OBJECT], COLOURS[SMALL * 2]], {}, "colours, #000000, #008000, #800000.*write-classes"),
    "palettes": ([palette(OBJECT, COLOURS[:2]), palette(OBJECT, COLOURS[1:3])], {}, "colour tables differ"),
    "alpha": ([with_alpha(OBJECT), with_alpha(SMALL)], {}, "alpha channel that varies"),
    "classes as JPEG": ([OBJECT * 3, SMALL * 2], {"suffix": "jpg"}, "lossy format"),
    "grey in JPEG": ([OBJECT * 120, SMALL * 255], {"suffix": "jpg", "quality": 95}, "lossy format"),
    "four names and JPEG": ([OBJECT * 255], {"suffix": "jpg", "classes": [*"abcd"]}, "no exact values"),
    "a photograph": ([np.arange(SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8)], {}, "too many"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_masks_of_doubtful_meaning_are_refused_with_what_settles_it(tmp_path, name):
    masks, options, says = REFUSED[name]
    with pytest.raises(BenchError, match=says) as error:
        folder.load(made(tmp_path / "mine", masks, **options))
    assert "\n" not in str(error.value)


SETTLED = {
    "a threshold": ([noisy(OBJECT)], {"classes": {"classes": ["no", "yes"], "threshold": 128}}, OBJECT),
    "two values of a class": ([OBJECT, OBJECT * 255], {"classes": {"no": 0, "yes": [1, 255]}}, OBJECT),
    "255 is ignored": (
        [OBJECT + 254 * SMALL + SMALL],
        {"classes": {"classes": {"no": 0, "yes": 1}, "ignore": [255]}},
        OBJECT + 255 * SMALL,
    ),
    "16-bit ids": ([OBJECT.astype(np.uint16) * 300], {"classes": {"no": 0, "yes": [300, 700]}}, OBJECT),
    "16-bit files of small values": ([OBJECT.astype(np.uint16), SMALL.astype(np.uint16)], {}, OBJECT),
    "whole floats": ([Image.fromarray(OBJECT.astype(np.float32))], {"suffix": "tif"}, OBJECT),
    "probabilities": (
        [Image.fromarray(OBJECT * np.float32(0.7))],
        {"suffix": "tif", "classes": {"classes": ["no", "yes"], "threshold": 0.5}},
        OBJECT,
    ),
    "nan and nodata": (
        [Image.fromarray(np.where(SMALL, np.float32("nan"), OBJECT).astype(np.float32))],
        {"suffix": "tif", "classes": {"classes": {"no": 0, "yes": 1}, "ignore": ["nan", -9999]}},
        OBJECT + 255 * SMALL,
    ),
    "colours": ([COLOURS[OBJECT]], {"classes": {"no": "#000000", "yes": ["#800000", "#008000"]}}, OBJECT),
    "ignored colours": (
        [COLOURS[OBJECT + 2 * SMALL]],
        {"classes": {"classes": {"no": "#000000", "yes": "#800000"}, "ignore": ["#008000"]}},
        OBJECT + 255 * SMALL,
    ),
    "the colours of palettes": (
        [palette(OBJECT, COLOURS[:2]), palette(1 - OBJECT, COLOURS[1::-1])],
        {"classes": {"classes": {"no": "#000000", "yes": "#800000"}, "from": "palette"}},
        OBJECT,
    ),
    "the indices of palettes": (
        [palette(OBJECT, COLOURS[:2]), palette(OBJECT, COLOURS[2:])],
        {"classes": {"classes": ["no", "yes"], "from": "index"}},
        OBJECT,
    ),
    "alpha": ([with_alpha(OBJECT)], {"classes": {"classes": ["no", "yes"], "from": "alpha"}}, OBJECT),
    "black and white JPEG": ([OBJECT * 255], {"suffix": "jpg", "quality": 90}, OBJECT),
    "classes as lossless WebP": ([OBJECT * 3, SMALL * 3], {"suffix": "webp", "lossless": True}, OBJECT),
    "three classes as GIF": ([palette(OBJECT + 2 * SMALL, COLOURS)], {"suffix": "gif"}, OBJECT + 2 * SMALL),
    "a byte-order mark": ([OBJECT], {}, OBJECT),
}


@pytest.mark.parametrize("name", SETTLED)
def test_masks_of_clear_meaning_are_read(tmp_path, name):
    masks, options, expected = SETTLED[name]
    np.testing.assert_array_equal(labels_of(made(tmp_path / "mine", masks, **options))[0], expected)


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if name not in ("four names and JPEG", "a photograph", "grey in JPEG")]
)
def test_the_proposed_classes_settle_the_doubt(tmp_path, name):
    masks, options, _ = REFUSED[name]
    path = made(tmp_path / "mine", masks, **{key: value for key, value in options.items() if key != "classes"})
    (path / "classes.json").unlink(missing_ok=True)
    file, text = proposal(path)
    write_proposal(file, text)
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(text)
    assert all(labels.dtype == np.uint8 for labels in labels_of(path))
    with pytest.raises(BenchError, match="not overwritten"):
        write_proposal(file, text)


def smooth_edges(colour, size=SIZE) -> Image.Image:
    """A red, say, disc on black, drawn large and made smaller, as drawing programs do."""
    large = np.zeros((8 * size[0], 8 * size[1], 3), np.uint8)
    rows, columns = np.indices(large.shape[:2])
    large[(rows - 90) ** 2 + (columns - 120) ** 2 < 70**2] = colour
    return Image.fromarray(large).resize(size[::-1], Image.Resampling.BOX)


def test_mixed_colours_of_smooth_edges_are_not_proposed_as_classes(tmp_path):
    path = made(tmp_path / "mine", [smooth_edges((255, 0, 0)), smooth_edges((0, 0, 255))])
    with pytest.raises(BenchError, match=r"\d+ of the \d+ colours of the masks are mixtures: .* edges were smoothed"):
        proposal(path)


def test_colours_that_happen_to_lie_between_others_are_proposed(tmp_path):
    voc = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (64, 0, 0), (192, 0, 0)], np.uint8)
    mask = np.zeros(SIZE, np.uint8)
    mask[4:8], mask[8:12], mask[0, :2], mask[0, 2:4], mask[0, 4:6] = 1, 2, 3, 4, 5
    assert len(json.loads(proposal(made(tmp_path / "mine", [voc[mask]]))[1])["classes"]) == 6


@pytest.mark.parametrize("classes", [None, ["ground", "car"]])
def test_colours_in_jpeg_are_said_to_be_inexact_before_anything_else(tmp_path, classes):
    path = made(tmp_path / "mine", [COLOURS[OBJECT]] * 2, classes, suffix="jpg")
    with pytest.raises(BenchError, match=r"lossy format.*which changes colours; export the masks anew as PNG"):
        folder.load(path)
    with pytest.raises(BenchError, match="which changes colours"):
        proposal(path)


def test_names_for_colours_say_what_to_write_and_into_which_file(tmp_path):
    path = made(tmp_path / "mine", [COLOURS[OBJECT]], ["ground", "car"])
    says = rf"{re.escape(str(path / 'classes.json'))} names values, but .*\"ground\": \"#rrggbb\""
    with pytest.raises(BenchError, match=says):
        folder.load(path)


def test_proposed_names_that_nobody_replaced_are_a_warning(tmp_path):
    path = made(tmp_path / "mine", [COLOURS[OBJECT]])
    write_proposal(*proposal(path))
    (warning,) = folder.load(path).warnings
    assert "still has 2 proposed names, such as 'class_000000'" in warning
    path = made(tmp_path / "named", [COLOURS[OBJECT]], {"no": "#000000", "yes": "#800000"})
    assert folder.load(path).warnings == ()


def test_a_threshold_that_nobody_asked_for_is_a_note(tmp_path):
    notes = folder.load(made(tmp_path / "mine", [OBJECT * 255] * 3, suffix="jpg")).notes
    assert "3 masks of a lossy format (JPEG, WebP) are read as light from grey value 128" in notes
    given = {"classes": ["no", "yes"], "threshold": 100}
    assert not [n for n in folder.load(made(tmp_path / "b", [OBJECT * 255], given, suffix="jpg")).notes if "lossy" in n]


WARNED = {
    "more 255 than classes": ([OBJECT * 255 + SMALL], {}, "255 is ignored.*more than all values but 0"),
    "interpolated": ([np.where(OBJECT, 255, SMALL * 64).astype(np.uint8)], {}, "255 is ignored"),
    "a class called void": ([OBJECT * 7], {"classes": {"road": 0, "Void": 7}}, "'Void' a class like any other"),
}


@pytest.mark.parametrize("name", WARNED)
def test_a_doubt_that_is_no_error_is_a_warning(tmp_path, name):
    masks, options, says = WARNED[name]
    (warning,) = folder.load(made(tmp_path / "mine", masks, **options)).warnings
    assert re.search(says, warning)


def test_little_ignored_and_few_classes_are_no_doubt(tmp_path):
    masks = [OBJECT + 2 * SMALL, np.where(SMALL, 255, OBJECT).astype(np.uint8)]
    assert folder.load(made(tmp_path / "mine", masks)).warnings == ()


def test_a_value_that_no_class_has_is_a_fault_of_its_file(tmp_path):
    path = made(tmp_path / "mine", [COLOURS[OBJECT * 3]], {"no": "#000000", "yes": "#800000"})
    with pytest.raises(DataFault, match=r"m0.png: the colours \[#0a14c8\] are not classes. Accepted: #000000, #800000"):
        labels_of(path)


@pytest.mark.parametrize(
    "text",
    [
        {"classes": ["a", "b"], "threshold": "128"},
        {"classes": ["a", "b"], "from": "luminance"},
        {"classes": ["a", "b"], "ignore": [0.5]},
        {"classes": ["a", "b", "c"], "threshold": 128},
        {"classes": ["a", "b"], "from": "palette"},
        {"classes": {"a": 0, "b": [1, 255]}, "ignore": [255]},
        {"a": 0, "b": "#ffffff"},
        {"a": 0, "b": []},
        {"a": "#fff", "b": "#000"},
        {},
        3,
    ],
)
def test_a_classes_file_that_contradicts_itself_is_one_line(tmp_path, text):
    file = tmp_path / "classes.json"
    file.write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(BenchError, match=r"classes\.json: ") as error:
        read_classes(file)
    assert "\n" not in str(error.value)


def test_a_name_that_is_given_twice_is_refused(tmp_path):
    file = tmp_path / "classes.json"
    file.write_text('{"car": 1, "car": 2}', encoding="utf-8")
    with pytest.raises(BenchError, match="given twice"):
        read_classes(file)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_lossy_format_is_known_by_its_content(lossless):
    content = saved(COLOURS[OBJECT], "WEBP", lossless=lossless)
    with Image.open(io.BytesIO(content)) as picture:
        assert facts_of(picture).lossy is not lossless


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """Write a grey PNG of 1, 2 or 4 bits, which Pillow can't write."""
    places = np.unpackbits(values[..., None].astype(np.uint8), axis=2)[..., 8 - bits :]
    rows = np.packbits(places.reshape(len(values), -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_values_and_not_shades(tmp_path, bits):
    classes = OBJECT + 2 * SMALL
    path = made(tmp_path / "mine", [grey_png(classes, bits), classes])
    assert folder.load(path).classes == ("class_0", "class_1", "class_2")
    for labels in labels_of(path):
        np.testing.assert_array_equal(labels, classes)


def test_damaged_facts_in_the_cache_are_found_again(tmp_path):
    path = made(tmp_path / "mine", [OBJECT * 255])
    before = folder.load(path).classes
    for kept in (tmp_path / "cache" / "facts").glob("masks-*.log"):
        kept.write_text("[{}", encoding="utf-8")
    assert folder.load(path).classes == before
    for kept in (tmp_path / "cache" / "facts").glob("masks-*.log"):
        kept.write_text("[]", encoding="utf-8")
    assert folder.load(path).classes == before


# ---------------------------------------------------------------- grey levels and edges


def levels(*values: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    for place, value in enumerate(values):
        mask[2 : 20 - 4 * place, 3 + 6 * place : 8 + 6 * place] = value
    return mask


@pytest.mark.parametrize("values", [(128, 255), (127, 255), (85, 170, 255), (64, 128, 191, 255)])
def test_255_as_the_brightest_of_grey_levels_is_not_ignored_in_silence(tmp_path, values):
    read = folder.load(made(tmp_path / "a", [levels(*values)] * 3))
    assert "look like grey levels, and 255 is ignored" in read.warnings[0]
    names = {f"c{value}": value for value in (0, *values)}
    assert not folder.load(made(tmp_path / "b", [levels(*values)] * 3, names)).warnings


@pytest.mark.parametrize("values", [(1, 255), (15, 20, 255), (*range(1, 40), 70, 255)])
def test_255_beside_numbers_of_classes_is_ignored_as_before(tmp_path, values):
    mask = np.zeros(SIZE, np.uint8)
    mask.flat[: 5 * len(values)] = np.repeat(np.array(values, np.uint8), 5)
    assert not folder.load(made(tmp_path / "a", [mask] * 3)).warnings


def test_thin_lines_that_were_resized_are_not_dozens_of_classes(tmp_path):
    line = np.zeros((8 * SIZE[0], 8 * SIZE[1]), np.uint8)
    line[30:36] = 255
    for row in range(len(line)):
        line[row, row // 3 : row // 3 + 11] = 255
    small = Image.fromarray(line).resize(SIZE[::-1], Image.Resampling.BICUBIC)
    with pytest.raises(BenchError, match="compressed or resized"):
        folder.load(made(tmp_path / "a", [small] * 3))


# ---------------------------------------------------------------- what classes.json says


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"classes": ["a", "b"], "threshold": True}, '"threshold" is true. Accepted: a number such as 128.'),
        ({"classes": ["a", "b"], "ignore": ["#ffffff"]}, "the classes are values and the colour #ffffff"),
        ({"classes": {"a": "#000000", "b": "#800000"}, "ignore": [255]}, "the classes are colours and the value 255"),
        (["a", " "], '" " is no name'),
        (["a\n", "b"], "is no name"),
    ],
)
def test_a_line_of_classes_json_that_would_have_no_effect_is_refused(tmp_path, given, says):
    with pytest.raises(BenchError, match=re.escape(says)):
        folder.load(made(tmp_path / "a", [255 * OBJECT] * 3, given))


@pytest.mark.parametrize("place", ["masks/classes.json", "Classes.json"])
def test_a_classes_json_where_none_is_read_is_not_passed_over(tmp_path, place):
    made(tmp_path / "a", [255 * OBJECT] * 3)
    (tmp_path / "a" / place).write_text('["ground", "car"]', encoding="utf-8")
    with pytest.raises(BenchError, match=rf"{place}' isn't read there. Move it to '.*a/classes.json'"):
        folder.load(tmp_path / "a")
