"""The 95th percentile of boundary distances: by hand, and against a loop over all pairs of boundary pixels."""

from math import hypot, inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.evaluation.image_metrics import metrics_for
from bench.evaluation.metric_protocol import Prediction
from bench.evaluation.metrics.hausdorff import HAUSDORFF95, hausdorff95, image_hausdorff95

SIZE = (30, 40)  # its diagonal is 50


def mask(*pixels: tuple[int, int], size=SIZE) -> np.ndarray:
    found = np.zeros(size, bool)
    for row, column in pixels:
        found[row, column] = True
    return found


def box(top: int, left: int, height: int, width: int, size=SIZE) -> np.ndarray:
    found = np.zeros(size, bool)
    found[top : top + height, left : left + width] = True
    return found


def score(labels: np.ndarray, classes: np.ndarray, names=("background", "thing")) -> float:
    return image_hausdorff95(Prediction(labels.astype(np.uint8), classes.astype(np.uint8), names, np.zeros(0)))


def test_one_pixel_against_one_pixel_is_their_distance():
    assert hausdorff95(mask((10, 10)), mask((13, 14))) == 5  # 3 rows and 4 columns
    assert hausdorff95(mask((10, 10)), mask((10, 10))) == 0


def test_a_percentile_is_interpolated_between_neighbouring_distances():
    # A row of 21 pixels against its first one: back from the single pixel 0; there 0, 1, ..., 20, of which
    # 95 % is at place 0.95 x 20 = 19. Of 11 pixels it is at place 9.5, between 9 and 10.
    assert hausdorff95(box(5, 5, 1, 21), mask((5, 5))) == 19
    assert hausdorff95(box(5, 5, 1, 11), mask((5, 5))) == 9.5


def test_few_wrong_pixels_do_not_decide_and_the_worse_direction_counts():
    square, speck = box(5, 5, 11, 11), mask((25, 35))
    # 40 pixels of the square's ring and the speck: one of 41 is above place 0.95 x 40 = 38, so that the value is 0.
    assert hausdorff95(square, square | speck) == hausdorff95(square | speck, square) == 0
    # The small square lies in a corner of the large one: its 4 pixels are at most sqrt(2) from the large ring, but the
    # opposite corner of the large ring is sqrt(18^2 + 18^2) = 25.5 from the small square.
    large, small = box(2, 2, 20, 20), box(2, 2, 2, 2)
    assert hausdorff95(large, small) == hausdorff95(small, large) == pytest.approx(brute_force(large, small))
    assert 18 < hausdorff95(large, small) < sqrt(2 * 18**2)


def test_a_shifted_square_is_as_far_as_its_shift():
    # Of a ring's 36 pixels the outer column's 10 (28 %) are 3 from the other ring, and none is farther: 95 % is 3.
    assert hausdorff95(box(5, 5, 10, 10), box(5, 8, 10, 10)) == 3


def test_a_region_without_counterpart_costs_the_diagonal_and_two_empty_ones_have_no_value():
    nothing = mask()
    assert np.isnan(hausdorff95(nothing, nothing))
    assert hausdorff95(box(5, 5, 3, 3), nothing) == hausdorff95(nothing, box(5, 5, 3, 3)) == 50
    assert hausdorff95(mask((0, 0)), mask((29, 39))) < 50  # to predict anything is better
    assert np.isnan(score(nothing, nothing)) and score(nothing, mask((3, 3))) == 50


def test_the_images_border_bounds_a_region():
    everywhere, middle = box(0, 0, 30, 40), box(14, 0, 2, 40)
    assert hausdorff95(everywhere, everywhere) == 0
    # The upper and the lower row, 80 of the border's 136 pixels, are 14 rows from the middle; none is farther.
    assert hausdorff95(everywhere, middle) == 14


def test_ignored_pixels_are_in_no_region_and_what_is_predicted_there_is_free():
    labels = np.where(box(0, 20, 30, 20), 255, box(5, 5, 10, 10))
    wrong = box(5, 5, 10, 10) | box(20, 25, 5, 5)  # the second lies in what is ignored
    assert score(labels, box(5, 5, 10, 10)) == score(labels, wrong) == 0
    assert score(labels, box(5, 5, 10, 30)) == score(labels, box(5, 5, 10, 15)) > 0  # cut where pixels are ignored
    assert np.isnan(score(np.full(SIZE, 255), wrong))
    void = np.where(box(4, 4, 12, 12), 255, 0)  # an object that is drawn with a band of ignored pixels around it
    void[5:15, 5:15] = 1
    assert score(void, box(4, 4, 12, 12)) == score(void, box(5, 5, 10, 10)) == 0


