"""Trackers, given the events of a run: fakes for the wrapper, the libraries themselves where they are installed."""

import json
import threading
import time
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record

from bench.commands.plain_lines import name_of
from bench.core.errors import BenchError
from bench.results.store import ResultsFolder
from bench.results.trial_files import HISTORY
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.tracking import tracked, tracker
from bench.trials.tracking.in_background import InBackground
from bench.trials.tracking.tracked_run import Ending, TrackedRun, validation_values

CONFIG = fake_config("unet", "resnet50", params={"filters": 4})
TRIALS = [
    PlannedTrial(replace(CONFIG, seed=seed), f"key{seed}", "all", "data", f"unet_pets_s{seed}", None, "a CPU")
    for seed in range(2)
]
ROW = {"steps": 10, "phase": "all", "loss": 0.5, "val_mean_iou": 0.25, "val_iou": {"pet: a": 0.5}}


class Shown(Observer):
    def __init__(self):
        self.warnings, self.events = [], []

    def warned(self, line):
        self.warnings.append(line)

    def started(self, trial):
        self.events.append("started")

    def elsewhere(self, trial):
        self.events.append("elsewhere")


class Kept:
    """A tracker that keeps what it is told."""

    def __init__(self):
        self.told = []

    def begin(self, run):
        self.told.append(("begin", run.identity, run.config))

    def log(self, run, step, values):
        self.told.append(("log", run.identity, step, values))

    def end(self, run, ending):
        self.told.append(("end", run.identity, ending.status, ending.reason, ending.values))


class Broken(Kept):
    def log(self, run, step, values):
        raise SystemExit("no route\nto the host")


class Slow(Kept):
    free = threading.Event()

    def begin(self, run):
        self.free.wait(30)


def write(folder, *rows, cut=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / HISTORY).write_text("".join(json.dumps(row) + "\n" for row in rows) + cut)


def play(observer, results, record=None, trials=TRIALS):
    """Play a run of trials, side by side, with a validation that is half written when it is looked at first."""
    for trial in trials:
        observer.started(trial)
    for trial in trials:
        folder = results.running_folder(trial.identity)
        write(folder, ROW, cut='{"steps": 2')
        observer.progressed(trial, {"phase": "train"})
        write(folder, ROW, {**ROW, "steps": 20})
        observer.progressed(trial, {"phase": "train"})
        observer.progressed(trial, {"phase": "train"})
    for trial in trials:
        folder = results.running_folder(trial.identity)
        write(folder, ROW, {**ROW, "steps": 20}, {**ROW, "steps": 30})
        ended = record or fake_record(trial.config)[0]
        results.finish(trial.identity, ended)
        observer.ended(trial, ended)


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "results of a run")
    folder.create()
    return folder


def opened(monkeypatch, results, **made):
    """Return the view and the context of a run with these trackers."""
    monkeypatch.setattr(tracked, "open_tracker", lambda name, folder: made[name])
    shown = Shown()
    return shown, tracked.tracked(shown, tuple(made), results.path, name_of)


def test_each_trial_has_one_run_with_its_whole_configuration_each_validation_once_and_its_ending(monkeypatch, results):
    kept = Kept()
    shown, context = opened(monkeypatch, results, a=kept)
    with context as observer:
        play(observer, results)
        observer.elsewhere(TRIALS[0])
    assert shown.events == ["started", "started", "elsewhere"] and not shown.warnings
    for trial in TRIALS:
        own = [one for one in kept.told if one[1] == trial.identity]
        assert [one[0] for one in own] == ["begin", "log", "log", "log", "end"]
        assert own[0][2] == trial.config.to_dict()
        assert [one[2] for one in own[1:4]] == [10, 20, 30]
        record = fake_record(trial.config)[0]
        assert own[4][2] == "ok" and own[4][4]["test/mean_iou"] == record.metrics["mean_iou"]
        assert own[4][4]["test/iou.pet"] == record.metrics["iou"]["pet"]


def test_a_failed_trial_that_leaves_an_older_record_has_only_its_own_validations(monkeypatch, results):
    trial, kept = TRIALS[0], Kept()
    write(results.running_folder(trial.identity), *[{**ROW, "steps": n} for n in range(5)])
    results.finish(trial.identity, fake_record(trial.config)[0])
    failed = fake_record(trial.config, status="failed", reason="No.", metrics={})[0]
    _, context = opened(monkeypatch, results, a=kept)
    with context as observer:
        play(observer, results, failed, [trial])
    assert [one[2] for one in kept.told if one[0] == "log"] == [10, 20]
    assert kept.told[-1][:4] == ("end", trial.identity, "failed", "No.")


def test_a_broken_tracker_is_off_after_one_line_and_the_others_go_on(monkeypatch, results):
    kept = Kept()
    shown, context = opened(monkeypatch, results, a=Broken(), b=kept)
    with context as observer:
        play(observer, results)
    assert shown.warnings == ["--track a is off for the rest of this run, and the trials go on: SystemExit: no route"]
    assert [one[0] for one in kept.told].count("end") == 2


