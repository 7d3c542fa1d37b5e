"""Speed against another revision, in a fake repository whose revisions take known times."""

import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_results import fake_config

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.results.gate.limits import SPEEDS, Limit
from bench.results.gate.timings import Timings, judge_speed, ratio_interval
from bench.results.gate.verdict import BETTER, OK, REGRESSION
from bench.results.quantities.performance import LATENCY, STEP_TIME
from bench.trials.children import revisions
from bench.trials.children.revisions import Effort, Revision, time_against

PROJECT = '[tool.setuptools.package-dir]\n"bench.architectures" = "architectures"\n'
PACE = """
import json, sys, time
import bench, bench.architectures
SECONDS = {seconds}
for line in sys.stdin:
    request = json.loads(line)
    if "config" in request:
        {start}
        code = [bench.__file__, bench.architectures.__file__]
        print(json.dumps({{"config": request["config"], "code": code}}), flush=True)
    else:
        time.sleep(SECONDS * request["count"])
        print(json.dumps({{"seconds": SECONDS * request["count"]}}), flush=True)
"""
CONFIG = fake_config("unet", backend="jax")
EFFORT = Effort(processes=2, pairs=4, seconds=0.01)


def git(root, *arguments):
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *name, *arguments], check=True, capture_output=True)


def write(root, seconds, start="pass"):
    for folder in ("bench/execution", "architectures"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "__init__.py").touch()
    (root / "bench" / "__init__.py").touch()
    (root / "bench" / "execution" / "pace.py").write_text(PACE.format(seconds=seconds, start=start))
    (root / "pyproject.toml").write_text(PROJECT)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose one commit takes 2 ms for a piece of work; temporary folders are in `tmp`."""
    root, temporary = tmp_path / "code", tmp_path / "tmp"
    temporary.mkdir()
    write(root, 0.002)
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "bench" / "architectures").symlink_to(root / "architectures")  # as the installed package has it
    monkeypatch.setattr(revisions, "ROOT", root)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return root


def left_behind(repository):
    """Temporary files and worktrees."""
    trees = subprocess.run(["git", "-C", repository, "worktree", "list"], capture_output=True, text=True).stdout
    return [*os.listdir(repository.parent / "tmp"), *trees.splitlines()[1:]]


def test_each_revision_runs_its_own_code(repository):
    write(repository, 0.003)
    said = []
    ((config, timings),) = time_against("HEAD", [CONFIG], EFFORT, said.append)
    assert config == CONFIG
    assert set(timings) == {STEP_TIME, LATENCY}
    assert timings[STEP_TIME].base.shape == timings[STEP_TIME].head.shape == (2, 4)
    assert ratio_interval(timings[STEP_TIME]) == pytest.approx((1.5, 1.5, 1.5))
    assert said == ["unet: processes 1 of 2", "unet: processes 2 of 2"]
    assert not left_behind(repository)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("raise ValueError('boom')", "HEAD can't be timed: its process ended: ValueError: boom"),
        ("print(json.dumps({'error': 'no such net'}), flush=True); continue", "HEAD can't be timed: no such net"),
        ("request['config'].pop('lr')", "HEAD can't be timed: it doesn't know the option lr."),
        ("bench.architectures.__file__ = '/elsewhere.py'", "it would run the code in '/elsewhere.py'"),
    ],
)
def test_a_revision_that_cannot_be_timed_says_why(repository, start, reason):
    write(repository, 0.002, start)
    git(repository, "commit", "-qam", "second")
    write(repository, 0.002)
    ((_, found),) = time_against("HEAD", [replace(CONFIG, lr=0.5)], EFFORT)
    assert reason in found
    assert not left_behind(repository)


def test_a_revision_without_the_child_says_so(repository):
    (repository / "bench" / "execution" / "pace.py").unlink()
    git(repository, "commit", "-qam", "second")
    write(repository, 0.002)
    ((_, found),) = time_against("HEAD", [CONFIG], EFFORT)
    assert found.startswith("HEAD can't be timed: its process ended: ")
    assert "No module named bench.execution.pace" in found


def test_the_child_does_real_work(quick_backend):
    small = {"params": {"filters": [4, 4]}, "image_size": (32, 32), "batch_size": 2}
    config = catalog.resolve_config(
        TrialConfig("unet", "shapes", backend=quick_backend, budget=Budget(10, "steps"), **small)
    )
    with tempfile.TemporaryFile() as log, Revision("this code", revisions.ROOT, config, {}, log) as side:
        side.start(config)
        assert all(0 < side.seconds(work, 3) < 60 for work in SPEEDS)


def test_ctrl_c_leaves_nothing_behind(repository, monkeypatch):
    started = []

    def interrupt(sides, work, effort):
        started.extend(side._process for side in sides)
        raise KeyboardInterrupt

    monkeypatch.setattr(revisions, "_time_pairs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        time_against("HEAD", [CONFIG], EFFORT)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
    assert not left_behind(repository)


@pytest.mark.parametrize("name", ["no-such", "--help", "HEAD^{tree}"])
def test_what_is_no_commit_is_refused(repository, name):
    with pytest.raises(BenchError, match="can't be read"):
        time_against(name, [CONFIG], EFFORT)


def test_a_revision_that_is_no_segbench_is_refused(repository):
    git(repository, "rm", "-q", "pyproject.toml")
    git(repository, "commit", "-qm", "second")
    with pytest.raises(BenchError, match="has no segbench that can be run"):
        time_against("HEAD", [CONFIG], EFFORT)
    assert not left_behind(repository)


def test_an_installation_has_no_revisions(repository, monkeypatch):
    monkeypatch.setattr(revisions, "ROOT", Path("/nowhere"))
    with pytest.raises(BenchError, match="needs a checkout"):
        time_against("HEAD", [CONFIG], EFFORT)


def timings(slowdown, *, noise=0.05, processes=3, pairs=15, seed=0):
    """Simulate timings of two revisions that drift together by up to three times; processes and timings have noise."""
    rng = np.random.default_rng(seed)
    drift = rng.uniform(0.01, 0.03, (processes, pairs))
    base, head = (
        drift * np.exp(rng.normal(0, noise, (processes, pairs)) + rng.normal(0, 0.01, (processes, 1))) for _ in "bh"
    )
    return Timings(base, head * slowdown)


def test_the_drift_of_the_machine_cancels_out():
    limit = Limit(STEP_TIME, "higher", 0.1, relative=True)
    verdicts = {
        slowdown: [judge_speed("unet", limit, timings(slowdown, seed=seed), level=0.995).verdict for seed in range(50)]
        for slowdown in (0.8, 1.0, 1.25)
    }
    assert verdicts[1.0].count(OK) >= 49
    assert set(verdicts[1.25]) == {REGRESSION}
    assert set(verdicts[0.8]) == {BETTER}


def test_a_line_has_milliseconds_and_the_ratio():
    line = judge_speed("unet", Limit(STEP_TIME, "higher", 0.1, relative=True), timings(2.0, noise=0.0))
    assert line.new == pytest.approx(2 * line.base, rel=0.1)
    assert line.change == pytest.approx(1.0, abs=0.1)
    assert line.low <= line.change <= line.high
