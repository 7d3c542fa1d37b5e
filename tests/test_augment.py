"""Augmentation: against SciPy, image and labels together, and the same on every backend."""

import numpy as np
import pytest
from backend_checks import augment_inputs, results
from keras import ops
from scipy import ndimage

from bench.core.errors import BenchError
from bench.core.recipe.augment_text import PRESETS, canonical_augment, join_parts, parse_augment
from bench.training import augment
from tests.conftest import EACH_BACKEND


def apply(images, labels, draws):
    return tuple(map(ops.convert_to_numpy, augment.apply(images, labels, np.asarray(draws, np.float32))))


def reference(image, labels, flip, angle, brightness, contrast, zoom=0, down=0, right=0, saturation=0):
    """One image by SciPy in float64: moved, zoomed and rotated about the centre, then flipped."""
    height, width = labels.shape
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    rows = (np.cos(angle) * y - np.sin(angle) * x) / np.exp(zoom) - down * height
    columns = (np.sin(angle) * y + np.cos(angle) * x) / np.exp(zoom) - right * width
    rows, columns = rows + (height - 1) / 2, (-columns if flip else columns) + (width - 1) / 2
    channels = [
        ndimage.map_coordinates(c / 255, [rows, columns], order=1, mode="reflect") for c in np.moveaxis(image, -1, 0)
    ]
    moved = ndimage.map_coordinates(labels.astype(np.int32), [rows, columns], order=0, mode="reflect")
    values = np.stack(channels, axis=-1)
    grey = values.mean(axis=-1, keepdims=True)
    values = grey + (values - grey) * (1 + saturation)
    return np.clip((values - 0.5) * (1 + contrast) + 0.5 + brightness, 0, 1), moved


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_every_backend_agrees_with_scipy(backend, preset):
    images, labels, draws = augment_inputs(preset)
    found = results(backend)
    assert (found[f"{preset} images"].dtype, found[f"{preset} labels"].dtype) == (np.float32, np.int32)
    assert draws[:, 0].any() and not draws[:, 0].all()  # some are flipped and some are not
    expected = [reference(*one) for one in zip(images, labels, *draws.astype(np.float64).T, strict=True)]
    np.testing.assert_allclose(found[f"{preset} images"], np.array([e[0] for e in expected]), atol=2e-4)
    differ = found[f"{preset} labels"] != np.array([e[1] for e in expected])
    assert differ.mean() < 1e-3  # rounding of the coordinates in float32, next to a half


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_zero_draws_and_no_draws_change_no_bit(backend, preset):
    images, labels, _ = augment_inputs()
    found, kind = results(backend), f"{preset} zero"
    np.testing.assert_array_equal(found[f"{kind} images"], images.astype(np.float32) * np.float32(1 / 255))
    np.testing.assert_array_equal(found[f"{kind} labels"], labels)
    assert found[f"{kind} labels"].dtype == np.int32


def test_standard_draws_are_those_of_the_first_results():
    """Keys of results name the preset: its numbers must not change."""
    draws = augment.draw("standard", np.random.default_rng(0), 2)
    expected = [[0, -0.06428768, -0.18361059, -0.19338894], [0, 0.1152631, 0.04265431, 0.09179863]]
    np.testing.assert_allclose(draws, expected, rtol=1e-6)


# Angles of 8 degrees; and with these, zooms and shifts.
MOVES = np.zeros((4, 8), np.float32)
MOVES[:, 0], MOVES[:, 1] = [0, 1, 0, 1], np.radians([8, -8, 3, 0])
FURTHER = MOVES.copy()
FURTHER[:3, 4:7] = [[0.2, 0.1, 0], [-0.2, 0, -0.1], [0, 0.05, 0.1]]


