"""A lower-is-better score is ranked, compared, gated and drawn in the right direction everywhere.

The records are fake. `near` has the smallest Hausdorff distances and the smallest mean IoU, `far` the largest: code
that takes a larger distance for better, or ranks by mean IoU, gets the opposite order.
"""

import csv
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_config, fake_record, fake_table, table_metrics, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.report.findings.across import all_across
from bench.report.findings.series import all_series, needs_text
from bench.report.leaderboard import groups
from bench.report.plots import trade_offs
from bench.report.plots.figures import shared_looks
from bench.report.render import write_report
from bench.results.analysis.configurations import pool
from bench.results.analysis.definitions.definition_audit import audit
from bench.results.dataframe import load_results
from bench.results.gate import baseline, judge, measured
from bench.results.gate.limits import read_limits
from bench.results.gate.verdict import BETTER, REGRESSION
from bench.results.loading import load
from bench.results.quantities import METRICS, QUANTITIES

METRIC = METRICS["hausdorff95"]
IMAGES = 40
DISTANCES = {"near": 4.0, "middle": 4.2, "far": 12.0}  # pixels; the first two differ by less than images and seeds do
QUALITIES = {"near": 0.80, "middle": 0.85, "far": 0.90}
_HARD = np.random.default_rng(0).normal(0, 0.5, IMAGES)


def write(folder, arch, seed, distance=None, **changes):
    """A trial with a distance for each image; one image has none."""
    config = fake_config(arch, seed=seed, **changes)
    table = fake_table(config, QUALITIES[arch], IMAGES)
    rng = np.random.default_rng([seed, len(arch)])
    distances = (distance or DISTANCES[arch]) + _HARD + rng.normal(0, 0.3, IMAGES) + rng.normal(0, 0.3)
    distances[3] = np.nan
    table["hausdorff95"] = distances
    metrics = table_metrics(table) | {"hausdorff95": float(np.nanmean(distances))}
    record, _ = fake_record(config)
    speed = record.speed | {"latency_ms_p95": {"near": 30.0, "middle": 20.0, "far": 10.0}[arch]}
    data = {**record.dataset, "fingerprint": f"of {config.dataset}"}
    record = replace(record, metrics=metrics, speed=speed, dataset=data, key=f"{record.key}-{config.dataset}")
    return write_trial(folder, replace(record, configuration=f"{arch} {changes}"), table, samples=0)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for arch in DISTANCES:
        for seed in range(3):
            write(folder, arch, seed)
    return folder


@pytest.fixture(scope="module")
def group(results):
    (found,) = groups(load_results(results), METRIC)
    return found


