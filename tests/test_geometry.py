"""Resizing: images and labels share one grid under every policy, and `restore` goes back the same way."""

import cv2
import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX, RESIZES
from bench.data.geometry import resize_image, resize_labels, restore

SIZES = ((20, 30), (37, 41), (120, 180), (60, 90), (64, 64), (90, 20))


def picture(height=60, width=90):
    """A bright square on black and its label; the square lies where no policy cuts it off."""
    image, labels = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    image[12:30, 39:49], labels[12:30, 39:49] = 255, 1
    return image, labels


def centre(weights, axis):
    """Compute the centre of mass, in pixels whose centres lie at halves."""
    return (weights.sum(1 - axis) * (np.arange(weights.shape[axis]) + 0.5)).sum() / weights.sum()


def expected_centre(size, policy, axis):
    """Compute where the square's centre (21, 44) of 60 x 90 moves by the policy's definition."""
    scales = np.array(size) / (60, 90)
    if policy != "stretch":
        scales[:] = scales.min() if policy == "letterbox" else scales.max()
    return (np.array([21.0, 44.0]) - (30, 45))[axis] * scales[axis] + size[axis] / 2


@pytest.mark.parametrize("policy", RESIZES)
@pytest.mark.parametrize("size", SIZES)
def test_images_and_labels_lie_on_one_grid(size, policy):
    """Image and labels agree; a letterbox pads by whole pixels, so it is off by up to 3/4 of a pixel."""
    image, labels = picture()
    bright = resize_image(image, size, policy)[..., 0] / 255.0
    marked = (resize_labels(labels, size, policy) == 1).astype(float)
    assert bright.shape == marked.shape == size
    for axis in (0, 1):
        exact = 0.75 if policy == "letterbox" else 0.05
        assert centre(bright, axis) == pytest.approx(expected_centre(size, policy, axis), abs=exact)
        assert centre(marked, axis) == pytest.approx(centre(bright, axis), abs=0.51)


def test_a_letterbox_is_black_and_ignored_around_the_whole_picture():
    image = np.full((40, 80, 3), 9, np.uint8)
    made, labels = resize_image(image, (30, 30), "letterbox"), resize_labels(image[..., 0], (30, 30), "letterbox")
    # scaled by 30 / 80 to 15 x 30: 7 rows above it, 8 below
    assert made[7:22].min() == labels[7:22].max() == 9
    assert made[:7].max() == made[22:].max() == 0
    assert labels[:7].min() == labels[22:].min() == IGNORE_INDEX
    assert resize_labels(image[..., 0], (30, 30), "letterbox", fill=0)[0, 0] == 0


def test_a_crop_is_the_centre_of_a_picture():
    columns = np.arange(80, dtype=np.uint8)
    image = np.broadcast_to(columns[None, :, None], (40, 80, 3))
    # of 40 x 80 at 40 x 40, the middle 40 columns; nothing is scaled
    np.testing.assert_array_equal(resize_image(image, (40, 40), "crop")[0, :, 0], columns[20:60])
    np.testing.assert_array_equal(resize_labels(image[..., 0], (40, 40), "crop")[0], columns[20:60])


def test_shrinking_an_image_averages_and_shrinking_labels_does_not():
    stripes = np.tile(np.array([0, 200], np.uint8), (8, 32))
    image = resize_image(np.repeat(stripes[..., None], 3, axis=2), (1, 8))
    labels = resize_labels(stripes, (1, 8))
    np.testing.assert_allclose(image, 100, atol=8)  # without antialiasing: 0 or 200
    assert set(np.unique(labels)) <= {0, 200}


@pytest.mark.parametrize("policy", RESIZES)
def test_numbers_of_objects_beyond_a_byte_are_kept(policy):
    numbers = np.zeros((20, 30), np.uint16)
    numbers[5:15, 12:18] = 700
    made = resize_labels(numbers, (40, 40), policy, fill=0)
    assert made.dtype == np.uint16
    assert set(np.unique(made)) == {0, 700}


# ---------------------------------------------------------------- the way back


@pytest.mark.parametrize("policy", ["stretch", "letterbox"])
@pytest.mark.parametrize("original", [(60, 90), (45, 45), (91, 60)])
@pytest.mark.parametrize("channels", [1, 2, 21])
def test_restore_is_the_way_back_on_smooth_maps(original, policy, channels):
    """A plane is scaled without error, except at the border, where the outermost values are repeated."""
    y, x = ((np.arange(side) + 0.5) / side for side in original)
    plane = (255 * (0.2 + 0.3 * y[:, None] + 0.4 * x[None, :])).astype(np.float32)
    small = resize_image(np.repeat(plane.round().astype(np.uint8)[..., None], 3, 2), (32, 48), policy)
    values = np.repeat(small[..., :1].astype(np.float32), channels, axis=2)

    back = restore(values, original, policy)

    assert back.shape == (*original, channels)
    assert back.dtype == np.float32
    inner = np.s_[6:-6, 6:-6]
    np.testing.assert_allclose(back[inner], np.repeat(plane[..., None], channels, 2)[inner], atol=2.0)


def test_restore_lies_on_the_labels_grid():
    _, labels = picture()
    for policy in ("stretch", "letterbox"):
        small = (resize_labels(labels, (120, 120), policy) == 1).astype(np.float32)[..., None]
        back = restore(small, labels.shape, policy)[..., 0] > 0.5
        assert (back != labels).mean() < 0.003  # a pixel around the square at most


def test_restore_uses_the_centres_of_pixels():
    values = np.array([[0.0, 1.0]], np.float32)[..., None]
    # four columns at 0.125, 0.375, 0.625, 0.875 of the width, between centres at 0.25 and 0.75
    np.testing.assert_allclose(restore(values, (1, 4))[0, :, 0], [0, 0.25, 0.75, 1])


def test_restore_of_the_own_size_changes_nothing():
    values = np.random.default_rng(0).random((8, 9, 3), np.float32)
    np.testing.assert_array_equal(restore(values, (8, 9)), values)


def test_what_was_cut_off_can_not_be_restored():
    with pytest.raises(BenchError, match="--resize crop can't be restored"):
        restore(np.zeros((4, 4, 2), np.float32), (8, 8), "crop")


def test_an_unknown_policy_says_what_there_is():
    with pytest.raises(BenchError, match=r"'strech'.*Did you mean 'stretch'.*letterbox"):
        resize_image(np.zeros((4, 4, 3), np.uint8), (8, 8), "strech")


def test_opencv_agrees_with_pillow_when_growing():
    """Both libraries put pixel centres at the same places."""
    image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    other = cv2.resize(image, (40, 33), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(resize_image(image, (33, 40)).astype(int), other, atol=2)