@pytest.mark.parametrize("draws", [MOVES[:, :4], FURTHER], ids=["standard", "strong"])
def test_image_and_labels_move_together(draws):
    """The image holds its labels as grey values; both must agree wherever no two labels are mixed."""
    rng = np.random.default_rng(0)
    known = np.array([0, 1, 3, 255], np.uint8)
    labels = np.kron(rng.choice(known, (4, 4, 8)), np.ones((8, 8), np.uint8)).astype(np.uint8)  # (4, 32, 64) of 8 x 8
    images = np.repeat(labels[..., None], 3, axis=-1)
    moved_images, moved_labels = apply(images, labels, draws)
    assert set(np.unique(moved_labels)) == set(known.tolist())
    agree = np.abs(moved_images[..., 0] * 255 - moved_labels) < 0.5
    assert agree.mean() > 0.75
    assert (moved_labels != labels).mean() > 0.2
    # a disagreement only next to another label
    flat = ndimage.maximum_filter(moved_labels, (1, 3, 3)) == ndimage.minimum_filter(moved_labels, (1, 3, 3))
    assert agree[flat].mean() > 0.99
    np.testing.assert_array_equal(moved_labels[3], labels[3, :, ::-1])


def test_flip_alone_is_exact():
    images, labels, _ = augment_inputs()
    draws = np.zeros((6, 4), np.float32)
    draws[:, 0] = 1
    moved_images, moved_labels = apply(images, labels, draws)
    np.testing.assert_array_equal(moved_images, images[:, :, ::-1].astype(np.float32) * np.float32(1 / 255))
    np.testing.assert_array_equal(moved_labels, labels[:, :, ::-1])


def test_zoom_shift_and_saturation_by_hand():
    image = np.zeros((2, 8, 12, 3), np.uint8)
    labels = np.zeros((2, 8, 12), np.uint8)
    image[:, 3:5, 5:7], labels[:, 3:5, 5:7] = [40, 80, 120], 1
    zoomed, moved = np.zeros((2, 8), np.float32)
    zoomed[4], moved[5:7], moved[7] = np.log(2), [0.25, -0.25], 0.5
    images, classes = apply(image, labels, [zoomed, moved])
    assert (np.argwhere(classes[0]).min(0).tolist(), np.argwhere(classes[0]).max(0).tolist()) == ([2, 4], [5, 7])
    assert (np.argwhere(classes[1]).min(0).tolist(), np.argwhere(classes[1]).max(0).tolist()) == ([5, 2], [6, 3])
    # its grey is 80: 80 - 40 * 1.5 and 80 + 40 * 1.5
    np.testing.assert_allclose(images[1, 5, 2] * 255, [20, 80, 140], atol=1e-3)


def test_brightness_and_contrast_by_hand():
    images = np.full((2, 1, 1, 3), 51, np.uint8)  # 0.2
    labels = np.zeros((2, 1, 1), np.uint8)
    moved, _ = apply(images, labels, [[0, 0, 0.1, 0.5], [0, 0, -0.3, 0]])
    # (0.2 - 0.5) * 1.5 + 0.5 + 0.1 = 0.15; 0.2 - 0.3 is clipped
    assert moved[:, 0, 0, 0].tolist() == pytest.approx([0.15, 0.0])


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 40), (1, 40, 1), (1, 3, 90)])
def test_extreme_shapes_stay_inside(shape):
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([1, 2, 255], np.uint8), shape)
    images = np.full((*shape, 3), 200, np.uint8)
    draws = augment.draw("strong", rng, shape[0]) * [1, 1, 0, 0, 1, 1, 1, 1]  # of a grey image
    moved_images, moved_labels = apply(images, labels, draws)
    assert moved_images == pytest.approx(200 / 255)
    assert np.isin(moved_labels, labels).all()


def test_images_of_a_batch_do_not_mix():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 9, 7, 3), np.uint8) * 50
    labels = images[..., 0] // 50
    draws = augment.draw("strong", np.random.default_rng(0), 5) * [1, 1, 0, 0, 1, 1, 1, 1]
    moved_images, moved_labels = apply(images, labels, draws)
    np.testing.assert_array_equal(moved_labels, labels)
    np.testing.assert_allclose(moved_images * 255, images, atol=1e-3)


