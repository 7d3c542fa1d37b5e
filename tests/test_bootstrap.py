"""The bootstrap on simulated results with known truth: coverage, ties, ranks."""

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.evaluation.scores import iou
from bench.report.page import COVERAGE
from bench.results.analysis.bootstrap import Uncertainty, bootstrap, ranks, tie_groups

IMAGES = 120


def iou_of_class(sums):
    return iou(sums.reshape(*sums.shape[:-1], 3))


def draw(rng, quality: float, seeds: int, images: np.ndarray, *, seed_sd: float) -> list[np.ndarray]:
    """Counts (images, 3) of each seed: the share that is right is quality + seed + image + both; fn and fp follow it.

    The expected sums are linear in the shares, so the population's IoU is that of `quality`.
    """
    tables = []
    for _ in range(seeds):
        right = quality + rng.normal(0, seed_sd) + images + rng.normal(0, 0.05, len(images))
        tables.append(np.stack([right, 0.5 * (1 - right), 1 - right], axis=1))
    return tables


def true_iou(quality: float) -> float:
    return quality / (quality + 1.5 * (1 - quality))


def coverage(seeds: int, repeats: int, *, seed_sd: float, monkeypatch) -> tuple[float, float]:
    """Shares of repeats whose interval contains the true value: of a score, and of the difference of two equal ones."""
    monkeypatch.setattr("bench.results.analysis.bootstrap.REPEATS", 200)
    rng = np.random.default_rng(seeds)
    groups = [str(i) for i in range(IMAGES)]
    held = tied = 0
    for repeat in range(repeats):
        images = rng.normal(0, 0.1, IMAGES)
        pair = [draw(rng, 0.7, seeds, images, seed_sd=seed_sd) for _ in range(2)]
        one, other = bootstrap(pair, groups, iou_of_class, seed=repeat)
        held += one.interval.low <= true_iou(0.7) <= one.interval.high
        tied += not one.differs_from(other)
    return held / repeats, tied / repeats


@pytest.mark.parametrize("seed_sd", [0.003, 0.02], ids=["images dominate", "seeds dominate"])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("repeats", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_intervals_cover_the_truth(seeds, seed_sd, repeats, monkeypatch):
    held, tied = coverage(seeds, repeats, seed_sd=seed_sd, monkeypatch=monkeypatch)
    chance = 3 * np.sqrt(0.95 * 0.05 / repeats)  # of the simulation itself
    print(f"{seeds} seeds: interval holds the truth in {held:.1%}, equal ones are tied in {tied:.1%}")
    assert held > 0.95 - max(chance, 0.03)
    assert tied > 0.95 - chance
    assert held < 0.99, "intervals that are too wide say nothing"
    dominant = 0 if seed_sd < 0.01 else 1
    stated = COVERAGE[seeds]  # what the page says
    assert [held, tied] == pytest.approx([stated[dominant], stated[2 + dominant]], abs=max(chance, 0.01))


def test_groups_are_drawn_whole():
    rng = np.random.default_rng(0)
    cars = np.repeat(rng.normal(0, 0.1, 6), 16)  # all views of a car are alike
    tables = [draw(rng, 0.7, 3, cars, seed_sd=0.0)]
    by_image = bootstrap(tables, [str(i) for i in range(96)], iou_of_class)[0].interval
    by_car = bootstrap(tables, [str(i // 16) for i in range(96)], iou_of_class)[0].interval
    assert by_car.high - by_car.low > 2.5 * (by_image.high - by_image.low)


def test_a_real_difference_is_found_through_the_noise_of_the_images():
    """The images differ ten times more than the configurations do; paired draws take that out."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, IMAGES)
    pair = [draw(rng, quality, 5, images, seed_sd=0.001) for quality in (0.71, 0.70)]
    better, worse = bootstrap(pair, [str(i) for i in range(IMAGES)], iou_of_class)
    assert better.interval.low < worse.interval.high  # their own intervals overlap
    assert better.differs_from(worse)
    difference = better.minus(worse)
    assert difference.low > 0
    assert difference.mean == pytest.approx(better.mean - worse.mean)


def test_the_score_is_that_of_the_whole_split():
    counts = np.array([[[4, 1, 1], [0, 2, 0]], [[1, 0, 1], [3, 0, 1]]])
    tables = [[counts.reshape(2, 6)]]
    found = bootstrap(tables, ["a", "b"], lambda sums: iou(sums.reshape(*sums.shape[:-1], 2, 3)).mean(axis=-1))[0]
    assert found.mean == pytest.approx((5 / 8 + 3 / 6) / 2)


def test_one_seed_is_not_separable():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.01, IMAGES)
    groups = [str(i) for i in range(IMAGES)]
    good, bad = bootstrap([draw(rng, q, 1, images, seed_sd=0.0) for q in (0.9, 0.3)], groups, iou_of_class)
    assert good.minus(bad) is None
    assert not good.differs_from(bad)
    assert good.interval.low < good.mean < good.interval.high


def uncertainty(mean: float, spread: float = 0.01) -> Uncertainty:
    return Uncertainty(np.array([mean - spread, mean, mean + spread]), np.full(10, mean), 100)


def test_ranks_and_ties():
    rows = [uncertainty(0.9), uncertainty(0.89), uncertainty(0.5, 0.2), uncertainty(0.4)]
    assert ranks(rows) == [(1, 3), (1, 3), (1, 4), (3, 4)]
    assert tie_groups(rows) == [1, 1, 1, 4]


def test_tables_of_other_images_are_refused():
    with pytest.raises(BenchError, match="same images"):
        bootstrap([[np.ones((3, 3))], [np.ones((2, 3))]], ["a", "b", "c"], iou_of_class)