def bench(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_leaderboard_has_the_smallest_first_and_ties_by_images_and_seeds(group):
    assert [row.label for row in group.ranked] == ["near", "middle", "far"]
    assert [(row.rank, row.ranks) for row in group.ranked] == [(1, (1, 2)), (1, (1, 2)), (3, (3, 3))]
    first = group.ranked[0]
    assert first.cells["hausdorff95"].text.startswith(METRIC.write(first.uncertainty.mean) + " [")
    assert [row.cells["hausdorff95"].heat for row in group.ranked] == [100, 50, 0]


def test_by_mean_iou_the_column_is_there_and_shaded_the_right_way_round(results):
    (group,) = groups(load_results(results))
    assert [row.label for row in group.ranked] == ["far", "middle", "near"]
    assert {row.label: row.cells["hausdorff95"].heat for row in group.ranked} == {"near": 100, "middle": 50, "far": 0}
    assert group.columns["hausdorff95"][0] == "Hausdorff 95 % (px)"


def test_the_report_ranks_by_it_and_its_column_sorts_the_smallest_first(results, tmp_path):
    write_report([results], tmp_path, rank_by="hausdorff95")
    rows = list(csv.DictReader((tmp_path / "leaderboard.csv").read_text().splitlines()))
    assert [row["arch"] for row in rows] == ["near", "middle", "far"]
    assert {row["ranked_by"] for row in rows} == {"hausdorff95"}
    page = (tmp_path / "index.html").read_text()
    heads = dict(re.findall(r'data-column="(\w+)"([^>]*)>', page))
    assert "data-high" not in heads["hausdorff95"] and "data-high" in heads["mean_iou"]
    assert re.findall('<span class="chip">(.*?)</span>', page) == ["near", "middle"]


def test_records_without_it_can_not_be_ranked_by_it(tmp_path):
    record, table = fake_record(fake_config())
    write_trial(tmp_path, record, table, samples=0)
    with pytest.raises(BenchError, match="no score 'hausdorff95' to rank by"):
        write_report([tmp_path], tmp_path / "out", rank_by="hausdorff95")


def test_recommend_takes_the_smallest_within_the_limits(results):
    said = bench("recommend", results, "--rank-by", "hausdorff95")
    assert "2 marked *" in said
    assert re.findall(r"^ ?(\*?) +(near|middle|far)\b", said, re.MULTILINE) == [
        ("*", "near"),
        ("*", "middle"),
        ("", "far"),
    ]
    assert "Take far" in bench("recommend", results, "--rank-by", "hausdorff95", "--max-latency-ms", 15)


def test_compare_says_which_side_is_better(results):
    said = bench("compare", "far", "near", "--results", results, "--rank-by", "hausdorff95")
    assert re.search(r"Hausdorff 95 % 1\d\.\d+ -> \d\.\d+ \(-.*\): significantly better", said)
    said = bench("compare", "near", "far", "--results", results, "--rank-by", "hausdorff95")
    assert "significantly worse" in said


def test_compare_counts_better_and_worse_pairs(results, tmp_path):
    for arch, distance in (("near", 3.0), ("middle", 9.0), ("far", 12.0)):
        for seed in range(3):
            write(tmp_path, arch, seed, distance)
    said = bench("compare", results, tmp_path, "--rank-by", "hausdorff95")
    assert "1 significantly better, 1 significantly worse, 1 not significantly different" in " ".join(said.split())


def test_the_audit_ranks_by_it_the_right_way_round(results, tmp_path):
    loaded = load([results])
    (group,) = groups(load_results(results))
    members = [row.configuration for row in group.ranked]  # by mean IoU: far, middle, near
    found = audit(members, {str(trial.folder): trial.record for trial in loaded.trials})
    number = found.definitions.index("95 % Hausdorff distance of each image")
    assert found.ranks()[number].tolist() == [3, 2, 1] and found.best(number) == 2
    assert found.values[number].tolist() == pytest.approx(
        [member.spread("hausdorff95").mean for member in members], rel=1e-9
    )
    name = "95 % Hausdorff distance of each image"
    reversed_pairs = {(r.above, r.below): r for r in found.reversals() if name in r.definitions}
    assert set(reversed_pairs) == {(0, 1), (0, 2), (1, 2)}  # better by mean IoU, worse by the distance
    assert name in reversed_pairs[0, 2].significant and name not in reversed_pairs[1, 2].significant
    assert "near is better than far according to: " in bench("audit", results, "--out", tmp_path / "audit.csv")
    rows = csv.DictReader((tmp_path / "audit.csv").read_text().splitlines())
    ranks = {row["configuration"]: row["rank"] for row in rows if row["definition"] == name}
    assert ranks == {"near": "1", "middle": "2", "far": "3"}


@pytest.mark.parametrize(("distance", "verdict"), [(5.5, REGRESSION), (2.5, BETTER)])
def test_the_gate_calls_a_greater_distance_a_regression(tmp_path, distance, verdict):
    for name, length in (("base", 4.0), ("new", distance)):
        for seed in range(4):
            write(tmp_path / name, "near", seed, length)
    subjects, _ = measured.from_results([tmp_path / "base"])
    baseline.write_baseline(tmp_path / "b.json", subjects, {"reason": "r", "time": "t", "commit": "c"})
    new, _ = measured.from_results([tmp_path / "new"])
    (tmp_path / "limits.toml").write_text("[hausdorff95]\nlimit = 0.5\n")  # which direction is worse, the registry says
    lines = judge.compare(baseline.read_baseline(tmp_path / "b.json"), new, read_limits(tmp_path / "limits.toml"))
    (line,) = (line for line in lines if line.metric == "hausdorff95")
    assert line.verdict == verdict and line.limit == "0.5 higher"
    assert line.low < line.change < line.high


def test_series_know_who_leads_and_what_a_score_needs(tmp_path):
    distances = {"near": (12.0, 4.0), "far": (8.0, 6.0)}  # at 5 and at 20 epochs
    for arch, both in distances.items():
        for epochs, distance in zip((5, 20), both, strict=True):
            for seed in range(3):
                write(tmp_path, arch, seed, distance, budget=Budget(epochs, "epochs"))
    (series,) = all_series(groups(load_results(tmp_path), METRIC))
    assert [(winner.value, winner.best.label) for winner in series.winners] == [(5, "far"), (20, "near")]
    assert [line.label for line in series.lines] == ["near", "far"]
    (crossing,) = series.crossings
    assert (crossing.before.label, crossing.after.label, crossing.significant, crossing.leads) == (
        "far",
        "near",
        True,
        True,
    )
    assert 5 < crossing.value < 20
    best = series.lines[0].points[-1].score
    assert best < series.target == pytest.approx(best / 0.9, abs=0.011)  # a little worse than the best
    near, far = series.lines
    assert 5 < near.needs(series.target) < 20 and far.needs(series.target) is None
    assert near.needs(12.9) == 5
    assert needs_text(series, near).startswith("about 1") and needs_text(series, far) == "not reached"


def test_average_ranks_put_the_smallest_first(tmp_path):
    for arch in DISTANCES:
        for dataset in ("one", "two", "three"):
            for seed in range(2):
                write(tmp_path, arch, seed, dataset=dataset)
    (across,) = all_across(groups(load_results(tmp_path), METRIC))
    assert across.places[0].label in ("near", "middle") and across.places[-1].label == "far"
    assert across.places[-1].ranks == (3, 3, 3)


def test_the_front_of_a_trade_off_goes_down_to_the_smallest(group, monkeypatch):
    """`far` is the fastest, `near` the best: nothing beats any of the three in both."""
    fronts = []
    monkeypatch.setattr(trade_offs, "pareto", lambda x, y: fronts.append((x, y)) or trade_offs.np.arange(len(x)))
    (looks,) = shared_looks([[row.label for row in group.ranked]])
    figure = trade_offs.draw_trade_off(group, looks, QUANTITIES["latency_ms_p95"])
    monkeypatch.undo()
    ((x, y),) = fronts
    assert trade_offs.pareto(x, y).tolist() == [2, 1, 0]  # far, middle, near: the cheapest first
    assert figure.axes[0].get_ylabel() == "test Hausdorff 95 % (px)"


def test_pooling_takes_the_mean_over_the_images_that_have_a_value(results):
    (member,) = (m for m in pool(load_results(results)) if m.values["arch"] == "near")
    tables = [pd.read_parquet(f"{folder}/images.parquet") for folder in member.ok["folder"]]
    expected = np.mean([table["hausdorff95"].mean() for table in tables])  # pandas leaves NaN out
    assert member.spread("hausdorff95").mean == pytest.approx(expected)
