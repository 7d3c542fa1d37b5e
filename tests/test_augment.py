"""Augmentation: against SciPy, image and labels together, and the same on every backend."""

import numpy as np
import pytest
from backend_checks import BACKENDS, augment_inputs, results
from keras import ops
from scipy import ndimage

from bench.errors import BenchError
from bench.pipeline import augment
from bench.spec import AUGMENTS


def apply(images, labels, draws):
    return tuple(map(ops.convert_to_numpy, augment.apply(images, labels, np.asarray(draws, np.float32))))


def reference(image, labels, flip, angle, brightness, contrast):
    """One image by SciPy in float64: rotated about the centre, then flipped."""
    height, width = labels.shape
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    rows = np.cos(angle) * y - np.sin(angle) * x + (height - 1) / 2
    columns = (np.sin(angle) * y + np.cos(angle) * x) * (-1 if flip else 1) + (width - 1) / 2
    channels = [
        ndimage.map_coordinates(c / 255, [rows, columns], order=1, mode="reflect") for c in np.moveaxis(image, -1, 0)
    ]
    moved = ndimage.map_coordinates(labels.astype(np.int32), [rows, columns], order=0, mode="reflect")
    return np.clip((np.stack(channels, axis=-1) - 0.5) * (1 + contrast) + 0.5 + brightness, 0, 1), moved


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_agrees_with_scipy(backend):
    images, labels, draws = augment_inputs()
    found = results(backend)
    assert (found["drawn images"].dtype, found["drawn labels"].dtype) == (np.float32, np.int32)
    assert draws[:, 0].any() and not draws[:, 0].all()  # some are flipped and some are not
    expected = [reference(*one) for one in zip(images, labels, *draws.astype(np.float64).T, strict=True)]
    np.testing.assert_allclose(found["drawn images"], np.array([e[0] for e in expected]), atol=2e-4)
    differ = found["drawn labels"] != np.array([e[1] for e in expected])
    assert differ.mean() < 1e-3  # rounding of the coordinates in float32, next to a half


@pytest.mark.parametrize("kind", ["zero", "none"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_draws_and_no_draws_change_no_bit(backend, kind):
    images, labels, _ = augment_inputs()
    found = results(backend)
    np.testing.assert_array_equal(found[f"{kind} images"], images.astype(np.float32) * np.float32(1 / 255))
    np.testing.assert_array_equal(found[f"{kind} labels"], labels)
    assert found[f"{kind} labels"].dtype == np.int32


def test_image_and_labels_move_together():
    """The image holds its labels as grey values; where no two labels are mixed both must say the same."""
    rng = np.random.default_rng(0)
    known = np.array([0, 1, 3, 255], np.uint8)
    labels = np.kron(rng.choice(known, (4, 4, 8)), np.ones((8, 8), np.uint8)).astype(np.uint8)  # (4, 32, 64) of 8 x 8
    images = np.repeat(labels[..., None], 3, axis=-1)
    draws = np.zeros((4, 4), np.float32)
    draws[:, 0], draws[:, 1] = [0, 1, 0, 1], np.radians([8, -8, 3, 0])
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
    moved_images, moved_labels = apply(images, labels, augment.draw("standard", rng, shape[0]) * [1, 1, 0, 0])
    assert moved_images == pytest.approx(200 / 255)
    assert np.isin(moved_labels, labels).all()


def test_images_of_a_batch_do_not_mix():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 9, 7, 3), np.uint8) * 50
    labels = images[..., 0] // 50
    draws = augment.draw("standard", np.random.default_rng(0), 5) * [1, 1, 0, 0]
    moved_images, moved_labels = apply(images, labels, draws)
    np.testing.assert_array_equal(moved_labels, labels)
    np.testing.assert_allclose(moved_images * 255, images, atol=1e-3)


def test_draws_are_reproducible_and_within_the_preset():
    first, again = (augment.draw("standard", np.random.default_rng(5), 4000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32
    assert not np.array_equal(first, augment.draw("standard", np.random.default_rng(6), 4000))
    assert set(first[:, 0]) == {0, 1}
    assert first[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    limits = np.array([np.radians(8), 0.2, 0.2])
    assert (np.abs(first[:, 1:]) <= limits).all()
    np.testing.assert_allclose(first[:, 1:].max(axis=0), limits, rtol=0.01)
    np.testing.assert_allclose(first[:, 1:].min(axis=0), -limits, rtol=0.01)


def test_none_draws_nothing_and_a_misspelt_preset_says_what_there_is():
    assert augment.draw("none", np.random.default_rng(0), 3).shape == (3, 0)
    assert tuple(augment.PRESETS) == AUGMENTS
    with pytest.raises(BenchError, match=r"'standart'.*Did you mean 'standard'.*none, standard"):
        augment.draw("standart", np.random.default_rng(0), 3)
