"""Tests of seeds that are added until the order is decided: who is named, how often wrongly, at what cost."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.results.analysis import sequential
from bench.results.analysis.bootstrap import Uncertainty

MOST, TOP, REPEATS = 10, 3, 200
SD = 0.01


def rows_of(scores: NDArray[np.float64], seeds: NDArray[np.int64]) -> list[tuple[int, Uncertainty]]:
    """Return configurations by number, best first, as measured without any noise of images."""
    level = sequential.level(MOST)
    found = [
        (n, Uncertainty(s[:k], np.full(2, s[:k].mean()), 2, level))
        for n, (s, k) in enumerate(zip(scores, seeds, strict=True))
    ]
    return sorted(found, key=lambda pair: -pair[1].mean)


def spend(scores: NDArray[np.float64], top: int = TOP) -> tuple[NDArray[np.int64], list[tuple[int, Uncertainty]]]:
    """Add seeds as the runner does: one to each configuration that is open and has fewer than the most."""
    seeds = np.full(len(scores), sequential.FEWEST)
    while True:
        rows = rows_of(scores, seeds)
        numbers = [rows[place][0] for place in sequential.undecided([row for _, row in rows], top)]
        open_ = [number for number in numbers if seeds[number] < MOST]
        if not open_:
            return seeds, rows
        seeds[open_] += 1


def simulate(gaps: list[float], seed: int, top: int = TOP) -> tuple[float, float, float, float]:
    """Return the shares of repeats with the right winner, with a wrong one, of trials saved, and of pairs covered."""
    rng = np.random.default_rng(seed)
    means = -SD * np.cumsum([0.0, *gaps])
    right = wrong = trials = covered = pairs = 0
    for _ in range(REPEATS):
        seeds, rows = spend(means[:, None] + rng.normal(0, SD, (len(means), MOST)), top)
        trials += seeds.sum()
        if sequential.has_winner([row for _, row in rows]):
            right += rows[0][0] == 0
            wrong += rows[0][0] != 0
        for one, first in rows:
            for other, second in rows:
                if one < other and (difference := first.minus(second)):
                    pairs += 1
                    covered += difference.low <= means[one] - means[other] <= difference.high
    return right / REPEATS, wrong / REPEATS, 1 - trials / (REPEATS * len(means) * MOST), covered / pairs


def test_the_right_winner_is_named_at_a_gap_of_two_standard_deviations() -> None:
    right, wrong, saved, covered = simulate([2, 2, 2, 2], 11)
    assert right >= 0.95
    assert wrong <= 0.01
    assert saved > 1 / 3
    assert covered >= 0.95


def test_a_wider_gap_takes_fewer_seeds() -> None:
    near, far = simulate([1, 2, 2, 2], 12), simulate([3, 3, 3, 3], 12)
    assert far[0] >= near[0]
    assert far[2] > near[2]


@pytest.mark.parametrize("configurations", [2, 3, 5])
def test_a_winner_is_rarely_declared_among_equals(configurations: int) -> None:
    right, wrong, _, covered = simulate([0.0] * (configurations - 1), 13 + configurations)
    assert right + wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / REPEATS)  # two standard errors of 200 repeats
    assert covered >= 0.94


def test_the_level_of_95_percent_at_each_look_would_declare_too_many() -> None:
    p_values = sequential._p_values(MOST)
    assert (p_values.min(axis=0) < 0.05).mean() > 0.1
    assert (p_values.min(axis=0) < 1 - sequential.level(MOST)).mean() == pytest.approx(0.05, abs=0.001)


def test_more_looks_need_a_higher_level() -> None:
    levels = [sequential.level(most) for most in (3, 5, 10, 20)]
    assert levels == sorted(levels)
    assert levels[0] == 0.95


def apart(*means: float) -> list[Uncertainty]:
    return [Uncertainty(mean + np.array([-1e-4, 0, 1e-4]), np.full(2, mean), 2, 0.98) for mean in means]


@pytest.mark.parametrize(
    ("rows", "top", "expected"),
    [
        (apart(0.9, 0.8, 0.7), 3, set()),
        (apart(0.9, 0.9, 0.7), 3, {0, 1}),
        (apart(0.9, 0.8, 0.7, 0.7), 2, set()),  # the third place isn't asked for
        (apart(0.9, 0.8, 0.7, 0.7), 3, {2, 3}),
        (apart(0.9), 3, set()),
        ([], 3, set()),
    ],
)
def test_only_places_that_are_asked_for_and_open_get_a_seed(
    rows: list[Uncertainty], top: int, expected: set[int]
) -> None:
    assert sequential.undecided(rows, top) == expected


def test_no_seed_is_spent_on_a_difference_that_the_images_blur() -> None:
    rng = np.random.default_rng(3)
    blurred = [Uncertainty(mean + rng.normal(0, 1e-4, 3), mean + rng.normal(0, 0.1, 200), 30) for mean in (0.9, 0.89)]
    assert not blurred[0].differs_from(blurred[1])
    assert sequential.undecided(blurred, 3) == set()
