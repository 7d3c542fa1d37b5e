"""What a seed and a doubled budget are worth, and the areas under lines: by hand, with their intervals."""

import json

import numpy as np
import pytest
from test_series import DEEPLAB, UNET, write

from bench.core.specs import Budget
from bench.report.findings.boards import curve_worth, seed_worth
from bench.report.findings.boards.curve_worth import area_boards, doubling_boards
from bench.report.findings.boards.seed_worth import seed_boards
from bench.report.findings.series import all_series
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.intervals.combined import weighted, width, with_seeds
from bench.results.analysis.intervals.scales import Scale
from bench.results.dataframe import load_results


def row(scores, spread=0.0, groups=50):
    draws = np.mean(scores) + spread * np.random.default_rng(0).normal(size=100)
    return Uncertainty(np.array(scores), draws, groups)


def test_one_seed_more_narrows_what_seeds_cause_and_not_what_images_cause():
    seeds = row([0.7, 0.72, 0.74])
    # t of 2 degrees of freedom 4.303, of 3 degrees 3.182: 4.303 / sqrt(3) = 2.484, 3.182 / sqrt(4) = 1.591
    assert width(with_seeds(seeds, 4)) / width(seeds) == pytest.approx(1.591 / 2.484, rel=1e-3)
    assert with_seeds(seeds, 7).mean == pytest.approx(0.72)
    images = row([0.72, 0.72, 0.72], spread=0.05)
    assert width(with_seeds(images, 4)) == pytest.approx(width(images))


def test_a_sum_of_rows_pairs_their_images_and_adds_the_variances_of_their_seeds():
    one, other = row([0.6, 0.7], spread=0.05), row([0.7, 0.8], spread=0.05)
    gain = weighted([one, other], (-1, 1), Scale.DIFFERENCE)
    plain = other.minus(one)
    assert (gain.mean, gain.low, gain.high) == pytest.approx((plain.mean, plain.low, plain.high))
    assert weighted([one, row([0.7])], (0.5, 0.5), Scale.SHARE) is None  # one seed says nothing of seeds
    assert weighted([one, row([0.7, 0.8], groups=9)], (0.5, 0.5), Scale.SHARE) is None  # of other images


@pytest.fixture
def budgets(tmp_path, monkeypatch):
    for net, by_steps in {UNET: {10: 0.6, 20: 0.7, 80: 0.9}, DEEPLAB: {10: 0.8, 80: 0.8}}.items():
        for steps, quality in by_steps.items():
            write(tmp_path, monkeypatch, net, quality, budget=Budget(steps, "steps"))
    return tmp_path


def test_areas_and_gains_are_those_of_the_lines(budgets):
    series = all_series(groups(load_results(budgets)))
    (areas,), (gains,) = area_boards(series), doubling_boards(series)
    (line,) = (line for line in series[0].lines if line.label == "unet")
    low, middle, high = (point.score for point in line.points)
    area = next(one for one in areas.found if one.label == "unet")
    # over log2, from 10 to 20 one unit and from 20 to 80 two, of three
    assert area.value == pytest.approx(((low + middle) / 2 + 2 * (middle + high) / 2) / 3)
    assert 0 <= area.interval.low < area.value < area.interval.high <= 1
    gain = next(one for one in gains.found if one.label == "unet")
    assert gain.value == pytest.approx((high - middle) / 2)  # 20 to 80 steps are two doublings
    assert gain.interval.low < gain.value < gain.interval.high


@pytest.mark.parametrize("most", [1, 20])
def test_tables_of_the_best_rows_say_what_they_leave_out(budgets, monkeypatch, most):
    for module in (curve_worth, seed_worth):
        monkeypatch.setattr(module, "_MOST", most)
    ranked = groups(load_results(budgets))
    series = all_series(ranked)
    boards = [*area_boards(series), *doubling_boards(series), *seed_boards(ranked)]
    told = [note for board in boards for note in board.notes if "only the best 1 are looked at" in note]
    assert {note.split(",")[0] for note in told} == ({"Of 2 lines", "Of 2 rows"} if most == 1 else set())


def test_the_report_has_the_tables_in_every_form(budgets, tmp_path):
    out = tmp_path / "out"
    write_report([budgets], out)
    page = (out / "index.html").read_text(encoding="utf-8")
    markdown = (out / "LEADERBOARD.md").read_text(encoding="utf-8")
    for name, heading, title in (
        ("seed-worth", "What a seed is worth", "what a seed is worth"),
        ("budget-worth", "What a minute is worth", "what a doubled budget adds"),
        ("areas", "Areas under the curves", "areas under the curves"),
    ):
        assert heading in page and title in markdown
        assert json.loads((out / f"{name}.json").read_text(encoding="utf-8"))


def test_a_row_of_one_seed_has_no_worth_of_a_seed(tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, UNET, 0.8, seeds=1)
    assert seed_boards(groups(load_results(tmp_path))) == []
