"""`bench recommend`: the configurations within limits; tests/test_page.py tests the same on the page."""

from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.report.constraints import CONSTRAINTS, choose, hindrances
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return fake_results(tmp_path_factory.mktemp("recommend") / "results")


def bench(*arguments):
    return CliRunner().invoke(app, ["recommend", *map(str, arguments)], env={"COLUMNS": "160"})


def test_without_limits_the_tied_are_marked(results):
    result = bench(results)
    assert result.exit_code == 0, result.output
    assert (
        "Take one of the 4 marked *: they are not significantly different. 5 of 5 are within the limits."
        in result.stdout
    )


def test_limits_leave_what_keeps_them(results):
    result = bench(results, "--max-latency-ms", 25, "--max-memory-mib", 1000, "--dataset", "pets")
    assert "unet:mobilenet_v2" in result.stdout and "deeplab:mobilenet_v2" in result.stdout
    assert "resnet50" not in result.stdout and "2 of 5 are within the limits" in result.stdout


def test_another_score_chooses_another_best(tmp_path):
    for arch, iou, own in (("unet", 0.8, 0.1), ("segnet", 0.7, 0.9)):
        for seed in (0, 1):
            record, _ = fake_record(fake_config(arch, seed=seed))
            metrics = {**record.metrics, "mean_iou": iou, "airbus_f2": own}
            write_trial(tmp_path, replace(record, metrics=metrics), samples=0)
    rows = [line for line in bench(tmp_path, "--rank-by", "airbus_f2").stdout.splitlines() if "net" in line]
    assert "segnet" in rows[0] and "0.900" in rows[0] and "unet" in rows[1]
    assert "unet" in next(line for line in bench(tmp_path).stdout.splitlines() if "net" in line)
    result = bench(tmp_path, "--rank-by", "nonsense")
    assert result.exit_code == 2 and "no score 'nonsense' to rank by" in result.stderr


@pytest.mark.parametrize(
    ("scores", "said", "code"),
    [
        ((0.30,), "Take none: 1 of 1 are within the limits, and none learned anything.", 1),
        ((0.30, 0.21), "Take none: 2 of 2 are within the limits, and none learned anything.", 1),
        ((0.45, 0.30), "Take unet: 2 of 2 are within the limits, and the others are no better than no model.", 0),
        ((0.45, 0.41, 0.30), "Take one of the 2 marked *", 0),
    ],
)
def test_what_learned_nothing_is_never_advised(tmp_path, scores, said, code):
    for arch, iou in zip(("unet", "segnet", "fcn"), scores, strict=False):
        record, _ = fake_record(fake_config(arch))
        metrics = {**record.metrics, "mean_iou": iou, "majority_class_mean_iou": 0.30}
        write_trial(tmp_path, replace(record, metrics=metrics), samples=0)  # no table: no two differ significantly
    result = bench(tmp_path)
    assert said in result.stdout and result.exit_code == code
    write_report([tmp_path], tmp_path / "page")
    advice = (tmp_path / "page" / "index.html").read_text().partition('class="choice"')[2].partition("</div>")[0]
    assert ("None learned anything." in advice, "Best" in advice) == (code == 1, code == 0)
    assert advice.count("chip") == sum(iou > 0.30 for iou in scores)


@pytest.mark.parametrize("text", ["3M", "3000000", "3e6", "3000k", "0.003G"])
def test_parameters_are_given_as_they_are_said(results, text):
    assert "Take deeplab:mobilenet_v2: 1 of 5" in bench(results, "--max-params", text).stdout


def test_every_limit_has_an_option(results):
    given = {limit.key: 1 for limit in CONSTRAINTS}
    result = bench(results, *(part for key, value in given.items() for part in (f"--{key.replace('_', '-')}", value)))
    assert result.exit_code == 1
    for line in ("mean IoU at least 1: met by 0 of 5", "latency p95 at most 1 ms", "training at most 1 min"):
        assert line in result.stdout


