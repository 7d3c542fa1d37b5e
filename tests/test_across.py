"""Average ranks across data sets."""

import math
from dataclasses import replace

import fake_results
import pytest
from fake_results import fake_config, fake_record, write_trial

from bench.core.specs import Budget
from bench.report.findings.across import all_across, cliques, critical_difference
from bench.report.leaderboard import groups
from bench.report.plots import across_plots
from bench.report.plots.across_plots import across_plot
from bench.report.text.tables import across_markdown
from bench.results.dataframe import load_results

NETS = {
    ("unet", None): (0.93, 0.93, 0.80),
    ("deeplab", "resnet50"): (0.88, 0.88, 0.93),
    ("fcn", "vgg16"): (0.7, 0.7, 0.7),
}


@pytest.mark.parametrize(
    ("rows", "data_sets", "q"),
    [(2, 10, 1.960), (5, 10, 2.728), (10, 30, 3.164)],  # Demšar 2006, table 5
)
def test_the_critical_difference_is_demsars(rows, data_sets, q):
    assert critical_difference(rows, data_sets) == pytest.approx(
        q * math.sqrt(rows * (rows + 1) / (6 * data_sets)), rel=4e-4
    )


def test_cliques_are_the_longest_runs():
    assert cliques([1.0, 1.5, 2.6, 4.0], 1.2) == ((0, 1), (1, 2))
    assert cliques([1.0, 2.0, 3.0], 0.5) == ()
    assert cliques([1.0, 1.2, 1.4], 5) == ((0, 2),)


@pytest.fixture
def results(tmp_path, monkeypatch):
    for net, qualities in NETS.items():
        for number, quality in enumerate(qualities):
            monkeypatch.setitem(fake_results.NETS, net, (quality, 40.0, 1200.0, 31_000_000))
            write(tmp_path, net, f"data{number}")
    return tmp_path


def write(path, net, dataset, **changes):
    for seed in range(2):
        record, table = fake_record(fake_config(*net, seed, dataset=dataset, **changes))
        data = {**record.dataset, "fingerprint": f"of {dataset}"}
        write_trial(path, replace(record, key=f"{record.key}-{dataset}", dataset=data), table, samples=0)


def found(path):
    return all_across(groups(load_results(path)))


def test_mean_ranks(results, tmp_path):
    (across,) = found(results)
    assert across.data_sets == ("data0", "data1", "data2")
    assert [(place.label, place.ranks) for place in across.places] == [
        ("unet", (1, 1, 2)),
        ("deeplab:resnet50", (2, 2, 1)),
        ("fcn:vgg16", (3, 3, 3)),
    ]
    assert across.places[0].mean == pytest.approx(4 / 3)
    assert all(place.open[0] <= place.mean <= place.open[1] for place in across.places)
    # chi-square of Friedman: 12 * 3 / (3 * 4) * ((4/3)^2 + (5/3)^2 + 3^2 - 3 * 4^2 / 4) = 4.667, 2 degrees of freedom
    assert across.friedman == pytest.approx(math.exp(-4.6667 / 2), rel=1e-3)
    assert across.cliques == ((0, 2),)  # with three data sets 1.91 ranks may be chance
    assert across.note == ""
    assert across.title == "Average rank across 3 data sets, 10 epochs, at 128x128"
    assert "1.33" in "\n".join(across_markdown([across]))
    assert "critical difference 1.91" in across_plot(across, tmp_path / "plots", "1-3-data-sets").svg
    (axes,) = across_plots._draw(across).axes
    assert [list(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 3.5] == [
        [-0.25, 2.25]
    ]  # all three


def test_two_data_sets_are_too_few(results):
    assert all_across(groups(load_results(results).query("dataset != 'data2'"))) == []


def test_configurations_that_miss_a_data_set_are_left_out(results):
    write(results, ("segnet", None), "data0")
    (across,) = found(results)
    assert len(across.places) == 3
    assert max(place.open[1] for place in across.places) <= 3


def test_other_budgets_are_named_if_each_data_set_has_one(results):
    write(results, ("unet", None), "data3", budget=Budget(20, "epochs"))
    write(results, ("deeplab", "resnet50"), "data3", budget=Budget(20, "epochs"))
    (across,) = found(results)
    assert across.data_sets == ("data0", "data1", "data2")  # three at the same budget
    frame = load_results(results)
    (across,) = all_across(groups(frame[frame["dataset"] != "data2"]))
    assert across.data_sets == ("data0", "data1", "data3")
    assert across.note == "The data sets also differ in budget."
    assert across.title == "Average rank across 3 data sets, at 128x128"
    assert [place.label for place in across.places] == ["unet", "deeplab:resnet50"]
    assert across.friedman is None
