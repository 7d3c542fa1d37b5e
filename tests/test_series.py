"""Winner by budget and label efficiency."""

import math
from dataclasses import replace

import fake_results
import pytest
from fake_results import fake_config, fake_record, write_trial

from bench.core.specs import Budget
from bench.report.findings import series as series_module
from bench.report.findings.series import all_series, crossing_text, near
from bench.report.leaderboard import groups
from bench.report.plots.figures import shared_looks
from bench.report.plots.series_plots import series_plot
from bench.report.text.tables import series_markdown
from bench.results.dataframe import load_results

UNET, DEEPLAB = ("unet", None), ("deeplab", "resnet50")
QUALITY = {UNET: {5: 0.80, 10: 0.86, 20: 0.93}, DEEPLAB: {5: 0.84, 10: 0.88, 20: 0.90}}


def write(path, monkeypatch, net, quality, seeds=3, images=243, **changes):
    monkeypatch.setitem(fake_results.NETS, net, (quality, 40.0, 1200.0, 31_000_000))
    for seed in range(seeds):
        record, table = fake_record(fake_config(*net, seed, **changes))
        data = {**record.dataset, "images": {"train": images, "val": 27, "test": 12}}
        write_trial(path, replace(record, key=f"{record.key}-{images}", dataset=data), table, samples=0)


@pytest.fixture
def budgets(tmp_path, monkeypatch):
    for net, by_epochs in QUALITY.items():
        for epochs, quality in by_epochs.items():
            write(tmp_path, monkeypatch, net, quality, budget=Budget(epochs, "epochs"))
    return tmp_path


def found(path):
    return all_series(groups(load_results(path)))


def test_the_winner_of_each_budget_and_where_the_lead_changes(budgets):
    (series,) = found(budgets)
    assert series.heading == "budget (epochs)"
    assert [line.label for line in series.lines] == ["unet", "deeplab:resnet50"]  # best at 20 epochs first
    assert [(w.value, w.best.label, len(w.tied)) for w in series.winners] == [
        (5, "deeplab:resnet50", 0),
        (10, "deeplab:resnet50", 0),
        (20, "unet", 0),
    ]
    (crossing,) = series.crossings
    assert (crossing.before.label, crossing.after.label, crossing.significant, crossing.leads) == (
        *("deeplab:resnet50", "unet"),
        *(True, True),
    )
    unet, deeplab = ([line.at(v).score for v in (10, 20)] for line in series.lines)
    share = (deeplab[0] - unet[0]) / (deeplab[0] - unet[0] + unet[1] - deeplab[1])  # of the way, on a log scale
    assert crossing.value == pytest.approx(10 * 2**share)
    assert 10 <= crossing.low < crossing.value < crossing.high <= 20
    assert crossing_text(series, crossing).startswith(
        f"unet overtakes deeplab:resnet50 at about {near(series, crossing.value)}"
    )
    assert any("unet overtakes" in line for line in series_markdown([series]))


def test_what_a_score_needs(budgets):
    (series,) = found(budgets)
    unet = series.lines[0]
    scores = [point.score for point in unet.points]
    assert unet.needs(scores[0] - 0.1) == 5  # there, or below
    assert unet.needs(scores[2]) == pytest.approx(20)
    assert unet.needs((scores[0] + scores[1]) / 2) == pytest.approx(math.sqrt(5 * 10))
    assert unet.needs(scores[2] + 1e-6) is None
    assert series.target == round(0.9 * scores[2], 2)


def test_one_seed_changes_no_lead_for_sure(tmp_path, monkeypatch):
    for net, by_epochs in QUALITY.items():
        for epochs, quality in by_epochs.items():
            write(tmp_path, monkeypatch, net, quality, seeds=1, budget=Budget(epochs, "epochs"))
    (series,) = found(tmp_path)
    assert [len(winner.tied) for winner in series.winners] == [1, 1, 1]
    (crossing,) = series.crossings
    assert (crossing.significant, crossing.low, crossing.high) == (False, 10, 20)
    assert "it may be chance" in crossing_text(series, crossing)


def test_label_efficiency_goes_by_images(tmp_path, monkeypatch):
    for fraction, quality in ((0.1, 0.7), (0.3, 0.8), (1.0, 0.9)):
        write(tmp_path, monkeypatch, UNET, quality, images=round(243 * fraction), train_fraction=fraction)
    (series,) = found(tmp_path)
    assert series.heading == "training images"
    assert [point.value for point in series.lines[0].points] == [24, 73, 243]
    assert [line.label for line in series.lines] == ["unet"]  # the share is no part of its name
    assert near(series, 73.4) == "73 images"


def test_shares_and_numbers_of_images_are_one_line_and_the_same_images_one_point(tmp_path, monkeypatch):
    for seeds, quality, images, how in (
        (3, 0.7, 50, {"train_limit": 50}),
        (2, 0.8, 100, {"train_limit": 100}),
        (3, 0.8, 100, {"train_fraction": 0.5}),
        (3, 0.9, 200, {}),
    ):
        write(tmp_path, monkeypatch, UNET, quality, seeds=seeds, images=images, **how)
    (series,) = found(tmp_path)
    (line,) = series.lines
    assert line.label == "unet"
    assert [(p.value, p.row.configuration.seeds) for p in line.points] == [(50, 3), (100, 3), (200, 3)]


def test_units_of_budgets_are_never_mixed(tmp_path, monkeypatch):
    for budget in (Budget(10, "epochs"), Budget(600, "seconds")):
        write(tmp_path, monkeypatch, UNET, 0.8, seeds=1, budget=budget)
    assert found(tmp_path) == []


def test_a_configuration_at_one_budget_is_left_out(budgets, monkeypatch):
    write(budgets, monkeypatch, ("fcn", "vgg16"), 0.99, budget=Budget(10, "epochs"))
    (series,) = found(budgets)
    assert [line.label for line in series.lines] == ["unet", "deeplab:resnet50"]


def test_the_plot_marks_the_change_of_the_lead(budgets, tmp_path):
    (series,) = found(budgets)
    (looks,) = shared_looks([[line.label for line in series.lines]])
    plot = series_plot(series, looks, tmp_path / "plots", "1-pets")
    assert [file.name for file in plot.files] == ["1-pets-by-budget.svg", "1-pets-by-budget.png"]
    assert "the lead changes" in plot.svg
    assert "budget (epochs)" in plot.svg


def test_a_tie_in_the_middle_or_a_missing_budget_hides_no_crossing(tmp_path, monkeypatch):
    scores = {UNET: {5: 0.80, 10: 0.86, 20: 0.93}, DEEPLAB: {5: 0.84, 20: 0.90}}
    for net, by_epochs in scores.items():
        for epochs, quality in by_epochs.items():
            write(tmp_path, monkeypatch, net, quality, budget=Budget(epochs, "epochs"))
    (series,) = found(tmp_path)
    (crossing,) = series.crossings
    assert (crossing.after.label, crossing.leads) == ("unet", True)
    unet, deeplab = series.lines
    equal = replace(deeplab, points=(deeplab.points[0], unet.at(10), deeplab.points[1]))
    winners = [series_module._winner(value, [unet, equal]) for value in (5, 10, 20)]
    (same,) = series_module._crossings([unet, equal], winners)
    assert same.value == pytest.approx(crossing.value)