def test_classes_that_do_not_occur_and_the_background_are_left_out_of_the_mean():
    names = ("cat", "background", "dog", "cow")
    labels, classes = np.ones(SIZE, int), np.ones(SIZE, int)
    labels[10, 10], classes[13, 14] = 0, 0  # 5 pixels
    labels[20, 20], classes[20, 23] = 2, 2  # 3 pixels; no cow anywhere
    assert score(labels, classes, names) == (5 + 3) / 2
    labels[20, 20] = 1
    assert score(labels, classes, names) == (5 + 50) / 2  # a dog that isn't there


def test_the_mean_of_a_split_leaves_out_images_without_a_value():
    arrays = {"hausdorff95": np.array([2.0, np.nan, 5.0])}
    assert HAUSDORFF95.summary(arrays, ("a", "b")) == {"hausdorff95": 3.5, "hausdorff95_images": 2}
    arrays = {"hausdorff95": np.full(3, np.nan)}
    assert HAUSDORFF95.summary(arrays, ("a", "b")) == {"hausdorff95": None, "hausdorff95_images": 0}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_every_data_set_has_it(num_classes):
    assert HAUSDORFF95 in metrics_for((), num_classes)


def boundary(region: np.ndarray) -> list[tuple[int, int]]:
    inside = np.pad(region, 1)
    found = []
    for row, column in np.argwhere(region):
        around = ((0, 1), (2, 1), (1, 0), (1, 2))  # above, below, left, right, in the padded array
        if not all(inside[row + down, column + right] for down, right in around):
            found.append((row, column))
    return found


def brute_force(true: np.ndarray, predicted: np.ndarray) -> float:
    """The definition in loops over all pairs, with the percentile defined by its place among the sorted values."""
    edges = boundary(true), boundary(predicted)
    if not edges[0] or not edges[1]:
        return hypot(*true.shape) if edges[0] or edges[1] else float("nan")
    worst = -inf
    for mine, other in (edges, edges[::-1]):
        distances = sorted(min(sqrt((r - s) ** 2 + (c - d) ** 2) for s, d in other) for r, c in mine)
        place = 0.95 * (len(distances) - 1)
        low, high = distances[int(place)], distances[min(int(place) + 1, len(distances) - 1)]
        worst = max(worst, low + (place - int(place)) * (high - low))
    return worst


SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))


@given(SHAPES.flatmap(lambda shape: hnp.arrays(bool, (2, *shape))))
@settings(deadline=None, max_examples=80)
def test_dense_masks_agree_with_a_loop_over_all_pairs(masks):
    assert hausdorff95(*masks) == pytest.approx(brute_force(*masks), nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 79)), max_size=20), st.integers(0, 20))
@settings(deadline=None, max_examples=80)
def test_sparse_masks_agree_with_a_loop_over_all_pairs(pixels, first):
    masks = mask(*pixels[:first], size=(60, 80)), mask(*pixels[first:], size=(60, 80))
    assert hausdorff95(*masks) == pytest.approx(brute_force(*masks), nan_ok=True)
    assert hausdorff95(*masks[::-1]) == pytest.approx(hausdorff95(*masks), nan_ok=True)


@given(hnp.arrays(np.uint8, (2, 9, 11), elements=st.sampled_from([0, 1, 2, 255])))
@settings(deadline=None, max_examples=60)
def test_the_value_of_an_image_is_bounded_and_does_not_depend_on_its_orientation(maps):
    labels, classes = maps[0], np.where(maps[1] == 255, 0, maps[1])
    names = ("background", "a", "b")
    found = score(labels, classes, names)
    assert np.isnan(found) or 0 <= found <= hypot(9, 11)
    for turned in (np.fliplr, np.flipud, np.transpose):
        assert score(turned(labels), turned(classes), names) == pytest.approx(found, nan_ok=True)
    perfect = score(labels, np.where(labels == 255, 0, labels), names)
    assert perfect == 0 or (np.isnan(perfect) and not np.isin(labels, (1, 2)).any())
