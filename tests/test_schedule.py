"""The learning rate as a function of the used fraction of the budget."""

import pytest

from bench.core.errors import BenchError
from bench.core.recipe.schedule_text import SCHEDULES, canonical_schedule, join_milestones
from bench.training.schedule import rate


@pytest.mark.parametrize(
    ("name", "expected"),  # at 0, 0.25, 0.5, 0.75, 1 of the budget, of a rate of 2
    [
        ("linear", [2.0, 1.5, 1.0, 0.5, 0.0]),
        ("cosine", [2.0, 1.7071067811865475, 1.0, 0.2928932188134524, 0.0]),  # 1 + cos(pi f); cos(pi / 4) = 0.70711
        ("constant", [2.0, 2.0, 2.0, 2.0, 2.0]),
        ("steps", [2.0, 2.0, 0.2, 0.02, 0.02]),
    ],
)
def test_schedule_by_hand(name, expected):
    assert [rate(name, 2.0, f) for f in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_climbs_to_the_whole_rate_and_the_shape_fills_the_rest(name):
    assert [rate(name, 2.0, f, warmup=0.2) for f in (0, 0.05, 0.1)] == pytest.approx([0.0, 0.5, 1.0])
    assert rate(name, 2.0, 0.2, warmup=0.2) == pytest.approx(2.0)
    # 0.2 + 0.6 * 0.8 = 0.68 of the budget is 0.6 of what is left after the warm-up
    assert rate(name, 2.0, 0.68, warmup=0.2) == pytest.approx(rate(name, 2.0, 0.6))
    assert rate(name, 2.0, 1.0, warmup=0.2) == pytest.approx(rate(name, 2.0, 1.0))


@pytest.mark.parametrize("name", SCHEDULES)
def test_rate_never_rises_and_an_overrun_counts_as_the_end(name):
    rates = [rate(name, 1.0, i / 100) for i in range(101)]
    assert rates == sorted(rates, reverse=True)
    assert rate(name, 1.0, 1.3) == rates[-1]
    assert rate(name, 1.0, -0.1) == rates[0]


def test_unknown_schedule_says_what_is_near_and_what_exists():
    with pytest.raises(BenchError, match=r"'linaer'.*Did you mean 'linear'.*linear, cosine, constant, steps"):
        rate("linaer", 1.0, 0.0)


@pytest.mark.parametrize("warmup", [-0.1, 1.0, float("nan")])
def test_warmup_outside_the_budget_is_an_error(warmup):
    with pytest.raises(BenchError, match="warm-up"):
        rate("linear", 1.0, 0.5, warmup=warmup)


def test_own_milestones_by_hand():
    shares = (0, 0.49, 0.5, 0.79, 0.8, 1)
    assert [rate("steps@0.5,0.8", 2.0, share) for share in shares] == [2.0, 2.0, 0.2, 0.2, 0.02, 0.02]


@pytest.mark.parametrize(
    ("text", "stored"),
    [("steps@0.50,0.8", "steps@0.5,0.8"), ("steps@.5, 0.75", "steps"), ("cosine", "cosine"), ("steps", "steps")],
)
def test_a_schedule_has_one_spelling(text, stored):
    assert canonical_schedule(text) == stored == canonical_schedule(stored)


def test_numbers_in_a_list_belong_to_the_milestones_before_them():
    assert join_milestones(["linear", "steps@0.5", "0.8", "cosine"]) == ["linear", "steps@0.5,0.8", "cosine"]
    assert join_milestones(["0.5", "steps"]) == ["0.5", "steps"]


@pytest.mark.parametrize("text", ["steps@", "steps@0.8,0.5", "steps@0,0.5", "steps@0.5,1", "steps@nan", "steps@a"])
def test_milestones_that_are_no_rising_shares_say_what_is_accepted(text):
    with pytest.raises(BenchError, match=r"rise, such as steps@0\.5,0\.8"):
        rate(text, 1.0, 0.0)
