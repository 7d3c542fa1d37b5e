"""`bench verify`: the prediction interval, and the verdict on a new run."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.commands import verify
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.report.findings.boards.verified import verified_boards
from bench.report.leaderboard import groups
from bench.results.analysis.intervals.scales import Scale
from bench.results.analysis.prediction_interval import predict, predict_positive
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.trial_files import VERIFICATIONS

RUN = "unet_None_0_10epochs_128_0"  # the name that fake_results gives its folder


def test_the_interval_by_hand():
    found = predict([0.70, 0.72, 0.74])
    # s = 0.02, t of 2 degrees of freedom 4.3027: 4.3027 * 0.02 * sqrt(4 / 3) = 0.09936
    assert (found.mean, found.low, found.high) == pytest.approx((0.72, 0.62064, 0.81936), abs=1e-5)
    assert found.holds(0.63) and not found.holds(0.62) and not found.holds(float("nan"))


def test_the_interval_of_a_share_is_of_shares():
    for values in ([0.05, 0.1, 0.07], [0.999, 0.9, 1.0], [1.0, 1.0]):
        found = predict(values, Scale.SHARE)
        assert 0 <= found.low <= found.mean <= found.high <= 1


def test_one_value_is_too_few():
    with pytest.raises(BenchError, match="needs 2 seeds or more, 1 are ok"):
        predict([0.7])


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_one_more_lies_inside_as_often_as_it_says(seeds):
    rng = np.random.default_rng(seeds)
    inside = [
        predict(list(map(float, values[1:]))).holds(values[0]) for values in rng.normal(0.7, 0.02, (2000, seeds + 1))
    ]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The command on five seeds, without training: `quality` of the new run, `changes` of its record."""
    results = fake_results(tmp_path / "results", seeds=5, failures=False, samples=0)
    asked: list[TrialConfig] = []

    def call(*arguments, status="ok", shift=0.0, **changes):
        def start(configs, folder, force):
            asked.extend(configs)
            record, table = fake_record(configs[0])
            metrics = {**record.metrics, "mean_iou": record.metrics["mean_iou"] + shift}
            record = replace(record, status=status, metrics=metrics, **changes)
            write_trial(folder, record, table, samples=0)
            return [record]

        monkeypatch.setattr(verify, "start", start)
        options = ["verify", *map(str, arguments), "--results", str(results)]
        return CliRunner().invoke(app, options, env={"COLUMNS": "160"}), asked, results

    return call


def test_a_new_seed_that_is_as_expected(bench):
    result, asked, results = bench(RUN)
    assert result.exit_code == 0, result.output
    assert [(config.seed, config.arch, config.repeat) for config in asked] == [(5, "unet", 0)]
    assert "Seed 5 against 5 seeds" in result.stdout and "as expected" in result.stdout
    assert "outside" not in result.stdout and "wide interval" not in result.output
    assert len(list((results / "verify" / "trials").iterdir())) == 1  # what is verified stays as it is
    assert len(list((results / "trials").iterdir())) == 25


def test_quality_outside_fails_and_names_what_differs(bench):
    result, _, _ = bench(RUN, shift=-0.2, environment={"versions": {"keras": "4.0"}})
    assert result.exit_code == 1
    assert "outside" in result.stdout
    assert "What differs" in result.stdout and "4.0" in result.stdout and "3.15.1" in result.stdout


def test_a_slower_run_is_reported_but_no_failure(bench):
    speed = {"train_images_per_second": 4.0}
    result, _, _ = bench(RUN, speed=speed)
    assert result.exit_code == 0, result.output
    assert "outside (speed never fails)" in result.stdout


def test_speed_of_another_device_is_not_compared(bench):
    result, _, _ = bench(RUN, speed={"train_images_per_second": 4000.0}, device="NVIDIA H200")
    assert result.exit_code == 0, result.output
    assert "train images" not in result.stdout and "mean iou" in result.stdout


def test_the_seed_can_be_chosen_and_earlier_verifications_do_not_count(bench):
    bench(RUN, shift=-0.3)
    result, asked, _ = bench(RUN, "--seed", 3)
    assert asked[-1].seed == 3
    assert result.exit_code == 0, result.output


def test_other_code_of_segbench_is_said(bench):
    for commit, said in (("f" * 40, True), ("", False)):
        result, _, _ = bench(RUN, environment={"commit": commit})
        assert ("with other code than the record's" in " ".join(result.output.split())) is said


def test_a_row_without_verdicts_by_the_score_that_ranks_shows_those_by_another(bench):
    _, _, results = bench(RUN)
    file = results / "trials" / RUN / VERIFICATIONS
    kept = json.loads(file.read_text(encoding="utf-8"))
    by_dice = [{**one, "metric": "dice"} for one in kept["verdicts"] if one["metric"] == "mean_iou"]
    file.write_text(json.dumps({"verdicts": by_dice}), encoding="utf-8")
    assert board(results).found[0].text == "reproduced 1 of 1, on 1 machine (by dice)"


