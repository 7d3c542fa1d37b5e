"""A training with a target ends at the validation that reaches it, and the time that it took ranks configurations."""

from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import OPTIONS, TrialConfig
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.analysis.comparing import compare
from bench.results.analysis.configurations import pool
from bench.results.analysis.target import Target, check_target
from bench.results.dataframe import load_results
from bench.results.quantities import TARGET_SECONDS
from bench.training.budget import Meter
from bench.training.loop import Training
from bench.trials.identity import trial_key
from bench.trials.record_sections import describe_training

SECONDS = {"unet": (50.0, 52.0, 54.0), "segnet": (90.0, 91.0, 95.0), "fcn8": (20.0, None, 21.0)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three configurations with a target, the last of which has a seed that missed it, and one without a target."""
    folder = tmp_path_factory.mktemp("results")
    for arch, times in {**SECONDS, "deeplab": (None, None, None)}.items():
        for seed, seconds in enumerate(times):
            config = fake_config(arch, seed=seed, target=None if arch == "deeplab" else "mean_iou=0.7")
            record, table = fake_record(config)
            found = {"target_seconds": seconds} if seconds else {}
            training = {**record.training, **found, "val_mean_iou_rise": 0.1}
            record = replace(record, training=training, configuration=f"{arch} {config.target}")
            write_trial(folder, replace(record, key=f"{record.key}-{config.target}"), table, samples=0)
    return folder


@pytest.fixture(scope="module")
def group(results):
    return next(g for g in groups(load_results(results), TARGET_SECONDS) if "target" in g.fields)


def bench(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "160"})


@pytest.mark.parametrize(
    ("text", "known"),
    [("mean_iou=0.70", "mean_iou=0.7"), (" dice = 1", "dice=1"), ("f2=5e-1", "f2=0.5"), ("none", None)],
)
def test_a_target_has_one_spelling_so_that_equal_ones_have_one_key(text, known):
    assert OPTIONS["target"].read(text) == known


@pytest.mark.parametrize(
    "text", ["mean_iou", "0.7", "mean_iou=", "mean_iou=70", "mean_iou=0", "mean_iou=nan", "=0.5", 5]
)
def test_a_target_that_is_no_score_and_value_is_refused_with_an_example(text):
    with pytest.raises(BenchError, match=r"--target is .*Accepted: a score and the value to reach.*mean_iou=0.7"):
        OPTIONS["target"].read(text)


def test_a_score_that_no_validation_computes_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(BenchError, match=r"Unknown score of a validation 'mean_iuo'. Did you mean 'mean_iou'"):
        check_target(TrialConfig("unet", "shapes", target="mean_iuo=0.7"))
    check_target(TrialConfig("unet", "carvana", target="carvana_dice=0.9"))
    said = bench("run", "--arch", "unet", "--dataset", "shapes", "--target", "airbus_f2=0.5", "--dry-run")
    assert said.exit_code == 2
    assert "Available: mean_iou, dice, f2, pixel_accuracy" in said.output


def test_a_target_is_in_the_key_only_where_it_is_given():
    config = TrialConfig("unet", "shapes", params={})
    keys = {trial_key(replace(config, target=target), "data") for target in (None, "mean_iou=0.7", "mean_iou=0.8")}
    assert len(keys) == 3
    assert trial_key(config, "data") in keys


class Counting:
    """An engine that learns nothing."""

    def train_step(self, images, labels, draws, lr):
        return 1.0

    def wait(self, value):
        pass


def train_until(score):
    """Train for 100 steps at most; the validations score 0.1, 0.2, ..."""
    batch = np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 2), np.uint8)
    meter = Meter(Budget(100, "steps"), batch_size=1, epoch_images=1)
    target, scores = Target("mean_iou", score), []

    def validate(loss):
        scores.append({"mean_iou": round(meter.fraction, 6)})
        return target.is_reached(scores[-1])

    training = Training(
        Counting(),
        iter(lambda: batch, None),
        meter,
        0.1,
        "linear",
        "none",
        np.random.default_rng(0),
        on_milestone=validate,
    )
    training.run()
    return training, scores


def test_training_ends_at_the_validation_that_reaches_the_target():
    training, scores = train_until(0.3)
    assert (training.meter.steps, len(scores)) == (30, 3)
    known = describe_training(training, scores, {}, reached=True)
    assert known["target_seconds"] == known["train_seconds"]


def test_a_target_that_is_never_reached_leaves_the_budget_and_no_time():
    training, scores = train_until(1.1)
    assert (training.meter.steps, len(scores)) == (100, 10)
    assert "target_seconds" not in describe_training(training, scores, {})


def test_the_fastest_to_the_target_is_first_and_a_missed_seed_gives_no_time(group):
    assert [row.label for row in group.rows] == ["unet", "segnet", "fcn8"]
    assert [(row.rank, row.ranks) for row in group.rows] == [(1, (1, 1)), (2, (2, 2)), (None, None)]
    texts = [row.cells["target_seconds"].text for row in group.rows]
    assert texts[0].startswith("52.0 [") and texts[2] == "not reached"
    assert any("over the seeds, by Student's t" in note for note in group.notes)


def test_trials_with_a_target_are_never_ranked_with_those_without(results):
    boards = groups(load_results(results))
    assert [sorted(row.label for row in board.rows) for board in boards] == [["deeplab"], ["fcn8", "segnet", "unet"]]
    assert ["until mean_iou=0.7" in board.title for board in boards] == [False, True]


def test_a_missed_target_is_a_flag_and_a_reached_one_is_not_called_unconverged(results):
    board = groups(load_results(results))[1]
    flagged = {row.label: {flag.name for flag in row.flags} for row in board.rows}
    assert "target missed" in flagged["fcn8"] and "not converged" in flagged["fcn8"]
    assert not {"target missed", "not converged"} & flagged["unet"]


def test_the_report_and_the_comparison_take_the_time_for_a_score(results, tmp_path):
    made = write_report([results], tmp_path, rank_by="target_seconds")
    assert {group.metric.name for group in made.groups} == {"target_seconds", "mean_iou"}
    members = {str(m.values["arch"]): m for m in pool(load_results(results))}
    assert compare("", members["unet"], members["segnet"], TARGET_SECONDS).is_significant
    assert compare("", members["unet"], members["fcn8"], TARGET_SECONDS).change is None
    said = bench("recommend", results, "--rank-by", "target_seconds")
    assert "unet" in said.output and said.exit_code == 0, said.output
