"""What has ended stays: order of writes, crashes in between, unreadable records, full disks, removed folders."""

import errno
import json
import os
import shutil
from dataclasses import replace

import pytest
from running import CONFIG, OK, FakeExecutor, run

from bench.core.durable import sync_tree
from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.results.loading import load
from bench.results.store import ResultsFolder
from bench.results.trial_files import OUTCOME, RECORD, REQUEST
from bench.trials.progress import Observer
from bench.trials.scheduling import life

SECOND = replace(CONFIG, seed=1)
BETTER = {"status": "ok", "metrics": {"mean_iou": 0.6}}


@pytest.fixture
def calls(monkeypatch):
    """The names of files in the order in which they are synced, renamed and removed."""
    found, paths = [], {}
    real = {name: getattr(os, name) for name in ("open", "fsync", "rename", "replace", "unlink", "rmdir")}

    def opened(path, *args, **kwargs):
        descriptor = real["open"](path, *args, **kwargs)
        paths[descriptor] = str(path)
        return descriptor

    def synced(descriptor):
        found.append(("sync", os.path.basename(paths[descriptor])))
        return real["fsync"](descriptor)

    def told(name):
        def call(path, *args, **kwargs):
            found.append((name, *(os.path.basename(str(p)) for p in (path, *args[:1]))))
            return real[name](path, *args, **kwargs)

        return call

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", synced)
    for name in ("rename", "replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, told(name))
    return found


def test_a_file_is_on_the_disk_before_its_rename_and_its_name_after(tmp_path, calls):
    with write_atomically(tmp_path / "a.json") as part:
        part.write_text("{}")
    assert calls[:3] == [("sync", part.name), ("replace", part.name, "a.json"), ("sync", tmp_path.name)]
    calls.clear()
    with write_atomically(tmp_path / "a.json", sync=False) as part:
        part.write_text("{}")
    assert calls[0] == ("replace", part.name, "a.json")


def test_a_new_record_is_on_the_disk_before_the_old_one_goes(tmp_path, calls):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    calls.clear()
    run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor(BETTER))
    name = trial.folder.name
    part = next(first for kind, first, *rest in calls if kind == "replace" and rest == [RECORD])
    order = [
        ("sync", part),
        ("replace", part, RECORD),
        ("sync", f"{name}.running"),
        ("unlink", OUTCOME),
        ("rename", name, f"{name}.replaced"),
        ("rename", f"{name}.running", name),
        ("sync", "trials"),
        ("unlink", RECORD),  # the old one's
    ]
    places = [calls.index(call) if call in calls else -1 for call in order[:-1]]
    places.append(next(i for i, call in enumerate(calls) if call[:2] == ("unlink", RECORD)))
    assert places == sorted(places) and places[0] >= 0, calls


def test_every_file_and_folder_of_a_tree_is_synced_but_no_link(tmp_path, calls):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "0.png").touch()
    (tmp_path / "history.jsonl").touch()
    (tmp_path / "link").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    sync_tree(tmp_path)
    assert {name for _, name in calls} == {"0.png", "history.jsonl", "samples", tmp_path.name}


class Died(BaseException):
    """The end of a runner at this point."""


def crash(monkeypatch, owner, name, at=1):
    """Let the runner die instead of the at-th call of a function."""
    real, count = getattr(owner, name), []

    def call(*args, **kwargs):
        count.append(1)
        if len(count) == at:
            raise Died
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize(
    ("function", "at"),
    [("write_json", 1), ("replace_folder", 1), ("shutil.rmtree", 1), ("sync_folder", 1), ("finish", 1)],
)
def test_a_trial_that_had_ended_when_its_runner_died_is_taken_up(tmp_path, monkeypatch, earlier, function, at):
    from bench.core import durable
    from bench.results import store

    owners = {"replace_folder": store, "write_json": store, "sync_folder": durable, "finish": ResultsFolder}
    owner, name = owners.get(function, durable.shutil), function.rpartition(".")[2]
    if earlier:
        run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    results = ResultsFolder(tmp_path / "r")
    results.create()

    class Armed(FakeExecutor):
        def start(self, *args):
            crash(monkeypatch, owner, name, at)
            return super().start(*args)

    with pytest.raises(Died):
        run([CONFIG], results=tmp_path / "r", force=True, executor=Armed(BETTER))
    monkeypatch.undo()
    if earlier and (function, at) != ("sync_folder", 1):  # the old record stood
        (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor())
        assert record.metrics == OK["metrics"]
        (record,) = run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor())
    else:
        (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor())
    assert record.metrics == BETTER["metrics"]
    (trial,) = load([tmp_path / "r"]).trials
    assert trial.record == record and not {p.name for p in trial.folder.iterdir()} & {OUTCOME, REQUEST}
    assert [p.suffix for p in trial.folder.parent.iterdir() if p.is_dir()] == [""]


