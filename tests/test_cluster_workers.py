"""Workers of a cluster and the trials on them, on a Ray that runs in this process."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_ray import FakeRay, node
from running import CONFIG, OK, FakeTrial, run

from bench.core.errors import BenchError
from bench.profiling.environment import expected_device
from bench.results.trial_files import CHECKPOINTS, LOG, OUTCOME, PROGRESS, REQUEST, WEIGHTS, write_json
from bench.trials.cluster import mail, on_worker, workers
from bench.trials.cluster.on_node import software_here
from bench.trials.cluster.on_worker import Worker
from bench.trials.cluster.remote_trial import RayExecutor, RemoteTrial
from bench.trials.cluster.workers import Workers
from bench.trials.local_process import LOST, REFUSED
from bench.trials.progress import Observer
from bench.trials.scheduling import scheduler

DAY = 86400.0


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(scheduler, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(workers, "ANSWER_SECONDS", 5.0)


@pytest.fixture
def local_trials(monkeypatch):
    """What starts trials on workers: each writes what the given function writes, and has ended then."""

    def use(write, ends=True):
        class Trial(FakeTrial):
            def __init__(self, folder):
                super().__init__(folder, None if ends else "hang")
                write(folder)

        class Executor:
            def __init__(self, share=None):
                shares.append(share)

            def start(self, folder, backend):
                trials.append(Trial(folder))
                return trials[-1]

        shares, trials = [], []
        monkeypatch.setattr(on_worker, "LocalExecutor", Executor)
        return shares, trials

    return use


def ok(folder):
    (folder / OUTCOME).write_text(json.dumps(OK))


def says(device="a GPU", software=None, **environment):
    described = {"device": device, "environment": environment, "software": software or software_here(["tensorflow"])}
    return lambda backends: described


class Lines(Observer):
    def __init__(self):
        self.lines = []

    def lost(self, trial, reason):
        self.lines.append(reason)

    def warned(self, line):
        self.lines.append(line)


def test_each_gpu_is_a_slot_with_its_part_of_the_node_and_nodes_without_one_have_none(monkeypatch):
    ray = FakeRay(monkeypatch, [node("a", CPU=9.0, GPU=4.0), node("b", CPU=64.0), node("c", CPU=2.0, GPU=1.0)])
    ray.answers = {("describe", name): says() for name in "ac"}
    found = Workers([CONFIG])
    assert [(s.executor.node, s.executor.share, s.executor.cpus, s.executor.gpus) for s in found.slots] == [
        *(("a", (number, 4), 2, 1) for number in range(4)),
        ("c", (0, 1), 2, 1),
    ]
    assert found.most_on_a_node == 4
    assert [given["num_gpus"] for _, _, given in ray.asked] == [workers.A_TASK] * 2


def test_a_trial_of_several_gpus_has_them_on_one_node(monkeypatch):
    ray = FakeRay(monkeypatch, [node("a", CPU=8.0, GPU=5.0), node("b", CPU=8.0, GPU=1.0)])
    ray.answers = {("describe", "a"): says()}
    found = Workers([replace(CONFIG, backend="tensorflow", devices_per_trial=2)])
    assert [(s.executor.share, s.executor.gpus) for s in found.slots] == [((0, 2), 2), ((1, 2), 2)]


def test_with_no_node_that_can_run_trials_each_is_named_with_its_reason(monkeypatch):
    ray = FakeRay(monkeypatch, [node("a", CPU=8.0), node("b", CPU=8.0), node("head", CPU=0.0)])
    other = {**software_here(["tensorflow"]), "segbench": "segbench 0.0.9 (code 123)"}

    def broken(backends):
        raise ModuleNotFoundError("No module named 'bench'")

    ray.answers = {("describe", "a"): says(software=other), ("describe", "b"): broken}
    with pytest.raises(BenchError) as error:
        Workers([CONFIG])
    assert "node a (a): is refused: it has segbench 0.0.9 (code 123), and this machine segbench" in str(error.value)
    assert "node b (b): can't be used: ModuleNotFoundError: No module named 'bench'" in str(error.value)
    assert "node head (head): has no CPU for Ray" in str(error.value)


def test_a_grid_runs_on_nodes_and_its_files_come_back(tmp_path, monkeypatch, local_trials):
    def write(folder):
        ok(folder)
        (folder / WEIGHTS).write_bytes(b"w" * 100)
        (folder / "samples").mkdir()
        (folder / "samples" / "0.png").write_bytes(b"p")

    shares, _ = local_trials(write)
    ray = FakeRay(monkeypatch, [node("a", CPU=2.0), node("b", CPU=2.0)])
    records = run([replace(CONFIG, seed=seed) for seed in range(4)], results=tmp_path / "r", workers=Workers([CONFIG]))
    assert [record.status for record in records] == ["ok"] * 4 and shares == [None] * 4
    (best,) = (tmp_path / "r" / "trials").glob("*/" + WEIGHTS)
    assert best.read_bytes() == b"w" * 100
    assert len(list((tmp_path / "r" / "trials").glob("*/samples/0.png"))) == 4
    assert [name for name, _, _ in ray.asked].count("prepare") == 2  # once a node
    assert len(ray.killed) == 4  # each gives its cores back


def test_a_node_without_the_data_is_named_and_the_other_goes_on(tmp_path, monkeypatch, local_trials):
    local_trials(ok)
    ray = FakeRay(monkeypatch, [node("a", CPU=2.0), node("b", CPU=2.0), node("c", CPU=2.0)])
    ray.answers = {
        ("prepare", "a"): lambda requests: [{"error": "There is no folder '/data'."}],
        ("prepare", "b"): lambda requests: [{"fingerprint": "another"}],
    }
    observer = Lines()
    (record,) = run([CONFIG], results=tmp_path / "r", workers=Workers([CONFIG]), observer=observer)
    assert record.status == "ok"
    assert observer.lines == [
        "node a (a) lacks data and can't prepare them: There is no folder '/data'.; it gets no trials.",
        "node b (b) has other files of a data set than this machine; it gets no trials.",
    ]


def test_a_node_that_goes_gets_no_trials_and_one_that_comes_does(tmp_path, monkeypatch, local_trials):
    local_trials(ok)
    ray = FakeRay(monkeypatch, [node("a", CPU=2.0)])
    found, observer = Workers([CONFIG]), Lines()
    ray.cluster = [node("b", CPU=2.0)]
    (record,) = run([CONFIG], results=tmp_path / "r", workers=found, observer=observer)
    assert record.status == "ok" and observer.lines == ["node a (a) is gone; it gets no trials."]
    assert [where for name, where, _ in ray.asked if name == "Worker"] == ["b"]


def test_a_full_disk_of_a_node_is_a_line_and_the_trial_runs_elsewhere(tmp_path, monkeypatch, local_trials):
    local_trials(ok)
    FakeRay(monkeypatch, [node("a", CPU=2.0), node("b", CPU=2.0)])
    usage, full = shutil.disk_usage, [0]

    def first_full(path):
        return usage(path)._replace(free=full.pop()) if full and "ray" in str(path) else usage(path)

    monkeypatch.setattr(on_worker.shutil, "disk_usage", first_full)
    observer = Lines()
    (record,) = run([CONFIG], results=tmp_path / "r", workers=Workers([CONFIG]), observer=observer)
    assert record.status == "ok"
    assert any("node a (a) refused a trial: its disk is full: 0.0 MiB are free" in line for line in observer.lines)


def request(folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REQUEST, {"runner": 1, "time": 5.0, "config": {"weights": "none", "init_from": None, **config}})
    return folder


EXECUTOR = RayExecutor("a", "node a", (0, 1), 2, 0)


def test_progress_and_checkpoints_come_while_a_trial_runs_with_the_time_of_this_machine(
    tmp_path, monkeypatch, local_trials
):
    def write(folder):
        (folder / PROGRESS).write_text(json.dumps({"phase": "train", "time": time.time() + DAY}))
        (folder / CHECKPOINTS / "2.npz").write_text("new")
        (folder / CHECKPOINTS / "1.npz").unlink()

    _, trials = local_trials(write, ends=False)
    FakeRay(monkeypatch, [])
    folder = request(tmp_path / "t.running")
    (folder / CHECKPOINTS).mkdir()
    (folder / CHECKPOINTS / "1.npz").write_text("old")
    trial = RemoteTrial(folder, "jax", EXECUTOR)
    assert json.loads((folder / PROGRESS).read_text())["phase"] == "waiting for node a"
    assert not trial.wait(0.0) and not trial.wait(0.0)
    progress = json.loads((folder / PROGRESS).read_text())
    assert progress["phase"] == "train" and abs(progress["time"] - time.time()) < DAY / 2
    assert {path.name for path in (folder / CHECKPOINTS).iterdir()} == {"2.npz"}
    trial.stop()
    assert trials[0].stopped and trial.wait(0.0)
    assert (folder / LOG).read_text() == "first line\nlast line\n"


def test_the_last_checkpoint_stays_until_another_is_whole(tmp_path, monkeypatch, local_trials):
    """The worker has removed it, and a larger one is on its way in chunks."""
    monkeypatch.setattr(mail, "CHUNK_BYTES", 1000)

    def write(folder):
        (folder / CHECKPOINTS / "2.npz").write_bytes(bytes(2500))
        (folder / CHECKPOINTS / "1.npz").unlink()

    local_trials(write, ends=False)
    FakeRay(monkeypatch, [])
    folder = request(tmp_path / "t.running")
    (folder / CHECKPOINTS).mkdir()
    (folder / CHECKPOINTS / "1.npz").write_text("old")
    trial, seen = RemoteTrial(folder, "jax", EXECUTOR), []
    while "2.npz" not in seen:
        trial.wait(0.0)
        seen = [path.name for path in (folder / CHECKPOINTS).glob("[0-9].npz")]
        assert seen
    assert seen == ["2.npz"]
    trial.stop()


def test_a_trial_is_ended_even_if_its_last_files_can_not_be_written(tmp_path, monkeypatch, local_trials):
    local_trials(lambda folder: (folder / LOG).write_text("log"), ends=False)
    ray = FakeRay(monkeypatch, [])
    trial = RemoteTrial(request(tmp_path / "t.running"), "jax", EXECUTOR)
    assert not trial.wait(0.0)

    def full(self, chunk):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mail.Receiver, "take", full)
    trial.stop()
    assert len(ray.killed) == 1 and trial.wait(0.0) and trial.reason()[0] == LOST


def test_a_worker_gives_the_trial_a_request_of_its_own_and_the_weights_to_start_from(
    tmp_path, monkeypatch, local_trials
):
    seen = {}

    def write(folder):
        found = json.loads((folder / REQUEST).read_text())
        paths = Path(found["config"]["weights"]), Path(found["config"]["init_from"], WEIGHTS)
        seen.update(found, read=[path.read_text() for path in paths])

    local_trials(write)
    FakeRay(monkeypatch, [])
    (tmp_path / "mine.h5").write_text("mine")
    (tmp_path / "other_trial").mkdir()
    for name in (WEIGHTS, "record.json", "not-needed.png"):
        (tmp_path / "other_trial" / name).write_text(name)
    weights = {"weights": str(tmp_path / "mine.h5"), "init_from": str(tmp_path / "other_trial")}
    trial = RemoteTrial(request(tmp_path / "t.running", **weights), "jax", EXECUTOR)
    assert trial.wait(1.0), trial.reason()
    assert seen["read"] == ["mine", WEIGHTS] and Path(seen["config"]["init_from"]).name == "other_trial"
    assert seen["runner"] != 1 and seen["time"] > 5.0
    assert json.loads((tmp_path / "t.running" / REQUEST).read_text())["config"]["weights"] == str(tmp_path / "mine.h5")


def test_a_trial_whose_worker_dies_is_lost_and_one_that_never_began_has_no_seconds(tmp_path, monkeypatch, local_trials):
    local_trials(lambda folder: None, ends=False)
    FakeRay(monkeypatch, [])
    began, never = (RemoteTrial(request(tmp_path / f"{name}.running"), "jax", EXECUTOR) for name in "ab")
    began.wait(0.0)
    for trial in (began, never):
        trial._worker.dead = "the node died"
    never._answer = never._worker.news.remote(False)
    assert [trial.wait(0.0) or trial.wait(0.0) for trial in (began, never)] == [True, True]
    assert began.reason() == (LOST, "node a was lost while the trial ran (RuntimeError: the node died)")
    assert never.reason()[0] == LOST and never.seconds() == 0.0


def test_a_worker_that_rays_memory_monitor_ends_is_lost_for_that_reason(tmp_path, monkeypatch, local_trials):
    local_trials(lambda folder: None, ends=False)
    FakeRay(monkeypatch, [])
    trial = RemoteTrial(request(tmp_path / "a.running"), "jax", EXECUTOR)
    trial._worker.dead = "1 worker(s) were killed due to the node running low on memory.\nTop 10 memory users: ..."
    assert trial.wait(0.0) or trial.wait(0.0) or trial.wait(0.0)
    assert trial.reason()[0] == LOST and trial.reason()[1].endswith("(Ray ended it because the node was low on memory)")


@pytest.mark.parametrize("function", ["describe", "prepare"])
@pytest.mark.parametrize(("kills", "lines"), [(2, 0), (99, 1)])
def test_a_node_whose_workers_are_killed_is_asked_again_but_not_for_ever(
    tmp_path, monkeypatch, local_trials, function, kills, lines
):
    local_trials(ok)
    ray = FakeRay(monkeypatch, [node("a", CPU=2.0), node("b", CPU=2.0)])
    left = [None] * kills

    def killed(argument):
        if left:
            left.pop()
            raise ray.exceptions.WorkerCrashedError("The worker died.")
        return getattr(workers, function)(argument)

    ray.answers = {(function, "a"): killed}
    observer = Lines()
    (record,) = run([CONFIG], results=tmp_path / "r", workers=Workers([CONFIG]), observer=observer)
    assert record.status == "ok"
    assert sum("node a (a) can't be used: The worker died" in line for line in observer.lines) <= lines


def test_a_worker_that_cannot_write_what_it_gets_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()
    FakeRay(monkeypatch, [])
    trial = RemoteTrial(request(tmp_path / "a.running"), "jax", EXECUTOR)
    assert trial.wait(0.0)
    assert trial.reason()[0] == REFUSED and "can't be made" in trial.reason()[1]


def test_a_share_of_a_node_is_its_part_of_the_cores(monkeypatch):
    monkeypatch.setattr(on_worker, "usable_cores", lambda: list(range(8)))
    share = Worker("x", (1, 4))._share
    assert share.of == 8 and share.at_once == 4 and len(share.cores) == 2 and Worker("y", (0, 1))._share is None


def test_the_device_of_a_record_is_that_of_the_node(tmp_path, monkeypatch, local_trials):
    local_trials(ok)
    ray = FakeRay(monkeypatch, [node("a", CPU=2.0)])
    ray.answers = {("describe", "a"): says("AMD of the node", cpu="AMD of the node")}
    (record,) = run([CONFIG], results=tmp_path / "r", workers=Workers([CONFIG]))
    assert record.device == "AMD of the node" != expected_device()
