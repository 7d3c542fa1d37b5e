"""Boundary scores: by hand, against the definitions written with scipy, and by properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score

from bench.evaluation.metrics.boundary import boundary_counts, boundary_f, boundary_summary, contour_counts
from bench.evaluation.scores import iou


def square(top: int, left: int, side: int = 10, size=(40, 30)) -> np.ndarray:
    labels = np.zeros((1, *size), np.uint8)
    labels[0, top : top + side, left : left + side] = 1
    return labels


def test_boundary_iou_by_hand():
    # The diagonal of 40 x 30 is 50, of which 2 % is 1 pixel: the square's outermost ring, 36 pixels.
    # One column to the right the rings share the 9 middle pixels of the upper and the lower row.
    counts = boundary_counts(square(10, 10), square(10, 11), 2)
    assert counts.tolist() == [[[0, 0, 0], [18, 18, 18]]]
    assert iou(counts)[0, 1] == pytest.approx(18 / 54)


def test_the_images_border_is_a_boundary_of_the_region_and_not_of_the_contour():
    everywhere = np.ones((1, 40, 30), np.uint8)
    assert boundary_counts(everywhere, everywhere, 2)[0, 1].tolist() == [2 * 40 + 2 * 28, 0, 0]
    assert contour_counts(everywhere, everywhere, 2)[0, 1].tolist() == [0, 0, 0, 0]
    assert np.isnan(boundary_f(contour_counts(everywhere, everywhere, 2))[0, 1])


def test_contour_f_by_hand():
    # 0.75 % of 50 is below 1 pixel: contours must coincide. 18 of 36 do, so precision and recall are 0.5.
    counts = contour_counts(square(10, 10), square(10, 11), 2)
    assert counts[0, 1].tolist() == [18, 36, 18, 36]
    assert boundary_f(counts)[0, 1] == 0.5
    # 0.75 % of the diagonal 200 is 1.5 pixels: one column away is near.
    wide = (160, 120)
    near = contour_counts(square(10, 10, size=wide), square(10, 11, size=wide), 2)
    assert near[0, 1].tolist() == [36, 36, 36, 36]
    # Two columns away: 8 shared and one beside them in each of two rows, and the upper and lower end of the left
    # column, which lie beside a row of the other: 2 x 9 + 2.
    far = contour_counts(square(10, 10, size=wide), square(10, 12, size=wide), 2)
    assert far[0, 1].tolist() == [20, 36, 20, 36]


def test_one_without_contour_scores_nothing():
    assert boundary_f(np.array([0, 36, 0, 0])) == 0
    assert boundary_f(np.array([[0, 0, 0, 5], [2, 4, 1, 1]])) == pytest.approx([0, 2 * 0.5 / 1.5])


def test_ignored_pixels_make_no_boundary_and_do_not_count():
    labels = square(10, 10)
    cut = labels.copy()
    cut[:, :, 15:] = 255  # half of the square: a ring open to the right is left
    for predicted in (labels, np.where(cut == 255, 0, labels)):
        counts = boundary_counts(cut, labels, 2)
        assert counts[0, 1].tolist() == [5 + 5 + 8, 0, 0]
        assert contour_counts(cut, labels, 2)[0, 1].tolist() == [18] * 4
        assert boundary_counts(cut, predicted, 2).tolist() == counts.tolist()


def test_summary_by_hand():
    labels = np.concatenate([square(10, 10), square(10, 10), square(0, 0, side=0)])
    predicted = np.concatenate([square(10, 10), square(10, 11), square(0, 0, side=0)])
    summary = boundary_summary(boundary_counts(labels, predicted, 2), contour_counts(labels, predicted, 2))
    assert summary == pytest.approx(
        {
            "boundary_iou": (36 + 18) / (36 + 54),  # sums of both squares; the empty image has none
            "boundary_iou_per_image": (1 + 18 / 54) / 2,
            "boundary_f_per_image": (1 + 0.5) / 2,
        }
    )
    none = np.zeros((2, 3, 4), np.int64)
    assert set(boundary_summary(none[..., :3], none).values()) == {None}


def naive_region(mask, ignored, width):
    """Cheng's code: eroded with 3 x 3, the width many times, zeros beyond the image; ignored pixels erode nothing."""
    inner = ndimage.binary_erosion(mask | ignored, np.ones((3, 3)), width, border_value=0)
    return mask & ~inner & ~ignored