def test_a_run_that_ends_badly(bench):
    result, _, _ = bench(RUN, status="failed", reason="ValueError: boom")
    assert result.exit_code == 2
    assert "is not ok: ValueError: boom" in result.output


def test_too_few_seeds_are_said_before_anything_runs(tmp_path, monkeypatch):
    results = fake_results(tmp_path / "one", seeds=1, nets=1, failures=False, samples=0)
    monkeypatch.setattr(verify, "start", lambda *_: pytest.fail("it ran"))
    result = CliRunner().invoke(app, ["verify", RUN, "--results", str(results)])
    assert result.exit_code == 2
    assert "has only 1 ok seed, and a prediction interval needs at least 2" in " ".join(result.output.split())


def test_three_seeds_are_said_to_be_few(tmp_path, monkeypatch):
    results = fake_results(tmp_path / "three", seeds=3, nets=1, failures=False, samples=0)
    monkeypatch.setattr(verify, "start", lambda *_: [])
    result = CliRunner().invoke(app, ["verify", RUN, "--results", str(results)])
    assert "3 seeds give a wide interval" in result.output
    assert result.exit_code == 2 and "another runner is working on it" in result.output


def test_a_gap_in_the_seeds_is_filled():
    record, _ = fake_record(fake_config(seed=3))
    trial = type("Stored", (), {"record": record})()
    assert verify.again(trial, [1, 3], seed=None, data_dir=None, plugin=None).seed == 0


def test_speeds_differ_by_factors():
    found = predict_positive([10.0, 40.0])
    # of log(20) = the mean: s = 0.980, t of 1 degree of freedom 12.706: exp(12.706 * 0.980 * sqrt(1.5)) = 4.22e6
    assert found.mean == pytest.approx(20)
    assert found.high / found.mean == pytest.approx(found.mean / found.low) == pytest.approx(4.22e6, rel=0.01)


def board(results):
    loaded = load([results]).trials
    (found,) = verified_boards(groups(load_results(results)), {str(trial.folder): trial for trial in loaded})
    return found


def test_verdicts_are_kept_and_a_row_says_how_often_it_was_reproduced(bench):
    bench(RUN, finished="2026-01-01")
    _, asked, results = bench(RUN, finished="2026-01-02")
    assert [config.seed for config in asked] == [5, 6], "the second time a seed that wasn't verified before"
    (row,) = board(results).found
    assert row.text == "reproduced 2 of 2, on 1 machine" and abs(row.farthest) <= 1
    bench(RUN, "--seed", 6, finished="2026-01-02")  # found done: the same new run
    assert len(board(results).found[0].valid) == 2
    bench(RUN, shift=-0.3, finished="2026-01-03", device="another")
    (row,) = board(results).found
    assert row.text == "reproduced 2 of 3, on 2 machines" and row.farthest < -1
    assert "reproduced 2 of 3, on 2 machines" in "\n".join(board(results).markdown())


def test_verdicts_on_other_code_or_a_replaced_record_or_half_a_file_do_not_count(bench):
    _, _, results = bench(RUN, configuration="other")
    found = board(results)
    assert found.found[0].text == "not counted" and "Not counted: 1 verdict" in found.notes[0]
    bench(RUN)
    file = results / "trials" / RUN / VERIFICATIONS
    assert board(results).found[0].text == "reproduced 1 of 1, on 1 machine"
    record = results / "trials" / RUN / "record.json"
    record.write_text(
        json.dumps({**json.loads(record.read_text(encoding="utf-8")), "finished": "later"}), encoding="utf-8"
    )
    assert board(results).found[0].text == "not counted"
    file.write_text(file.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert verified_boards(groups(load_results(results)), {}) == []


def test_all_verifies_the_best_rows_of_each_table(bench):
    result, asked, _ = bench("--all", "--top", 2)
    assert result.exit_code == 0, result.output
    assert len(asked) == 2 and len({config.pair for config in asked}) == 2
    for wrong in ([], [RUN, "--all"], [RUN, "--top", 2]):
        result, _, _ = bench(*wrong)
        assert result.exit_code == 2 and "Name a run, or give --all" in " ".join(result.output.split())


@pytest.mark.parametrize("value", [0.1, 1234.5])
def test_the_same_value_is_as_expected_where_seeds_do_not_differ(value):
    assert predict([value] * 3).holds(value)
    assert predict_positive([value] * 3).holds(value)
    assert not predict([value] * 3).holds(value * 1.001)