def test_a_value_that_was_not_measured_fails_its_limit(tmp_path):
    record, table = fake_record(fake_config())
    write_trial(tmp_path, replace(record, speed={}), table)
    (group,) = groups(load_results(tmp_path))
    assert not choose(group, {"max_latency_ms": 1e9}).kept
    assert len(choose(group, {"max_memory_mib": 1e9}).kept) == 1
    assert hindrances(group, {"max_latency_ms": 9}) == ["latency p95 at most 9 ms: met by 0 of 1; not recorded in 1"]


def test_energy_and_throughput_are_limits_with_columns_of_their_own(tmp_path):
    for arch, joules, rate in (("unet", 40.0, 50.0), ("segnet", 90.0, 200.0), ("fcn", None, 300.0)):
        record, table = fake_record(fake_config(arch))
        energy = {} if joules is None else {"joules_per_1000_inferences": joules, "train_kwh": joules / 1000}
        speed = {**record.speed, "inference_images_per_second": rate}
        write_trial(tmp_path, replace(record, energy=energy, speed=speed), table, samples=0)
    assert "Take unet: 1 of 3" in bench(tmp_path, "--max-joules", 50).stdout
    assert "Take unet: 1 of 3" in bench(tmp_path, "--max-train-kwh", 0.05).stdout
    said = bench(tmp_path, "--max-joules", 100, "--min-images-per-second", 100).stdout
    assert "Take segnet: 1 of 3" in said and "J / 1,000" in said and "90" in said
    said = bench(tmp_path, "--max-joules", 1).stdout
    assert "energy, inference at most 1 J / 1,000 images: met by 0 of 3; the lowest is 40" in said
    assert ", of unet" in said
    assert "not recorded in 1" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "cats"), "There are no results on the data set 'cats'. Data sets with results: pets."),
        (("--max-params", "many"), "--max-params is 'many'"),
    ],
)
def test_mistakes_are_one_line(results, arguments, message):
    result = bench(results, *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_a_folder_with_nothing_to_recommend_is_one_line(tmp_path):
    empty = fake_results(tmp_path / "r", nets=0)
    result = bench(empty)
    assert result.exit_code == 2 and "nothing to recommend" in result.stderr


def test_rows_that_learned_nothing_are_named_in_the_terminal(tmp_path):
    for arch, floor in (("unet", 0.9), ("segnet", 0.1)):
        record, _ = fake_record(fake_config(arch))
        metrics = {**record.metrics, "mean_iou": 0.5, "majority_class_mean_iou": floor}
        write_trial(tmp_path, replace(record, metrics=metrics), samples=0)
    says = "Learned nothing, no better than predicting the most common class everywhere: unet."
    assert says in bench(tmp_path).stdout
    report = CliRunner().invoke(app, ["report", str(tmp_path)], env={"COLUMNS": "200"})
    assert says in " ".join(report.stdout.split())  # the caption folds at the table's width


def test_a_better_row_just_outside_and_a_busy_machine_are_said(tmp_path):
    for arch, latency in (("unet", 11.0), ("segnet", 8.0), ("deeplab", 30.0)):
        for seed in range(2):
            record, table = fake_record(fake_config(arch, None, seed))
            noise = {"cpu_noise": {"train": {"others_share": 0.6}}}
            speed = {**record.speed, "latency_ms_p95": latency}
            record = replace(record, speed=speed, environment={**record.environment, **noise})
            write_trial(tmp_path, record, table, samples=0)
    (group,) = groups(load_results(tmp_path))
    order = [row.configuration.values["arch"] for row in group.ranked]
    assert order.index("unet") < order.index("segnet")
    said = bench(tmp_path, "--max-latency-ms", 10).stdout
    assert "just outside: unet (mean IoU" in said and "latency p95 11 ms)" in said and "deeplab" not in said
    assert "~: measured while other processes" in said
    assert "just outside" not in bench(tmp_path, "--max-latency-ms", 12).stdout
