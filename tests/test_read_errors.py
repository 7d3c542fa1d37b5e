"""A disk that can't read a trial (EIO) loses nothing: it is a row or a named problem, and is never overwritten."""

import errno
import io
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from running import CONFIG, OK, FakeExecutor, run
from typer.testing import CliRunner

from bench.cli import app
from bench.results.loading import load
from bench.results.merged.merging import merge
from bench.results.trial_files import OUTCOME, RECORD, RUNNING
from bench.trials.scheduling import life

SECOND = replace(CONFIG, seed=1)
BETTER = {"status": "ok", "metrics": {"mean_iou": 0.6}}
CALLS = (
    *((os, name) for name in ("stat", "lstat", "open", "scandir", "listdir", "rename", "replace", "unlink", "rmdir")),
    (io, "open"),
)


class Damaged:
    """A disk on which all calls that concern some paths raise EIO, until it is repaired."""

    def __init__(self, monkeypatch):
        self.paths: tuple[Path, ...] = ()
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))

    def _guarded(self, function):
        def call(path=".", *args, **kwargs):
            if isinstance(path, str | os.PathLike) and self.hits(Path(os.fspath(path))):
                raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
            return function(path, *args, **kwargs)

        return call

    def hits(self, path: Path) -> bool:
        return any(path == one or one in path.parents for one in self.paths)


@pytest.fixture
def disk(monkeypatch):
    return Damaged(monkeypatch)


@pytest.fixture
def ended(tmp_path):
    """The folder of an ok trial; a second one is planned beside it."""
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    return trial.folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("part", [RECORD, ""], ids=["record", "folder"])
@pytest.mark.parametrize("force", [False, True])
def test_a_trial_that_gives_eio_is_a_row_stays_and_the_others_run(tmp_path, disk, ended, part, force):
    before = files(ended)
    disk.paths = (ended / part,)
    rows = run([CONFIG, SECOND], results=tmp_path / "r", force=force, executor=FakeExecutor(BETTER))
    assert [row.status for row in rows] == [life.UNREADABLE, "ok"]
    assert "Input/output error" in rows[0].reason
    disk.paths = ()
    assert files(ended) == before
    assert run([CONFIG], results=tmp_path / "r", executor=FakeExecutor())[0].metrics == OK["metrics"]


@pytest.mark.parametrize("part", [RECORD, ""], ids=["record", "folder"])
def test_a_record_that_gives_eio_once_its_new_trial_has_ended_stays_and_the_outcome_waits(tmp_path, disk, ended, part):
    before = files(ended)

    class Spoils(FakeExecutor):
        def start(self, *args):
            disk.paths = (ended / part,)
            return super().start(*args)

    (row,) = run([CONFIG], results=tmp_path / "r", force=True, executor=Spoils(BETTER))
    assert row.status == life.UNREADABLE
    disk.paths = ()
    assert files(ended) == before
    (record,) = run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor())
    assert record.metrics == BETTER["metrics"]


@pytest.mark.parametrize("part", [RECORD, OUTCOME, ""])
def test_what_a_runner_that_died_has_left_waits_for_the_disk(tmp_path, disk, ended, part):
    running = ended.with_name(ended.name + RUNNING)
    shutil.move(ended, running)
    if part == OUTCOME:
        (running / RECORD).rename(running / OUTCOME)
    before = files(running)
    disk.paths = (running / part,)
    rows = run([CONFIG, SECOND], results=tmp_path / "r", executor=FakeExecutor(BETTER))
    assert [row.status for row in rows] == [life.UNREADABLE, "ok"], rows
    disk.paths = ()
    assert files(running) == before


@pytest.mark.parametrize("part", [RECORD, "", "samples"])
def test_a_trial_that_gives_eio_is_named_and_the_others_are_shown(tmp_path, disk, ended, part):
    run([SECOND], results=tmp_path / "r", executor=FakeExecutor(BETTER))
    (ended / "samples").mkdir()
    disk.paths = (ended / part,)
    loaded = load([tmp_path / "r"])
    assert len(loaded.trials) == (2 if part == "samples" else 1)
    for command in (["list", "runs", "--results"], ["report"]):
        answer = CliRunner().invoke(app, [*command, str(tmp_path / "r")])
        assert answer.exit_code == 0 and (part == "samples" or ended.name in " ".join(answer.output.split()))


def test_merging_leaves_what_gives_eio_as_it_is(tmp_path, disk, ended):
    run([CONFIG, SECOND], results=tmp_path / "theirs", executor=FakeExecutor(BETTER, BETTER))
    before = files(ended)
    disk.paths = (ended,)
    merged = merge([tmp_path / "theirs"], tmp_path / "r")
    assert len(merged.copied) == 1 and any("Input/output error" in line for line in merged.problems)
    disk.paths = ()
    assert files(ended) == before
