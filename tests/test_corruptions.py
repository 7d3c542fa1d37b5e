"""Corruptions of images by the published formulas, each against a vector made by hand; moves of labels; the table."""

import math
from functools import partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.data import batches, geometry
from bench.data.packing.packed import Pack
from bench.evaluation.corruptions import blurs, moves, pixel_changes
from bench.evaluation.corruptions.corrupted_pack import CorruptedPack
from bench.evaluation.corruptions.corruption_table import CORRUPTIONS, SEVERITIES, SIDE, Condition, conditions

ANY = np.random.default_rng(0)
FULL = 1.0  # the scale of images with a side of 224 pixels


def grey(*rows) -> np.ndarray:
    """An image, uint8 (H, W, 3), with equal channels."""
    return np.repeat(np.array(rows, np.uint8)[..., None], 3, axis=-1)


def point(side=9, value=255) -> np.ndarray:
    image = np.zeros((side, side), np.uint8)
    image[side // 2, side // 2] = value
    return grey(*image)


def test_noise_is_the_draws_times_the_deviation_and_stays_in_range():
    image = grey([0, 128, 255])
    drawn = np.random.default_rng(5).normal(0, 1, image.shape)
    noisy = pixel_changes.gaussian_noise(image, 0.38, np.random.default_rng(5), FULL)
    np.testing.assert_array_equal(noisy, np.rint(np.clip(image + 0.38 * 255 * drawn, 0, 255)))


def test_brightness_adds_to_the_largest_channel_and_keeps_hue_and_saturation():
    image = np.array([[[100, 50, 0], [200, 200, 100]]], np.uint8)
    # value 100 / 255 + 0.2 = 151 / 255: all channels times 1.51; 200 / 255 + 0.2 = 251 / 255: times 1.255
    brighter = pixel_changes.brightness(image, 0.2, ANY, FULL)
    np.testing.assert_allclose(brighter, [[[151, 75.5, 0], [251, 251, 125.5]]], atol=0.51)
    assert pixel_changes.brightness(image, 0.5, ANY, FULL)[0, 1].tolist() == [255, 255, 128]  # value 1 at most


def test_contrast_shrinks_the_distance_from_each_channels_mean():
    image = np.array([[[0, 10, 7], [100, 30, 7]]], np.uint8)  # means 50, 20, 7
    assert pixel_changes.contrast(image, 0.1, ANY, FULL).tolist() == [[[45, 19, 7], [55, 21, 7]]]


def test_pixelation_shows_means_of_squares():
    image = grey([0, 4, 100, 100], [8, 8, 100, 100], [50, 50, 0, 0], [50, 50, 200, 200])
    blocks = pixel_changes.pixelation(image, 0.5, ANY, FULL)[..., 0]
    assert blocks.tolist() == [[5, 5, 100, 100], [5, 5, 100, 100], [50, 50, 100, 100], [50, 50, 100, 100]]
    assert pixel_changes.pixelation(grey([9]), 0.25, ANY, FULL).tolist() == [[[9, 9, 9]]]  # one pixel is left at least


def test_jpeg_keeps_what_its_cosines_hold():
    # A block of one value has only the first coefficient: 8 (v - 128), a multiple of quality 25's 32 for v = 132.
    flat = grey(*np.full((16, 16), 132))
    np.testing.assert_array_equal(pixel_changes.jpeg(flat, 25, ANY, FULL), flat)
    # For v = 133 it is 40, which is rounded to a multiple of 32: 32 (v = 132) as 40 / 32 = 1.25.
    near = grey(*np.full((16, 16), 133))
    np.testing.assert_array_equal(pixel_changes.jpeg(near, 25, ANY, FULL), flat)


def test_gaussian_blur_weighs_by_distance():
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    weights /= weights.sum()
    blurred = blurs.gaussian_blur(point(), 1, ANY, FULL)[..., 0]
    np.testing.assert_array_equal(blurred, np.rint(255 * np.outer(weights, weights)))
    half = blurs.gaussian_blur(point(), 2, ANY, 0.5)  # a deviation of 2 of 224 pixels is one of 112
    np.testing.assert_array_equal(half[..., 0], blurred)
    edge = blurs.gaussian_blur(grey([0, 0, 0, 0, 200]), 1, ANY, FULL)[0, -1, 0]
    assert edge == round(200 * weights[4:].sum())  # the last pixel is repeated beyond the border


def test_a_disk_has_equal_weights_within_its_radius():
    # x^2 + y^2 <= 9: 1, 5, 5, 7, 5, 5, 1 pixels in seven rows, 29 in all
    kernel = blurs.disk(3, 1e-6, FULL)
    assert kernel.shape == (17, 17) and np.count_nonzero(kernel) == 29
    assert np.count_nonzero(kernel, axis=1).tolist() == [0] * 5 + [1, 5, 5, 7, 5, 5, 1] + [0] * 5
    assert kernel.max() == pytest.approx(1 / 29) == kernel[8, 8]
    blurred = blurs.defocus_blur(point(21), (3, 1e-6), ANY, FULL)[..., 0]
    assert blurred[10, 10] == blurred[10, 13] == round(255 / 29) and blurred[10, 14] == 0


@pytest.mark.parametrize(("radius", "side"), [(3, 17), (8, 17), (10, 21)])
def test_a_disk_at_another_scale_keeps_its_share_of_the_image(radius, side):
    full, small = blurs.disk(radius, 0.5, FULL), blurs.disk(radius, 0.5, 96 / SIDE)
    assert full.shape == (side, side) and small.sum() == pytest.approx(1)

    def spread(kernel):
        places = np.arange(len(kernel)) - len(kernel) // 2
        return math.sqrt((kernel.sum(axis=0) * places**2).sum())

    assert spread(small) / spread(full) == pytest.approx(96 / SIDE, rel=0.15)


def test_motion_goes_one_way_with_half_a_gaussian():
    # ImageMagick: weights exp(-i^2 / (2 s^2)) at i steps, here to the right
    weights = np.exp(-(np.arange(5) ** 2) / 8)
    weights /= weights.sum()
    flat = blurs.line(2, 2, 0)
    np.testing.assert_allclose(flat[4, 4:], weights)
    assert np.count_nonzero(flat) == 5
    # at 45 degrees ceil(0.707 i - 0.5) is 0, 1, 1, 2, 3 steps in both directions
    expected = [weights[0], weights[1] + weights[2], weights[3], weights[4]]
    np.testing.assert_allclose(np.diag(blurs.line(2, 2, 45))[4:8], expected)
    assert np.diag(blurs.line(2, 2, -45)[::-1])[4:8] == pytest.approx(expected)
    # a kernel to the right takes from the right: the point is drawn out to its left
    row = cv2.filter2D(point()[..., 0] / 255, -1, flat)[4]
    np.testing.assert_allclose(row[4::-1], weights)


def test_a_rotation_turns_counterclockwise_and_labels_go_along():
    image = grey([1, 2, 3], [4, 5, 6], [7, 8, 9])
    turned = [[3, 6, 9], [2, 5, 8], [1, 4, 7]]
    move = moves.Move(degrees=90)
    assert move.image(image, (3, 3))[..., 0].tolist() == turned
    assert move.labels(image[..., 0], (3, 3), 255).tolist() == turned


def test_pixels_from_outside_are_mirrored_in_the_image_and_ignored_in_the_labels():
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    smaller = moves.Move(factor=0.5).labels(labels, (4, 4), 255)
    assert (smaller[[0, -1]] == 255).all() and (smaller[:, [0, -1]] == 255).all()
    assert (smaller[1:3, 1:3] < 16).all()
    assert moves.Move(factor=0.5).labels(labels.astype(np.uint16), (4, 4), 0)[0].tolist() == [0] * 4
    flat = np.full((4, 4, 3), 77, np.uint8)
    for move in (moves.Move(factor=0.5), moves.Move(degrees=45)):
        np.testing.assert_array_equal(move.image(flat, (4, 4)), flat)  # no black corners
    assert (moves.Move(degrees=45).labels(labels, (4, 4), 255)[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()


def test_an_enlargement_by_two_shows_the_middle_half():
    labels = np.repeat(np.repeat(np.array([[1, 2], [3, 4]], np.uint8), 4, axis=0), 4, axis=1)
    assert np.array_equal(moves.Move(factor=2).labels(labels, (8, 8), 255), labels)
    frame = np.zeros((8, 8), np.uint8)
    frame[2:6, 2:6] = 1
    assert (moves.Move(factor=2).labels(frame, (8, 8), 255) == 1).all()


def test_a_stretched_image_turns_as_its_photograph_does():
    """A photograph twice as wide as high, stretched to a square: a quarter turn takes what is left to the foot."""
    photograph = np.zeros((40, 80), np.uint8)
    photograph[18:22, 28:32] = 1  # 10 pixels left of the centre
    square = geometry.resize_labels(photograph, (40, 40))
    turned = moves.Move(degrees=90).labels(square, (40, 80), 255)
    rows, columns = np.nonzero(turned == 1)
    assert (rows.mean(), columns.mean()) == pytest.approx((29.5, 19.5), abs=0.6)  # 10 below the centre
    native = moves.Move(degrees=90).labels(photograph, (40, 80), 255)
    rows, columns = np.nonzero(native == 1)
    assert (rows.mean(), columns.mean()) == pytest.approx((29.5, 39.5), abs=0.6)


def test_both_directions_are_drawn_evenly():
    drawn = [(moves.rotation(30, rng), moves.scale(2, rng)) for rng in map(np.random.default_rng, range(200))]
    assert {turn.degrees for turn, _ in drawn} == {-30, 30} and {size.factor for _, size in drawn} == {0.5, 2}
    assert 70 < sum(turn.degrees > 0 for turn, _ in drawn) < 130


def fake_pack(size=(16, 16), originals=((16, 16), (32, 16), (10, 30)), resize="stretch"):
    rng = np.random.default_rng(1)
    truths = [rng.integers(0, 3, original, dtype=np.uint8) for original in originals]
    images = [rng.integers(0, 256, (*original, 3), dtype=np.uint8) for original in originals]
    pack = SimpleNamespace(
        names=tuple(f"image_{i}" for i in range(len(originals))),
        groups=tuple("abc"),
        classes=("a", "b", "c"),
        images=np.stack([geometry.resize_image(image, size, resize) for image in images]),
        labels=np.stack([geometry.resize_labels(truth, size, resize) for truth in truths]),
        original_sizes=originals,
        truth=lambda index: truths[index],
        instances=lambda index: truths[index].astype(np.uint16) if index else None,
    )
    pack.rows = partial(Pack.rows, pack)
    return pack


def pixels(pack, order):
    """Images and labels of rows, each as one array."""
    images, labels = zip(*((row.image, row.labels) for row in pack.rows(order)), strict=True)
    return np.stack(images), np.stack(labels)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_each_kind_changes_images_equally_for_all_readers_and_labels_only_by_moves(kind, resize):
    pack = fake_pack(resize=resize)
    every = np.arange(3)
    severe = CorruptedPack(pack, Condition(kind, 5), resize)
    images, labels = pixels(severe, every)
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == pack.images.shape and labels.shape == pack.labels.shape
    assert not np.array_equal(images, pack.images)
    one_by_one = CorruptedPack(pack, Condition(kind, 5), resize)  # another process, another batch, another order
    for index in (2, 0, 1):
        (image,), (label,) = pixels(one_by_one, np.array([index]))
        np.testing.assert_array_equal(image, images[index])
        np.testing.assert_array_equal(label, labels[index])
    assert np.array_equal(labels, pack.labels) != CORRUPTIONS[kind].moves
    assert set(np.unique(labels)) <= {0, 1, 2, 255}
    none, row, _ = severe.rows(every)
    truth = row.truth()
    assert truth.shape == (32, 16) and np.array_equal(truth, pack.truth(1)) != CORRUPTIONS[kind].moves
    assert none.instances() is None and row.instances().max() <= 2  # not ignored: 0 is no object


def test_padding_stays_black_and_ignored():
    pack = fake_pack(resize="letterbox")
    for kind in CORRUPTIONS:
        view = CorruptedPack(pack, Condition(kind, 5), "letterbox")
        (image,), (labels,) = pixels(view, np.array([1]))
        assert not image[:, :4].any() and not image[:, 12:].any(), kind  # 32 x 16 in a square
        assert (labels[:, :4] == 255).all()


@pytest.mark.parametrize("kind", [name for name, corruption in CORRUPTIONS.items() if not corruption.moves])
def test_severer_is_further_from_the_clean_image(kind):
    rng = np.random.default_rng(3)
    picture = cv2.resize(
        rng.integers(60, 190, (12, 12, 3), dtype=np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    pack = SimpleNamespace(names=("x",), groups=("x",), classes=("a",), images=picture[None],
                           labels=np.zeros((1, SIDE, SIDE), np.uint8), original_sizes=((SIDE, SIDE),),
                           truth=lambda index: None, instances=lambda index: None)  # fmt: skip
    pack.rows = partial(Pack.rows, pack)
    changed = [pixels(CorruptedPack(pack, Condition(kind, s)), np.array([0]))[0][0].astype(float) for s in SEVERITIES]
    distances = [np.abs(image - picture).mean() for image in changed]
    assert distances == sorted(distances) and distances[0] > 0


def test_a_view_is_read_in_batches_as_a_pack_is():
    view = CorruptedPack(fake_pack(), Condition("noise", 1))
    first, last = batches.evaluation(view, np.arange(3), 2)
    assert [len(first.rows), len(last.rows)] == [2, 1] and first.images.shape == last.images.shape == (2, 16, 16, 3)
    assert (last.labels[1] == 255).all() and first.labels.shape == (2, 16, 16)


def test_every_kind_has_five_amounts_and_a_source():
    for corruption in CORRUPTIONS.values():
        assert len(corruption.amounts) == len(SEVERITIES) and corruption.source and corruption.meaning


def test_conditions_begin_with_clean_images_and_keep_the_tables_order():
    assert len(conditions()) == 1 + 5 * len(CORRUPTIONS) and str(conditions()[0]) == "clean"
    assert [str(one) for one in conditions(["noise", "blur"], [3, 1, 3])] == [
        "clean", "blur 1", "blur 3", "noise 1", "noise 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "severities", "said"),
    [
        (["blurr"], None, "Unknown kind of corruption 'blurr'. Did you mean 'blur'? Available: blur, defocus"),
        (None, [0], "The severity 0 doesn't exist. Accepted: 1 (mild) to 5 (severe)"),
        (["noise"], [6], "The severity 6 doesn't exist."),
        ([], None, "Give at least one kind"),
        (None, [], "at least one kind of corruption and one severity"),
        (["clean"], None, "Unknown kind of corruption 'clean'"),
    ],
)
def test_unknown_kinds_and_severities_are_named(kinds, severities, said):
    with pytest.raises(BenchError) as error:
        conditions(kinds, severities)
    assert said in str(error.value)
