"""The time of counting a batch of 16 images of 128 x 128, and of the scores of a split of 3669 images."""

import numpy as np
import pytest

from bench.evaluation.confusion import confusion_counts, threshold_counts
from bench.evaluation.scores import summary

SHAPE = (16, 128, 128)


@pytest.mark.parametrize("num_classes", [2, 21])
def test_confusion_counts_speed(benchmark, num_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, SHAPE, dtype=np.uint8)
    benchmark(confusion_counts, labels, rng.integers(0, num_classes, SHAPE), num_classes)


def test_threshold_counts_speed(benchmark):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, SHAPE, dtype=np.uint8)
    benchmark(threshold_counts, labels, rng.random(SHAPE, np.float32))


def test_summary_speed(benchmark):
    counts = np.random.default_rng(0).integers(0, 1000, (3669, 3, 3))
    benchmark(summary, counts, ["pet", "background", "border"])