@pytest.mark.parametrize(
    ("preset", "limits"),
    [
        ("light", [0, 0.1, 0]),
        ("standard", [np.radians(8), 0.2, 0.2]),
        ("strong", [np.radians(20), 0.3, 0.3, np.log(1.25), 0.1, 0.1, 0.5]),
    ],
)
def test_draws_are_reproducible_and_within_the_preset(preset, limits):
    first, again = (augment.draw(preset, np.random.default_rng(5), 4000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert not np.array_equal(first, augment.draw(preset, np.random.default_rng(6), 4000))
    assert set(first[:, 0]) == {0, 1}
    assert first[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    limits = np.array(limits)
    assert (np.abs(first[:, 1:]) <= limits).all()
    np.testing.assert_allclose(first[:, 1:].max(axis=0), limits, rtol=0.01)
    np.testing.assert_allclose(first[:, 1:].min(axis=0), -limits, rtol=0.01)


def test_none_draws_nothing_and_a_misspelt_preset_says_what_there_is():
    assert augment.draw("none", np.random.default_rng(0), 3).shape == (3, 0)
    with pytest.raises(BenchError, match=r"'standart'.*Did you mean 'standard'.*none, light, standard, strong"):
        augment.draw("standart", np.random.default_rng(0), 3)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("flip+rotate8+brightness0.1", "flip+rotate8+brightness0.1"),
        ("brightness0.10 + flip0.5+ rotate8.0", "flip+rotate8+brightness0.1"),
        ("flip, rotate8,brightness0.1", "flip+rotate8+brightness0.1"),
        ("flip+brightness0.1", "light"),
        ("contrast0.2+rotate8+brightness0.2+flip", "standard"),
        ("flip0.25", "flip0.25"),
        ("zoom1.5", "zoom1.5"),
        ("shift1e-3", "shift0.001"),
    ],
)
def test_an_augmentation_has_one_spelling(text, stored):
    assert canonical_augment(text) == stored == canonical_augment(stored)
    assert parse_augment(text) == parse_augment(stored)


def test_parts_draw_what_they_say_and_nothing_else():
    draws = augment.draw("flip+rotate8", np.random.default_rng(1), 2000)
    assert draws.shape == (2000, 4)
    assert np.degrees(np.abs(draws[:, 1]).max()) == pytest.approx(8, rel=0.01)
    assert not draws[:, 2:].any()
    assert draws[:, 0].mean() == pytest.approx(0.5, abs=0.05)


def test_neighbouring_parts_in_a_list_are_one_augmentation_and_presets_stand_alone():
    assert join_parts(["flip", "rotate8", "brightness0.1"]) == ["flip+rotate8+brightness0.1"]
    assert join_parts(["none", "flip", "rotate8", "strong", "zoom2"]) == ["none", "flip+rotate8", "strong", "zoom2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flip+rotat8", r"'rotat'.*Did you mean 'rotate'"),
        ("flip+flip", "flip twice"),
        ("rotate", "rotate takes degrees above 0, up to 180, such as rotate20"),
        ("rotate-8", "'rotate-8'"),
        ("zoom0.5", "zoom takes a largest factor above 1, up to 4, such as zoom1.25"),
        ("flip1.5", "flip takes a probability"),
        ("rotate1.2.3", "rotate takes degrees"),
        ("brightnessnan", "'brightnessnan'"),
        ("light+flip", "light is a preset, which stands alone"),
        ("flip,none", "none is a preset, which stands alone"),
        ("flip+", "Accepted: a preset, or parts"),
        ("", "Accepted: a preset, or parts"),
    ],
)
def test_what_is_no_augmentation_says_what_is(text, said):
    with pytest.raises(BenchError, match=said):
        parse_augment(text)