def test_old_files_set_aside_come_back_if_nothing_took_their_place(tmp_path):
    (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    trial.folder.rename(trial.folder.with_name(f"{trial.folder.name}.replaced"))
    assert run([CONFIG], results=tmp_path / "r", executor=FakeExecutor()) == [record]
    assert trial.folder.is_dir()


def test_an_outcome_cut_short_is_none_and_the_trial_is_run_again(tmp_path):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    running = trial.folder.with_name(f"{trial.folder.name}.running")
    trial.folder.rename(running)
    (running / RECORD).unlink()
    (running / REQUEST).write_text("{}")
    (running / OUTCOME).write_text('{"status": "o')
    (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(BETTER))
    assert record.metrics == BETTER["metrics"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("text", ['{"schema_version": 99}', "", "folder"])
def test_a_record_that_cannot_be_read_is_a_row_and_stays(tmp_path, text, force):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    path = trial.folder / RECORD
    path.unlink()
    path.mkdir() if text == "folder" else path.write_text(text)
    rows = run([CONFIG, SECOND], results=tmp_path / "r", force=force, executor=FakeExecutor(OK))
    assert [row.status for row in rows] == [life.UNREADABLE, "ok"]
    assert trial.folder.name in rows[0].reason and "left alone" in rows[0].reason
    assert path.is_dir() if text == "folder" else path.read_text() == text


def test_a_record_that_cannot_be_read_when_its_trial_ends_stays_and_the_new_outcome_waits(tmp_path):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (trial,) = load([tmp_path / "r"]).trials
    text = (trial.folder / RECORD).read_text()

    class Spoils(FakeExecutor):
        def start(self, *args):
            (trial.folder / RECORD).write_text('{"schema_version": 99}')
            return super().start(*args)

    (row,) = run([CONFIG], results=tmp_path / "r", force=True, executor=Spoils(BETTER))
    assert row.status == life.UNREADABLE
    (trial.folder / RECORD).write_text(text)
    (record,) = run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor())
    assert record.metrics == BETTER["metrics"]


class Hears(Observer):
    def __init__(self):
        self.heard = []

    def waiting(self, trial, seconds):
        self.heard.append(seconds)


def test_waiting_for_another_run_to_finish_has_a_word_and_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(life, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(life, "FINISHING_SECONDS", 0.02)
    results, observer = ResultsFolder(tmp_path / "r"), Hears()
    results.create()
    with results.finishing():
        (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK), observer=observer)
    assert (record.status, observer.heard) == ("ok", [0.02, 0.0])
    assert len(load([tmp_path / "r"]).trials) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fills_while_a_record_is_written_stops_the_run_with_a_line(tmp_path, monkeypatch, number):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    real = os.fsync

    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    executor = FakeExecutor(OK, OK)
    with pytest.raises(BenchError, match="Finished trials stay") as error:
        run([CONFIG, SECOND, replace(CONFIG, seed=2)], results=tmp_path / "r", executor=executor)
    assert os.strerror(number) in str(error.value) and len(executor.started) == 1
    monkeypatch.setattr(os, "fsync", real)
    records = run([CONFIG, SECOND], results=tmp_path / "r", executor=FakeExecutor())
    assert [record.status for record in records] == ["ok", "ok"]  # the second had ended and was taken up


def test_no_trial_starts_on_a_full_disk(tmp_path, monkeypatch):
    ResultsFolder(tmp_path / "r").create()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(BenchError, match="is full"):
        run([CONFIG], results=tmp_path / "r", executor=FakeExecutor())


class Removes(Observer):
    def __init__(self, path):
        self.path = path

    def started(self, trial):
        shutil.rmtree(self.path)


@pytest.mark.parametrize("outcome", [OK, None, "hang"])
def test_a_results_folder_removed_during_a_run_ends_it_with_a_line_and_is_not_made_anew(tmp_path, outcome):
    executor = FakeExecutor(outcome)
    with pytest.raises(BenchError, match="was removed during the run"):
        run([CONFIG, SECOND], results=tmp_path / "r", executor=executor, observer=Removes(tmp_path / "r"))
    assert not (tmp_path / "r").exists()
    assert run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))[0].status == "ok"


def test_a_request_has_what_a_record_needs(tmp_path):
    found = []

    class Reads(FakeExecutor):
        def start(self, folder, backend):
            found.append(json.loads((folder / REQUEST).read_text()))
            return super().start(folder, backend)

    (record,) = run([CONFIG], results=tmp_path / "r", executor=Reads(OK))
    (request,) = found
    assert (request["key"], request["configuration"]) == (record.key, record.configuration)
    assert request["config"] == record.config
