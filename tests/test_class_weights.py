"""Class weights: by hand, as text, and in a grid."""

import re

import numpy as np
import pytest

from bench.config import grid
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.training.class_weights import class_weights
from bench.trials.identity import trial_key

# Three images of four pixels; the last one does not train. Class 3 is nowhere.
LABELS = np.array([[[0, 0], [0, 1]], [[0, 0], [2, 255]], [[1, 1], [1, 1]]], np.uint8)
TRAIN = np.array([0, 1])


def weights(choice, labels=LABELS, classes=4):
    return class_weights(choice, labels[TRAIN], classes)


def test_balanced_by_hand():
    # 7 pixels: 5 of class 0, 1 of class 1, 1 of class 2, and 3 classes that are seen
    assert weights("balanced") == pytest.approx((7 / 3 / 5, 7 / 3, 7 / 3, 0))
    assert np.dot(weights("balanced"), [5, 1, 1, 0]) == pytest.approx(7)  # 1 on average


def test_median_frequency_by_hand():
    # class 0 has 5 of the 7 pixels of both images, class 1 one of 4, class 2 one of 3; the median is 1/3
    assert weights("median-frequency") == pytest.approx((7 / 15, 4 / 3, 1, 0))


def test_weights_that_are_given_and_none():
    assert weights("[1,2,0.5,0]") == (1, 2, 0.5, 0)
    assert weights("none") is None


@pytest.mark.parametrize("choice", ["balanced", "median-frequency"])
def test_images_without_a_counted_pixel_have_no_weights(choice):
    assert weights(choice, np.full((2, 4, 4), 255, np.uint8), 2) == (0, 0)
    assert weights(choice, np.zeros((2, 4, 4), np.uint8), 2) == (1, 0)


def expand(**options):
    return grid.expand({"arch": "unet", "dataset": "shapes", "backend": "jax", **options})


@pytest.fixture(autouse=True)
def any_backend(monkeypatch):
    monkeypatch.setattr("bench.config.checks.installed", lambda name: True)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("balanced", ["balanced"]),
        ("none,balanced,median-frequency", ["none", "balanced", "median-frequency"]),
        ("[1, 2.0, 0.5, 1e-3, 0], balanced,[1,1,1,1,1]", ["[1,2,0.5,0.001,0]", "balanced", "[1,1,1,1,1]"]),
        (["balanced", [1, 2, 0.5, 1, 0]], ["balanced", "[1,2,0.5,1,0]"]),  # a TOML file
        ([[1, 2, 3, 4, 5], [1, 1, 1, 1, 2]], ["[1,2,3,4,5]", "[1,1,1,1,2]"]),
    ],
)
def test_an_axis_of_weights_has_one_spelling_each(given, stored):
    configs = expand(class_weights=given)
    assert [config.class_weights for config in configs] == stored
    assert [TrialConfig.from_dict(config.to_dict()) for config in configs] == configs


def test_weights_are_in_the_key_but_none_is_not():
    none, balanced, listed = expand(class_weights="none,balanced,[1,2,3,4,5]")
    assert trial_key(none, "data") == trial_key(expand()[0], "data")
    assert len({trial_key(config, "data") for config in (none, balanced, listed)}) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("balance", "Unknown choice of class weights 'balance'. Did you mean 'balanced'? Available: none, balanced"),
        ("[1,2]", "--class-weights [1,2] has 2 weights, but there are 5 classes"),
        ("[1,2,3,-4,1]", "--class-weights is [1,2,3,-4,1]. Accepted: numbers of 0 or more, at least one"),
        ("[0,0,0,0,0]", "at least one of them above 0"),
        ("[1,2,3,x,4]", "--class-weights is '[1,2,3,x,4]'. Accepted: none, balanced, median-frequency, or a weight"),
        ("[1,2", "--class-weights is '[1'. Accepted: none"),
        ("[[1,2,3,4,5]]", "--class-weights is '[[1,2,3,4,5]]'. Accepted: none"),
        ("[1,2,3,4,Infinity]", "Accepted: numbers of 0 or more"),
        (f"[1,2,3,4,1{'0' * 400}]", "Accepted: none"),
        ("[1,2,3,4,true]", "--class-weights is '[1,2,3,4,true]'. Accepted: none"),
        ([1, 2], "--class-weights is '1'. Accepted: none, balanced, median-frequency, or a weight for each class: ["),
        ([[1, "x"]], "--class-weights is '[1,\"x\"]'. Accepted"),
    ],
)
def test_what_are_no_weights_is_said_in_one_line(given, message):
    with pytest.raises(BenchError, match=re.escape(message)) as caught:
        expand(class_weights=given)
    assert "\n" not in str(caught.value)
