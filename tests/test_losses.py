"""Losses: by hand, against NumPy in float64, and the same on every backend."""

import numpy as np
import pytest
from backend_checks import BACKENDS, LOSSES, NUM_CLASSES, loss_inputs, results
from keras import ops

from bench.errors import BenchError
from bench.spec import LOSS_TERMS
from bench.training.losses import TERMS, loss_function


def value(name, labels, logits):
    return float(ops.convert_to_numpy(loss_function(name)(np.asarray(labels), np.asarray(logits, np.float32))))


# One row of two pixels, two classes; probabilities of class 1: 3/4 and 1/4, labels 1 and 0, and a third pixel ignored.
LABELS = np.array([[[1, 0, 255]]], np.uint8)
LOGITS = np.log([[[[1, 3], [3, 1], [1, 9]]]])


def test_cross_entropy_by_hand():
    assert value("ce", LABELS, LOGITS) == pytest.approx(-np.log(0.75), rel=1e-6)  # both pixels


def test_dice_by_hand():
    # each class: intersection 3/4, truth 1, prediction 3/4 + 1/4 = 1: 1 - (2 * 0.75 + 1) / (1 + 1 + 1)
    assert value("dice", LABELS, LOGITS) == pytest.approx(1 - 2.5 / 3, rel=1e-6)


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
        ("dise", r"Unknown loss 'dise'\. Did you mean 'dice'\? Available: ce, dice\. Accepted"),
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
    """The definitions once more, in NumPy and float64."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities = (shifted / shifted.sum(axis=-1, keepdims=True))[labels != 255]  # (P, C)
    true = np.eye(NUM_CLASSES)[labels[labels != 255]]
    ce = -np.log((probabilities * true).sum(axis=1)).mean()
    per_class = [
        1 - (2 * (t * p).sum() + 1) / (t.sum() + p.sum() + 1) for t, p in zip(true.T, probabilities.T, strict=True)
    ]
    return {"ce": ce, "dice": np.mean(per_class), "ce+dice": ce + np.mean(per_class)}.get(
        name, 0.5 * ce + np.mean(per_class)
    )


def reference_gradient(name, labels, logits, step=1e-5):
    """Central differences."""
    gradient = np.zeros(logits.shape)
    for i in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (reference(name, labels, up) - reference(name, labels, down)) / (2 * step)
    return gradient


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_agree_with_numpy(backend, name):
    labels, logits = loss_inputs()
    found = results(backend)
    exact = logits.astype(np.float64)
    assert found[f"{name} value"].dtype == np.float32
    assert found[f"{name} value"] == pytest.approx(reference(name, labels, exact), rel=1e-5)
    np.testing.assert_allclose(found[f"{name} gradient"], reference_gradient(name, labels, exact), atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_stay_finite_and_ignored_pixels_get_none(backend, name):
    labels, _ = loss_inputs()
    found = results(backend)
    assert np.isfinite(found[f"{name} extreme"]).all()  # logits of tens of thousands
    assert not found[f"{name} gradient"][labels == 255].any()
    assert found[f"{name} gradient"][labels != 255].any(axis=-1).all()
    assert not found[f"{name} ignored"].any()  # nothing but ignored pixels
