"""What `--dry-run` and `bench run` see of a grid's data before anything runs: folds, and what can't be trained on."""

import pytest
from fake_results import fake_config, fake_record
from fakes import write_fake_carvana
from typer.testing import CliRunner

from bench.cli import app
from bench.commands.grid_data import check_data
from bench.config import grid
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.trials import runner
from bench.trials.estimate import estimates, summary
from bench.trials.forecasts.evaluation_cost import size_of
from bench.trials.scheduling.slots import Slot


@pytest.fixture
def cars(tmp_path, monkeypatch):
    """Return a folder of six cars, the groups, with three images each."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return write_fake_carvana(tmp_path / "cars")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--folds", "7"), "--folds 7 divides 6 groups of images"),
        (("--folds", "3", "--dataset-param", "sample_splits=train"), "sample_splits=train leaves images out"),
        (("--folds", "6", "--train-images", "13"), "the data set has 12 training images"),
        (("--train-images", "90"), "--train-images is 90"),
    ],
)
def test_a_dry_run_and_a_run_refuse_the_same_data_and_leave_no_results_folder(cars, tmp_path, asked, said):
    given = ["--arch", "unet", "--dataset", "carvana", "--data-dir", str(cars), "--backend", "jax", *asked]
    for command in (["run", "--dry-run"], ["run"], ["plan", "--dry-run"]):
        results = tmp_path / "results"
        found = CliRunner().invoke(app, [*command, *given, "--results", str(results)], env={"COLUMNS": "300"})
        assert found.exit_code == 2 and said in found.output, found.output
        assert not results.exists()


def test_a_plan_counts_the_images_of_each_fold(cars):
    given = {"arch": "unet", "dataset": "carvana", "data_dir": str(cars)}
    folds = grid.configs({**given, "folds": "5"})
    _, sizes = check_data([*folds, *grid.configs(given)])
    counts = [size_of(one, sizes, ()).images for one in folds]
    assert sorted(one["test"] for one in counts) == [3, 3, 3, 3, 6]
    assert {sum(one.values()) for one in counts} == {18}
    assert "by fold: from 10 validations of 3 images, tuning on 3, a test of 3 images to 10 " in (
        text := summary(estimates(folds, [], sizes=sizes))
    )
    assert text.count("Evaluation") == 1 and "a test of 6 images; its time" in text


def test_a_size_from_records_is_that_of_the_same_fold():
    records = [fake_record(fake_config(folds=folds, fold=fold))[0] for folds, fold in ((0, 0), (2, 1), (2, 2), (3, 1))]
    for images, record in enumerate(records):
        record.dataset["images"] = {"test": images}
    for images, (folds, fold) in enumerate(((0, 0), (2, 1), (2, 2), (3, 1))):
        assert size_of(fake_config(folds=folds, fold=fold), {}, records).images["test"] == images
    assert size_of(fake_config(folds=3, fold=2), {}, records) is None


def test_a_plan_that_fails_after_the_command_has_looked_leaves_no_results_folder(tmp_path, monkeypatch):
    def refuse(*args, **how):
        raise BenchError("no")

    monkeypatch.setattr(runner, "plan", refuse)
    with pytest.raises(BenchError, match="no"):
        runner.run([], results=tmp_path / "results", slots=[Slot("cpu", None)])
    assert not (tmp_path / "results").exists()
