"""Parts of a grid: together the whole, disjoint, and the same whatever is done."""

from dataclasses import replace

import pytest
from fake_results import fake_config
from hypothesis import given
from hypothesis import strategies as st
from running import CONFIG, FakeExecutor, run
from typer.testing import CliRunner

from bench.cli import app
from bench.config.shard import Shard
from bench.core.errors import BenchError


@given(trials=st.integers(0, 40), count=st.integers(1, 50))
def test_shards_are_disjoint_and_together_the_grid_in_its_order(trials, count):
    grid = [replace(fake_config(), seed=seed) for seed in range(trials)]
    parts = [Shard(number, count).of(grid) for number in range(1, count + 1)]
    assert sorted(config.seed for part in parts for config in part) == list(range(trials))
    assert all([c.seed for c in part] == sorted(c.seed for c in part) for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "text", ["", "3", "0/8", "9/8", "3/0", "-1/8", "3/8/2", "three/8", "1.0/2", "٣/8", "1/" + "9" * 99]
)
def test_what_is_no_part_is_refused_with_an_example(text):
    with pytest.raises(BenchError, match="Accepted: NUMBER/COUNT, such as 3/8"):
        Shard.parse(text)


def planned(tmp_path, *options):
    command = ["run", "--arch", "unet", "--dataset", "shapes", "--image-size", "32", "--param", "filters=[4,8]"]
    command += ["--budget", "10steps", "--seeds", "5", "--results", str(tmp_path / "r"), "--dry-run", *options]
    return CliRunner().invoke(app, command, env={"COLUMNS": "200"})


def test_a_shard_is_the_same_before_and_after_its_trials_are_done(tmp_path, quick_backend):
    backend = ("--backend", quick_backend)
    before = planned(tmp_path, "--shard", "2/3", *backend)
    assert "Shard 2 of 3: 2 of the grid's 5 trials." in before.stderr
    assert "Done: 0, to run: 2." in before.stdout
    config = replace(CONFIG, backend=quick_backend, seed=1)
    run([config], results=tmp_path / "r", executor=FakeExecutor({"status": "skipped", "reason": "x"}))
    assert "Done: 1, to run: 1." in planned(tmp_path, "--shard", "2/3", *backend).stdout
    assert "Done: 0, to run: 2." in planned(tmp_path, "--shard", "1/3", *backend).stdout


def test_a_shard_without_a_trial_says_so_and_succeeds(tmp_path, quick_backend):
    empty = planned(tmp_path, "--shard", "7/8", "--backend", quick_backend)
    assert empty.exit_code == 0 and "Shard 7 of 8: 0 of the grid's 5 trials." in empty.stderr
    assert planned(tmp_path, "--shard", "9/8", "--backend", quick_backend).exit_code == 2
