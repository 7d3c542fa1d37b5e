"""The bootstrap on simulated results with known truth: coverage, ties, ranks."""

from dataclasses import replace

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.evaluation.scores import iou
from bench.report.page import COVERAGE
from bench.results.analysis.bootstrap import Uncertainty, bootstrap, ranks, tie_groups
from bench.results.analysis.intervals.scales import Scale

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
        one, other = bootstrap(pair, groups, iou_of_class, scale=Scale.SHARE, seed=repeat)
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


def test_near_1_an_interval_of_logits_holds_the_truth_more_often(monkeypatch):
    """Scores of images from a beta distribution with a long tail towards 0; docs/measuring.md has more repeats."""
    monkeypatch.setattr("bench.results.analysis.bootstrap.REPEATS", 200)
    rng, held = np.random.default_rng(0), np.zeros(2)
    for repeat in range(300):
        wrong = np.minimum((1 - rng.beta(4.75, 0.25, 30)) * rng.gamma(11, 1 / 11, (3, 1)), 1)
        tables = [np.stack([1 - seed, 0.5 * seed, seed], axis=1) for seed in wrong]
        (share,) = bootstrap([tables], [str(i) for i in range(30)], iou_of_class, scale=Scale.SHARE, seed=repeat)
        plain, logit = replace(share, scale=Scale.PLAIN).interval, share.interval
        assert 0 <= logit.low < logit.mean < logit.high <= 1
        held += [one.low <= true_iou(0.95) <= one.high for one in (plain, logit)]
    assert held[1] > 0.9 * 300 > held[0]


@pytest.mark.parametrize("level", [0.95, 0.999])
@pytest.mark.parametrize("scores", [[1.0, 1.0], [0.0, 0.0], [0.999, 1.0, 0.998], [1e-9, 2e-9], [0.1, 0.9], [0.5]])
def test_no_interval_of_shares_or_of_their_difference_leaves_what_is_possible(scores, level):
    drawn = np.clip(np.mean(scores) + np.random.default_rng(0).normal(0, 0.2, 100), 0, 1)
    draws = drawn if len(set(scores)) > 1 else np.full(100, scores[0])
    share = Uncertainty(np.array(scores), draws, 5, level, scale=Scale.SHARE)
    found = share.interval
    assert 0 <= found.low <= found.mean <= found.high <= 1
    opposite = Uncertainty(1 - share.scores, 1 - draws, 5, level, scale=Scale.SHARE)
    mirrored = opposite.interval
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))
    for one in (share.drift_from(opposite), share.minus(opposite), share.change_from(opposite).interval):
        assert one is None or -1 <= one.low <= one.mean <= one.high <= 1


def test_a_distance_and_a_single_group_keep_what_they_had():
    distance = Uncertainty(np.array([0.5, 3.0]), np.full(10, 1.75), 5)
    assert distance.interval.low < 0 and distance.interval.high > 3  # a plain scale has no bounds
    alone = Uncertainty(np.array([0.9]), np.full(10, 0.9), 1, scale=Scale.SHARE).interval
    assert (alone.low, alone.high) == (-np.inf, np.inf)  # no interval: reports say so


def test_a_cut_difference_excludes_0_as_often_as_the_whole_one():
    for mean in (0.2, 0.9):
        for half in (0.1, 0.5, 1.5):
            cut, whole = Scale.DIFFERENCE.around(mean, half), Scale.PLAIN.around(mean, half)
            assert (cut.low <= 0 <= cut.high) == (whole.low <= 0 <= whole.high)


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
