"""Losses: by hand, against NumPy in float64, and the same on every backend."""

import numpy as np
import pytest
from backend_checks import LOSSES, NUM_CLASSES, loss_inputs, results
from keras import ops

from bench.config import grid
from bench.core.errors import BenchError
from bench.core.specs import LOSS_TERMS
from bench.training.losses import TERMS, loss_function
from tests.conftest import EACH_BACKEND


def value(name, labels, logits, weights=None, smoothing=0.0):
    loss = loss_function(name, weights, smoothing)
    return float(ops.convert_to_numpy(loss(np.asarray(labels), np.asarray(logits, np.float32))))


# One row of two pixels, two classes; probabilities of class 1: 3/4 and 1/4, labels 1 and 0, and a third pixel ignored.
LABELS = np.array([[[1, 0, 255]]], np.uint8)
LOGITS = np.log([[[[1, 3], [3, 1], [1, 9]]]])


def test_cross_entropy_by_hand():
    assert value("ce", LABELS, LOGITS) == pytest.approx(-np.log(0.75), rel=1e-6)  # both pixels


def test_dice_by_hand():
    # each class: intersection 3/4, truth 1, prediction 3/4 + 1/4 = 1: 1 - (2 * 0.75 + 1) / (1 + 1 + 1)
    assert value("dice", LABELS, LOGITS) == pytest.approx(1 - 2.5 / 3, rel=1e-6)


# Three pixels of two classes, the probability of class 1 is 0.9, 0.4 and 0.7, the labels are 1, 1 and 0.
UNEVEN = np.array([[[1, 1, 0]]], np.uint8)
UNEVEN_LOGITS = np.log([[[[0.1, 0.9], [0.6, 0.4], [0.3, 0.7]]]])


def test_binary_cross_entropy_of_two_classes_is_that_of_the_difference_of_the_logits():
    assert value("bce", LABELS, LOGITS) == pytest.approx(-np.log(0.75), rel=1e-6)
    assert value("bce", LABELS, LOGITS + 7) == pytest.approx(-np.log(0.75), rel=1e-5)


def test_binary_cross_entropy_of_three_classes_by_hand():
    # each class has its own sigmoid: 3/4 where it is true, 1/2 and 1/4 where it is not
    logits = np.log([[[[3, 1, 1 / 3], [1, 1, 1], [9, 9, 9]]]])
    labels = np.array([[[0, 2, 255]]], np.uint8)
    first = -np.log(0.75) - np.log(0.5) - np.log(0.75)
    assert value("bce", labels, logits) == pytest.approx((first + 3 * np.log(2)) / 3 / 2, rel=1e-6)


def test_label_smoothing_by_hand():
    # 0.2 of each label goes to both classes: -(0.9 log 3/4 + 0.1 log 1/4) for each pixel that counts
    smoothed = -(0.9 * np.log(0.75) + 0.1 * np.log(0.25))
    assert value("ce", LABELS, LOGITS, smoothing=0.2) == pytest.approx(smoothed, rel=1e-6)
    assert value("bce", LABELS, LOGITS, smoothing=0.2) == pytest.approx(smoothed, rel=1e-6)
    dice = 1 - 2.5 / 3  # takes the labels as they are
    assert value("0.5*ce+dice", LABELS, LOGITS, smoothing=0.2) == pytest.approx(smoothed / 2 + dice, rel=1e-6)
    # three classes, probabilities 3/5, 1/5, 1/5: each class gets 0.1 of 0.3, and the true one's weight counts for all
    logits, labels = np.log([[[[3, 1, 1], [9, 1, 1]]]]), np.array([[[0, 255]]], np.uint8)
    expected = -(0.8 * np.log(0.6) + 0.2 * np.log(0.2))
    assert value("ce", labels, logits, smoothing=0.3) == pytest.approx(expected, rel=1e-6)
    assert value("ce", labels, logits, (2.0, 1.0, 1.0), smoothing=0.3) == pytest.approx(2 * expected, rel=1e-6)


