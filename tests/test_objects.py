"""Object scores: the competition's vectors by hand, a naive reference over scipy's components, properties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from sklearn.metrics import fbeta_score

from bench.api import airbus_f2
from bench.core.errors import BenchError
from bench.evaluation.metrics import objects
from bench.evaluation.metrics.objects import object_counts


def boxes(*corners: tuple[int, int, int, int], size=(40, 40)) -> np.ndarray:
    """A map that numbers its boxes (top, left, bottom, right)."""
    numbers = np.zeros(size, np.uint16)
    for number, (top, left, bottom, right) in enumerate(corners, 1):
        numbers[top:bottom, left:right] = number
    return numbers


def score(true, predicted, **options) -> float:
    (value,) = airbus_f2(true[None], predicted[None] != 0, **options)
    return value


FIRST, SECOND, THIRD = (0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10)


@pytest.mark.parametrize("instances", [True, False])
@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        (boxes(FIRST), boxes(FIRST), 1.0),
        (boxes(FIRST), boxes(FIRST, SECOND), 5 / 6),  # 5 TP / (5 TP + 1 FP)
        (boxes(FIRST, SECOND), boxes(FIRST), 5 / 9),  # 5 TP / (5 TP + 4 FN)
        (boxes(FIRST, SECOND), boxes(FIRST, THIRD), 5 / 10),
        (boxes(FIRST), boxes((0, 0, 10, 8)), 0.6),  # IoU 80 / 100: six of ten thresholds are below it
        (boxes(FIRST), boxes((0, 0, 10, 6)), 0.2),  # IoU 60 / 100: 0.50 and 0.55; 0.60 is not below
        (boxes(FIRST), boxes((0, 0, 10, 5)), 0.0),  # IoU exactly 0.5 is no hit
        (boxes(FIRST), boxes((0, 0, 10, 20)), 0.0),
        (boxes(), boxes(), 1.0),
        (boxes(), boxes(FIRST), 0.0),
        (boxes(FIRST), boxes(), 0.0),
    ],
)
def test_vectors_by_hand(true, predicted, expected, instances):
    assert score(true, predicted, true_is_instances=instances) == pytest.approx(expected, abs=1e-12)


def test_every_threshold_by_hand():
    # 100 true pixels of which the prediction has k: IoU k / 100 is above 0.50, 0.55, ... below it
    true = boxes(FIRST)
    for pixels in range(50, 101):
        predicted = np.zeros_like(true)
        predicted[:10, :10].flat[:pixels] = 1
        above = sum(20 * pixels > 100 * k for k in range(10, 20))
        assert score(true, predicted) == pytest.approx(above / 10, abs=1e-12), pixels


def test_touching_ships_predicted_as_one_blob_score_nothing():
    true = boxes((0, 0, 10, 10), (0, 10, 10, 20))
    assert score(true, true, true_is_instances=True) == 0
    assert score(true, true) == 1  # without numbers they are one ship


def test_components_are_joined_over_corners():
    corners = np.eye(4, dtype=np.uint8)
    assert objects.components(corners).max() == 1
    assert score(boxes((0, 0, 1, 1), (1, 1, 2, 2)), boxes((0, 0, 2, 2))) == 0  # IoU 2 / 4, as one object


def test_predicting_nothing_scores_the_share_of_empty_images():
    true = np.zeros((1000, 4, 4), np.uint8)
    true[779:, 0, 0] = 1
    assert airbus_f2(true, np.zeros_like(true)).mean() == pytest.approx(0.779)


def test_numbers_without_pixels_are_no_objects_and_gaps_are_none_either():
    true = boxes(FIRST, SECOND)
    strange = np.where(true == 2, 60_000, true).astype(np.uint16)
    far = np.where(true == 2, 2**40, true.astype(np.int64))
    for numbers in (strange, far):
        assert score(numbers, boxes(FIRST), true_is_instances=True) == pytest.approx(5 / 9)


def test_masks_of_zero_and_255_are_masks():
    assert score(boxes(FIRST).astype(np.uint8) * 255, boxes(FIRST)) == 1


def test_counts_and_summary_by_hand():
    sizes = (200, 200)
    small, medium, large = (0, 0, 10, 10), (20, 0, 60, 40), (80, 80, 180, 180)  # 100, 1600 and 10000 pixels
    true = np.stack([boxes(small, medium, large, size=sizes), boxes(size=sizes), boxes(size=sizes)])
    predicted = np.stack(
        [
            boxes((0, 0, 10, 8), medium, (0, 100, 100, 199), size=sizes),  # small at IoU 0.8, large missed
            boxes(small, size=sizes),
            boxes(size=sizes),
        ]
    )
    counts = object_counts(true, predicted, true_is_instances=True)
    assert counts.shape == (3, 3, 10, 3) and counts.dtype == np.int64
    assert counts[0, 0].tolist() == [[1, 0, 0]] * 6 + [[0, 1, 1]] * 4  # what fails is made up and missed
    assert counts[0, 1].tolist() == [[1, 0, 0]] * 10
    # the wrong large one overlaps the true one's first 20 rows: 9900 pixels of its own, made up
    assert counts[0, 2].tolist() == [[0, 1, 1]] * 10
    assert counts[1, :, :, 1].tolist() == [[1] * 10, [0] * 10, [0] * 10]
    summary = objects.object_summary(counts)
    first = (6 * 10 / (10 + 4 + 1) + 4 * 5 / (5 + 8 + 2)) / 10  # TP 2, FN 1, FP 1; then TP 1, FN 2, FP 2
    assert summary == pytest.approx(
        {
            "airbus_f2": (first + 0 + 1) / 3,
            "airbus_f2_with_objects": first,
            "object_presence_accuracy": 2 / 3,
            "airbus_f2_small": 6 * 5 / (5 + 1) / 10,  # two images together: TP 1, FP 1; at the others no TP
            "airbus_f2_medium": 1.0,
            "airbus_f2_large": 0.0,
        }
    )


def test_what_nobody_has_is_none():
    summary = objects.object_summary(object_counts(np.zeros((2, 4, 4), int), np.zeros((2, 4, 4), int)))
    assert summary["airbus_f2"] == summary["object_presence_accuracy"] == 1
    assert summary["airbus_f2_with_objects"] is summary["airbus_f2_small"] is None
    no_images = object_counts(np.zeros((0, 4, 4), int), np.zeros((0, 4, 4), int))
    assert objects.object_summary(no_images)["airbus_f2"] is None


@pytest.mark.parametrize(("area", "size"), [(1023, 0), (1024, 1), (96 * 96 - 1, 1), (96 * 96, 2)])
def test_sizes_are_cut_where_they_are_said_to_be(area, size):
    true = np.zeros((1, 100, 100), np.uint8)
    true.reshape(-1)[:area] = 1
    assert object_counts(true, true)[0, :, 0, 0].tolist() == [int(k == size) for k in range(3)]


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        (np.zeros((1, 4, 4), int), np.zeros((1, 4, 5), int), r"\(1, 4, 4\).*\(1, 4, 5\)"),
        (np.zeros((4, 4), int), np.zeros((4, 4), int), r"true objects are int64 of shape \(4, 4\)"),
        (np.zeros((1, 4, 4), int), np.zeros((1, 4, 4)), "predicted objects are float64"),
        (np.full((1, 4, 4), -1), np.zeros((1, 4, 4), int), "true objects hold -1"),
    ],
)
def test_wrong_input_is_said(true, predicted, message):
    with pytest.raises(BenchError, match=message):
        airbus_f2(true, predicted)


def test_small_components_are_left_out():
    mask = boxes((0, 0, 1, 3), (5, 5, 7, 7)) != 0  # 3 and 4 pixels
    assert objects.drop_small(mask, 4).sum() == 4
    np.testing.assert_array_equal(objects.drop_small(mask, 1), mask)
    assert not objects.drop_small(np.zeros((3, 3), bool), 9).any()


def naive(true_masks: list[np.ndarray], predicted: np.ndarray) -> Fraction:
    """The definition in its plainest form: components by scipy, fractions, loops."""
    numbers, found = ndimage.label(predicted, np.ones((3, 3)))
    guesses = [numbers == number for number in range(1, found + 1)]
    if not true_masks and not guesses:
        return Fraction(1)
    total = Fraction(0)
    for k in range(10, 20):
        hits = sum(
            any(Fraction(int((g & t).sum()), int((g | t).sum())) > Fraction(k, 20) for t in true_masks) for g in guesses
        )
        total += Fraction(5 * hits, 5 * hits + 4 * (len(true_masks) - hits) + len(guesses) - hits)
    return total / 10


SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.uint16, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 7])),
        hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1])),
        st.booleans(),
    )
)


def alike(true: np.ndarray, noise: np.ndarray, close: bool) -> np.ndarray:
    """A prediction: noise, or the truth with some of it."""
    return noise if not close else ((true != 0) ^ (noise & np.roll(noise, 1, 0) & np.roll(noise, 1, 1) != 0)) * 1


@given(PAIRS)
@settings(deadline=None, max_examples=150)
def test_it_agrees_with_the_definition(pair):
    true, noise, close = pair
    predicted = alike(true, noise, close)
    numbers, found = ndimage.label(true, np.ones((3, 3)))
    as_components = [numbers == number for number in range(1, found + 1)]
    as_instances = [true == number for number in (1, 2, 7) if (true == number).any()]
    assert score(true, predicted) == pytest.approx(float(naive(as_components, predicted)))
    assert score(true, predicted, true_is_instances=True) == pytest.approx(float(naive(as_instances, predicted)))


@given(PAIRS)
@settings(deadline=None, max_examples=60)
def test_properties(pair):
    true, noise, close = pair
    predicted = alike(true, noise, close)
    value = score(true, predicted)
    assert 0 <= value <= 1
    assert score(true, true) == 1
    turned = [(np.rot90(true, k), np.rot90(predicted, k)) for k in (1, 2)] + [(true.T, predicted.T)]
    assert [score(*maps) for maps in turned] == pytest.approx([value] * 3)
    renumbered = np.array([0, 9, 1, 0, 0, 0, 0, 4], np.uint16)[true]
    assert score(renumbered, predicted, true_is_instances=True) == pytest.approx(
        score(true, predicted, true_is_instances=True)
    )
    batch = airbus_f2(np.stack([true, np.zeros_like(true)]), np.stack([predicted, predicted]))
    np.testing.assert_allclose(batch[::-1], airbus_f2(np.stack([0 * true, true]), np.stack([predicted] * 2)))
    # who is true and who predicted: found is found, and what is missed and made up change places
    there, back = object_counts(true[None], predicted[None]), object_counts(predicted[None], true[None])
    np.testing.assert_array_equal(there.sum(1), back.sum(1)[..., [0, 2, 1]])


@given(PAIRS, st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_small_objects_left_out_of_the_overlap_or_of_the_mask(pair, min_area):
    true, noise, close = pair
    predicted = alike(true, noise, close)
    found = objects.overlap(objects.components(true), objects.components(predicted))
    later = objects.count(objects.without_small(found, min_area))
    np.testing.assert_array_equal(
        later, object_counts(true[None], objects.drop_small(predicted != 0, min_area)[None])[0]
    )


def test_thousands_of_specks_in_both_maps():
    rng = np.random.default_rng(0)
    true, predicted = rng.random((2, 600, 600)) < 0.06
    found = objects.overlap(objects.components(true), objects.components(predicted))
    assert len(found.true) * len(found.predicted) > 2**27  # a matrix of all pairs would take a gigabyte
    assert found.true.sum() == true.sum() and found.predicted.sum() == predicted.sum()
    assert found.pairs[:, 2].sum() == (true & predicted).sum()


def test_agreement_with_sklearn_where_each_pixel_is_an_object():
    # Pixels that touch no other are objects of IoU 1 or 0, so that the object score is that of the pixels.
    rng = np.random.default_rng(1)
    true, predicted = np.zeros((2, 30, 30), np.uint8)
    true[::2, ::2], predicted[::2, ::2] = rng.integers(0, 2, (2, 15, 15))
    assert score(true, predicted) == pytest.approx(fbeta_score(true.ravel(), predicted.ravel(), beta=2))