def test_a_tracker_that_hangs_delays_no_trial_and_the_end_of_the_run_for_a_bounded_time_only(monkeypatch, results):
    monkeypatch.setattr(InBackground, "close", lambda self, close=InBackground.close: close(self, 0.01))
    shown, context = opened(monkeypatch, results, a=Slow())
    with context as observer:
        play(observer, results)
        assert not shown.warnings
    assert len(shown.warnings) == 1 and "may be missing" in shown.warnings[0]
    Slow.free.set()


def test_a_run_that_is_stopped_ends_its_runs_and_a_lost_worker_begins_one_anew(monkeypatch, results):
    kept = Kept()
    _, context = opened(monkeypatch, results, a=kept)
    with pytest.raises(KeyboardInterrupt), context as observer:
        observer.started(TRIALS[0])
        observer.lost(TRIALS[0], "its node is gone")
        observer.started(TRIALS[0])
        raise KeyboardInterrupt
    assert [one[0] for one in kept.told] == ["begin", "end", "begin", "end"]
    assert [one[2] for one in kept.told if one[0] == "end"] == ["interrupted"] * 2


def test_without_trackers_the_view_is_untouched(tmp_path):
    shown = Shown()
    with tracked.tracked(shown, (), tmp_path, name_of) as observer:
        assert observer is shown


def test_values_have_names_that_each_tracker_accepts():
    assert validation_values(ROW) == {
        "train/steps": 10.0,
        "train/loss": 0.5,
        "val/mean_iou": 0.25,
        "val/iou.pet_ a": 0.5,
    }
    parameters = TrackedRun("id", "name", "all", CONFIG.to_dict()).parameters()
    assert parameters["params.filters"] == 4 and parameters["image_size"] == "[128, 128]"
    assert "init_from" not in parameters


@pytest.mark.parametrize(
    ("given", "installed", "names"),
    [(None, False, ()), ("wandb, mlflow,wandb", True, ("wandb", "mlflow"))],
)
def test_names_are_read_once_each(monkeypatch, given, installed, names):
    monkeypatch.setattr(tracker, "installed", lambda package: installed)
    assert tracker.read_names(given) == names


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("tensorbord", "Unknown tracker 'tensorbord' in --track. Available: tensorboard, mlflow, wandb."),
        ("tensorboard", "needs tensorboardX, which is not installed: pip install 'segbench[tensorboard]'."),
        (",", "--track names no tracker."),
    ],
)
def test_a_tracker_that_cannot_be_used_is_refused_with_what_to_do(monkeypatch, given, line):
    monkeypatch.setattr(tracker, "installed", lambda package: False)
    with pytest.raises(BenchError) as error:
        tracker.read_names(given)
    assert line in str(error.value)


def test_runs_are_sent_only_with_an_account(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    lines = tracker.places(["tensorboard", "mlflow", "wandb"], tmp_path)
    assert all(str(tmp_path / "tracking") in line for line in lines)
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(BenchError, match="needs an account"):
        tracker.places(["wandb"], tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host")
    assert "secret" not in tracker.places(["mlflow"], tmp_path)[0]


def play_twice(name, results, monkeypatch):
    """Play a run twice with a library itself, the second time as `--force` does; its warnings don't count."""
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    shown = Shown()
    for _ in range(2):
        with tracked.tracked(shown, (name,), results.path, name_of) as observer:
            play(observer, results)
    assert not shown.warnings
    return results.path.resolve() / "tracking" / name


@pytest.mark.needs("tensorboardX")
@pytest.mark.filterwarnings("ignore")
def test_event_files_hold_each_validation_once_after_a_second_run(results, monkeypatch):
    from tensorboardX.proto.event_pb2 import Event

    folder = play_twice("tensorboard", results, monkeypatch)
    for trial in TRIALS:
        (file,) = (folder / trial.identity).iterdir()
        data, found = file.read_bytes(), []
        while data:  # a length of 8 bytes, its check of 4, the event, its check of 4
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            found += [(value.tag, event.step) for value in event.summary.value]
            data = data[16 + size :]
        assert [step for tag, step in found if tag == "val/mean_iou"] == [10, 20, 30]
        assert ("test/mean_iou", 500) in found


@pytest.mark.needs("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_one_run_a_trial_after_a_second_run(results, monkeypatch):
    from mlflow import MlflowClient

    folder = play_twice("mlflow", results, monkeypatch)
    client = MlflowClient(folder.as_uri())
    experiment = client.get_experiment_by_name("segbench")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {name_of(trial.config) for trial in TRIALS} and len(runs) == 2
    for run in runs:
        assert run.info.status == "FINISHED" and run.data.params["params.filters"] == "4"
        assert [one.step for one in client.get_metric_history(run.info.run_id, "val/mean_iou")] == [10, 20, 30]


@pytest.mark.slow
@pytest.mark.needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_has_one_offline_run_a_trial_after_a_second_run(results, monkeypatch):
    folder = play_twice("wandb", results, monkeypatch)
    assert len([*(folder / "wandb").glob("offline-run-*/run-*.wandb")]) == 2


def test_a_tracker_is_waited_for_when_all_is_told():
    kept = Kept()
    kept.begin = lambda run: time.sleep(0.05) or kept.told.append("begun")
    background = InBackground("a", lambda: kept)
    background.tell("begin", None)
    background.tell("end", TrackedRun("id", "n", "g"), Ending("ok"))
    background.close()
    assert kept.told[0] == "begun" and kept.told[1][0] == "end"
    assert not background.problem()