def test_label_smoothing_of_binary_cross_entropy_by_hand():
    # sigmoids 3/4 (true), 1/2 and 1/4; with 0.2 the true class's label is 0.9, another's 0.1
    logits, labels = np.log([[[[3, 1, 1 / 3]]]]), np.array([[[0]]], np.uint8)
    sure, half = -(0.9 * np.log(0.75) + 0.1 * np.log(0.25)), np.log(2)
    assert value("bce", labels, logits, smoothing=0.2) == pytest.approx((sure + half + sure) / 3, rel=1e-6)


def test_ignored_pixels_stay_ignored_with_label_smoothing():
    assert value("ce+bce", np.full((1, 1, 3), 255, np.uint8), LOGITS, smoothing=0.5) == 0


def test_label_smoothing_needs_a_loss_with_cross_entropy():
    base = {"arch": "unet", "dataset": "shapes", "label_smoothing": "0.1"}
    assert grid.expand({**base, "loss": "0.5*ce+dice"})[0].label_smoothing == 0.1
    with pytest.raises(BenchError, match="--label-smoothing needs a loss with ce or bce, not dice"):
        grid.expand({**base, "loss": "dice"})
    with pytest.raises(BenchError, match=r"--label-smoothing is 1\. Accepted: a number from 0 to below 1"):
        grid.expand({**base, "label_smoothing": 1})


def test_focal_by_hand():
    assert value("focal", LABELS, LOGITS) == pytest.approx(-(0.25**2) * np.log(0.75), rel=1e-6)  # both pixels
    expected = -(0.1**2 * np.log(0.9) + 0.6**2 * np.log(0.4) + 0.7**2 * np.log(0.3)) / 3
    assert value("focal", UNEVEN, UNEVEN_LOGITS) == pytest.approx(expected, rel=1e-5)


def test_tversky_by_hand():
    # class 1: TP 0.9 + 0.4, FP 0.7, FN 0.1 + 0.6; class 0: TP 0.3, FP 0.1 + 0.6, FN 0.7; half a pixel is added
    one, zero = 1.8 / (1.8 + 0.3 * 0.7 + 0.7 * 0.7), 0.8 / (0.8 + 0.3 * 0.7 + 0.7 * 0.7)
    assert value("tversky", UNEVEN, UNEVEN_LOGITS) == pytest.approx(1 - (one + zero) / 2, rel=1e-6)
    # the miss of a pixel costs more than a false one
    sure = np.array([[[[9, -9], [9, -9], [9, -9]]]])
    assert value("tversky", UNEVEN, sure) > value("tversky", UNEVEN, -sure) + 0.05


def test_lovasz_by_hand():
    # class 1: errors 0.1, 0.6 (true) and 0.7; from the largest on 1 - IoU grows to 1/3 (2 of 3), 2/3 (1 of 3) and 1.
    # class 0: errors 0.1, 0.6 and 0.7 (true): with the largest 1 - IoU is 1 at once
    one, zero = (0.7 + 0.6 + 0.1) / 3, 0.7
    assert value("lovasz", UNEVEN, UNEVEN_LOGITS) == pytest.approx((one + zero) / 2, rel=1e-6)
    assert value("lovasz", LABELS, LOGITS) == pytest.approx(0.25, rel=1e-6)  # equal errors, one pixel ignored


def test_lovasz_of_a_sure_prediction_is_one_less_the_mean_iou():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 3, (2, 3, 30, 40))
    labels[:, :5] = 255
    counted = labels != 255
    ious = [
        np.sum((labels == c) & (predicted == c)) / np.sum(((labels == c) | (predicted == c)) & counted)
        for c in range(3)
    ]
    assert value("lovasz", labels, 60 * np.eye(3)[predicted]) == pytest.approx(1 - np.mean(ious), abs=1e-6)