def naive_near(contour, other, tolerance):
    if not other.any():
        return 0
    return int((ndimage.distance_transform_edt(~other)[contour] <= tolerance).sum())


def naive_contour(mask, ignored):
    inner = ndimage.binary_erosion(mask | ignored, ndimage.generate_binary_structure(2, 1), border_value=1)
    return mask & ~inner & ~ignored


SIZES = st.sampled_from([(1, 1), (5, 9), (60, 80), (130, 120), (160, 240)])


@given(SIZES, st.integers(2, 4), st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_they_agree_with_the_definitions(size, num_classes, seed, with_ignored):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(3, *size)), (0, 4, 4), mode="nearest")
    cuts = np.quantile(smooth[0], np.arange(1, num_classes) / num_classes)
    truth = np.digitize(smooth[0], cuts).astype(np.uint8)
    guess = np.digitize(smooth[0] + 0.3 * smooth[1], cuts).astype(np.uint8)
    ignored = smooth[2] > np.quantile(smooth[2], 0.8) if with_ignored else np.zeros(size, bool)
    labels = np.where(ignored, 255, truth).astype(np.uint8)
    diagonal = np.hypot(*size)
    counts, contours = (
        boundary_counts(labels[None], guess[None], num_classes),
        contour_counts(labels[None], guess[None], num_classes),
    )
    for label in range(num_classes == 2, num_classes):
        masks = (labels == label, guess == label)
        true, predicted = (naive_region(mask, ignored, max(1, round(0.02 * diagonal))) for mask in masks)
        expected = [int(x.sum()) for x in (true & predicted, predicted & ~true, true & ~predicted)]
        assert counts[0, label].tolist() == expected
        if true.any() or predicted.any():
            score = jaccard_score(true.ravel(), predicted.ravel())
            assert iou(counts)[0, label] == pytest.approx(score)
        lines = [naive_contour(mask, ignored) for mask in masks]
        near = [naive_near(lines[1], lines[0], 0.0075 * diagonal), naive_near(lines[0], lines[1], 0.0075 * diagonal)]
        assert contours[0, label].tolist() == [near[0], lines[1].sum(), near[1], lines[0].sum()]
        if 0.0075 * diagonal < 1 and (lines[0].any() or lines[1].any()):  # contours must coincide
            score = f1_score(lines[0].ravel(), lines[1].ravel(), zero_division=0)
            assert boundary_f(contours)[0, label] == pytest.approx(score)


@given(hnp.arrays(np.uint8, (2, 2, 11, 13), elements=st.sampled_from([0, 0, 1, 2])))
@settings(deadline=None, max_examples=60)
def test_properties(maps):
    labels, predicted = maps
    counts, contours = boundary_counts(labels, predicted, 3), contour_counts(labels, predicted, 3)
    for scores in (iou(counts), boundary_f(contours)):
        assert not (scores < 0).any() and not (scores > 1).any()
    np.testing.assert_array_equal(counts[..., [0, 2, 1]], boundary_counts(predicted, labels, 3))
    np.testing.assert_array_equal(contours[..., [2, 3, 0, 1]], contour_counts(predicted, labels, 3))
    np.testing.assert_array_equal(boundary_f(contours), boundary_f(contour_counts(predicted, labels, 3)))
    same = iou(boundary_counts(labels, labels, 3))
    assert (same[~np.isnan(same)] == 1).all()
    order = np.array([2, 0, 1])  # the class that was 0 is called 2, ...
    for function, found in ((boundary_counts, counts), (contour_counts, contours)):
        renamed = function(order[labels], order[predicted], 3)
        np.testing.assert_array_equal(renamed[:, order], found)
        np.testing.assert_array_equal(function(labels[::-1], predicted[::-1], 3), found[::-1])
        flipped = function(labels[:, :, ::-1], predicted[:, :, ::-1], 3)
        np.testing.assert_array_equal(flipped, found)