def test_lovasz_of_many_pixels_is_exact():
    """A sum of differences of IoUs in float32 would be off by a percent."""
    labels = np.zeros((4, 256, 256), np.uint8)
    labels[:, :32] = 1
    logits = np.log([0.8, 0.2]) * np.ones((4, 256, 256, 1))
    # class 1: errors 0.8 where true, 0.2 elsewhere: 0.8 * 1; class 0: 0.8 where class 1 is true: 1 - IoU is 1/8 by then
    expected = (0.8 + (0.8 * 0.125 + 0.2 * 0.875)) / 2
    assert value("lovasz", labels, logits) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ce", -np.log(0.75)),
        ("bce", -np.log(0.75)),
        ("focal", -(0.25**2) * np.log(0.75)),
        ("dice", 1 - ((2 * 3 + 1) / (4 + 3 + 1) + 1 / (0 + 1 + 1)) / 2),  # class 0: TP 3 of 4; class 1: 1 predicted
        ("tversky", 1 - (3.5 / (3.5 + 0.7) + 0.5 / (0.5 + 0.3)) / 2),
        ("lovasz", 0.25),  # of class 0 alone: four errors of 1/4, each a quarter of 1 - IoU
    ],
)
def test_an_empty_mask_by_hand(name, expected):
    """Four pixels of class 0, the probability of class 1 is 1/4."""
    logits = np.log([3, 1]) * np.ones((1, 2, 2, 1))
    assert value(name, np.zeros((1, 2, 2), np.uint8), logits) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["ce", "bce", "focal"])
def test_class_weights_multiply_the_losses_of_pixels(name):
    only = {c: np.where(np.equal(UNEVEN, c), c, 255) for c in (1, 0)}  # two pixels and one
    one, zero = (value(name, labels, UNEVEN_LOGITS) for labels in only.values())
    assert value(name, UNEVEN, UNEVEN_LOGITS, (0.25, 3)) == pytest.approx((3 * 2 * one + 0.25 * zero) / 3, rel=1e-6)
    assert value(name, UNEVEN, UNEVEN_LOGITS, (1, 1)) == pytest.approx(value(name, UNEVEN, UNEVEN_LOGITS), rel=1e-6)


@pytest.mark.parametrize("name", ["dice", "tversky", "lovasz"])
def test_class_weights_weigh_the_mean_over_classes(name):
    zero, one = (value(name, UNEVEN, UNEVEN_LOGITS, weights) for weights in ((1, 0), (0, 1)))
    assert value(name, UNEVEN, UNEVEN_LOGITS) == pytest.approx((zero + one) / 2, rel=1e-6)
    assert value(name, UNEVEN, UNEVEN_LOGITS, (0.5, 2)) == pytest.approx((0.5 * zero + 2 * one) / 2.5, rel=1e-6)


def test_weighted_sum():
    ce, dice = value("ce", LABELS, LOGITS), value("dice", LABELS, LOGITS)
    assert value("ce+dice", LABELS, LOGITS) == pytest.approx(ce + dice, rel=1e-6)
    assert value(" 0.5 * ce + 2*dice ", LABELS, LOGITS) == pytest.approx(0.5 * ce + 2 * dice, rel=1e-6)
    assert value("1e-2*ce", LABELS, LOGITS) == pytest.approx(0.01 * ce, rel=1e-6)


def test_dice_of_a_class_neither_true_nor_predicted_is_about_zero():
    labels = np.zeros((2, 4, 4), np.uint8)
    logits = np.zeros((2, 4, 4, 2), np.float32)
    logits[..., 0] = 30
    assert value("dice", labels, logits) == pytest.approx(0, abs=1e-6)
    assert value("dice", labels, -logits) > 0.9


def test_everything_ignored_costs_nothing():
    labels = np.full((1, 2, 2), 255, np.uint8)
    assert [value(name, labels, np.ones((1, 2, 2, 3))) for name in TERMS] == [0.0] * len(TERMS)


def test_the_specs_terms_are_the_ones_there_are():
    assert tuple(TERMS) == LOSS_TERMS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "dise",
            r"Unknown loss 'dise'\. Did you mean 'dice'\? Available: ce, bce, dice, focal, tversky, lovasz\. Accepted",
        ),
        ("ce+", r"Unknown loss 'ce\+'"),
        ("", "Unknown loss ''"),
        ("x*ce", "weight 'x'"),
        ("-1*ce", "weight '-1'"),
        ("0*ce", "weight '0'"),
        ("nan*ce", "weight 'nan'"),
    ],
)
def test_misspelt_loss_says_what_there_is(name, message):
    with pytest.raises(BenchError, match=message):
        loss_function(name)


def reference(name, labels, logits):
    """The definitions once more, in NumPy and float64, by loops where that is plainer."""
    loss, weights = LOSSES[name]
    if loss == "0.5*ce+dice":
        return 0.5 * reference("ce", labels, logits) + reference("dice", labels, logits)
    weights = np.array(weights or (1.0,) * NUM_CLASSES)
    counted = labels != 255
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = (shifted / shifted.sum(axis=-1, keepdims=True))[counted]  # (P, C)
    t = np.eye(NUM_CLASSES)[labels[counted]]
    if loss in ("ce", "bce", "focal"):
        sure = (p * t).sum(axis=1)
        alone = 1 / (1 + np.exp(-logits[counted]))
        binary = -(t * np.log(alone) + (1 - t) * np.log(1 - alone)).mean(axis=1)
        losses = {"ce": -np.log(sure), "bce": binary, "focal": -((1 - sure) ** 2) * np.log(sure)}[loss]
        return np.mean(weights[labels[counted]] * losses)
    per_class = [_of_class(loss, one, other) for one, other in zip(t.T, p.T, strict=True)]
    if loss == "lovasz":
        weights = weights * t.any(axis=0)
    return np.average(per_class, weights=weights)


def _of_class(loss, t, p):
    both = (t * p).sum()
    if loss == "dice":
        return 1 - (2 * both + 1) / (t.sum() + p.sum() + 1)
    if loss == "tversky":
        return 1 - (both + 0.5) / (both + 0.3 * ((1 - t) * p).sum() + 0.7 * (t * (1 - p)).sum() + 0.5)
    errors, total, before = np.abs(t - p), 0.0, 0.0
    wrong = np.zeros(len(t), bool)
    for i in np.argsort(-errors):  # Lovász: the errors times what each adds to 1 - IoU
        wrong[i] = True
        union = np.sum((t == 1) | wrong)
        loss_now = 1 - np.sum((t == 1) & ~wrong) / union if union else 0.0
        total += errors[i] * (loss_now - before)
        before = loss_now
    return total


def reference_gradient(name, labels, logits, step=1e-5):
    """Central differences."""
    gradient = np.zeros(logits.shape)
    for i in np.ndindex(logits.shape):
        if labels[i[:-1]] == 255:
            continue
        up, down = logits.copy(), logits.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (reference(name, labels, up) - reference(name, labels, down)) / (2 * step)
    return gradient


@pytest.fixture(scope="module")
def gradients():
    """The gradient of every loss by central differences."""
    labels, logits = loss_inputs()
    return {name: reference_gradient(name, labels, logits.astype(np.float64)) for name in LOSSES}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_backends_agree_with_numpy(backend, name, gradients):
    labels, logits = loss_inputs()
    found = results(backend)
    exact = logits.astype(np.float64)
    assert found[f"{name} value"].dtype == np.float32
    assert found[f"{name} value"] == pytest.approx(reference(name, labels, exact), rel=1e-5)
    np.testing.assert_allclose(found[f"{name} gradient"], gradients[name], atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_gradients_stay_finite_and_ignored_pixels_get_none(backend, name):
    labels, _ = loss_inputs()
    found = results(backend)
    assert np.isfinite(found[f"{name} extreme"]).all()  # logits of tens of thousands
    assert np.isfinite(found[f"{name} empty"]).all() and found[f"{name} empty"].any()  # only class 0
    assert not found[f"{name} gradient"][labels == 255].any()
    assert found[f"{name} gradient"][labels != 255].any(axis=-1).all()
    assert not found[f"{name} ignored"].any()  # nothing but ignored pixels: neither value nor gradient
