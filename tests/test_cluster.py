"""What a cluster needs besides Ray itself: files on their way, slots that come and go, types of device, options."""

import os
import socket
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import CONFIG, OK, FakeExecutor, FakeTrial, run
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.results.loading import load
from bench.trials.cluster import connection, mail, on_worker
from bench.trials.cluster.mail import Chunk, Outbox, Receiver, chunks, parcels
from bench.trials.local_process import LOST, REFUSED
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.scheduling import life, scheduler
from bench.trials.scheduling.placement import Placement
from bench.trials.scheduling.scheduler import Scheduler
from bench.trials.scheduling.slots import Slot
from bench.trials.scheduling.waiting import SlotLost


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(scheduler, "ROUND_SECONDS", 0.0)


def sent(source, target, paths):
    receiver = Receiver(target)
    for some in parcels(chunks(source, paths)):
        for chunk in some:
            receiver.take(chunk)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6), chunk=st.integers(1, 17))
def test_files_of_any_size_arrive_as_they_were(tmp_path_factory, sizes, chunk):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mail, "CHUNK_BYTES", chunk)
        for number, size in enumerate(sizes):
            (source / f"{number}").write_bytes(os.urandom(size))
        sent(source, target, [str(number) for number in range(len(sizes))])
        most = max(sum(len(c.content) for c in some) for some in parcels(chunks(source, map(str, range(len(sizes))))))
    assert most <= chunk
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {p.name: p.read_bytes() for p in source.iterdir()}


def test_a_file_that_is_cut_while_it_is_sent_never_takes_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(mail, "CHUNK_BYTES", 40_000)
    (tmp_path / "a").write_bytes(bytes(100_000))
    receiver = Receiver(tmp_path / "to")
    (tmp_path / "to").mkdir()
    for chunk in chunks(tmp_path, ["a"]):
        receiver.take(chunk)
        (tmp_path / "a").write_bytes(b"cut")
    assert not (tmp_path / "to" / "a").exists()


@pytest.mark.parametrize("path", ["../a", "/etc/a", "", "a/../../b"])
def test_a_file_outside_of_the_trials_folder_is_refused(tmp_path, path):
    with pytest.raises(BenchError, match="not one of its trial's folder"):
        Receiver(tmp_path).take(Chunk(path, 1, 0, b"x"))


def test_while_a_trial_runs_progress_and_checkpoints_are_sent_and_all_at_its_end(tmp_path):
    (tmp_path / "trial.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "1.npz").write_text("from before")
    outbox = Outbox(tmp_path)
    assert outbox.changed(ended=False) == []
    for name in ("outcome.json", "log.txt", "progress.json", "checkpoints/2.npz", "checkpoints/.ab.part.3.npz"):
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "checkpoints" / "1.npz").unlink()
    assert outbox.changed(ended=False) == ["progress.json", "checkpoints/2.npz"]
    assert outbox.changed(ended=False) == []
    assert outbox.checkpoints() == ["checkpoints/2.npz"]
    assert outbox.changed(ended=True) == ["log.txt", "outcome.json"]


class Pool:
    """Slots that are given in turns, one list a call."""

    def __init__(self, *turns):
        self.turns, self.taken_back, self.needed = list(turns), [], []

    def need(self, trials, tell):
        self.needed = [trial.config.seed for trial in trials]
        tell("a line")

    @property
    def slots(self):
        return [slot for turn in self.turns for slot in turn]

    def more(self):
        return self.turns.pop(0) if self.turns else []

    def lost(self, slot, status, reason):
        self.taken_back.append((slot, status))

    def expects(self):
        return bool(self.turns)

    def why_none(self):
        return "node a is gone"


def test_a_trial_whose_slot_is_lost_is_the_next_to_run_and_slots_join_late():
    began = []

    def lead(trial, slot):
        began.append((trial, slot))
        yield
        if slot == "bad":
            raise SlotLost(LOST, "gone")
        return trial.upper()

    pool = Pool(["bad"], [], ["good"])
    assert Scheduler([], lead, pool=pool).run(["a", "b"]) == ["A", "B"]
    assert began == [("a", "bad"), ("a", "good"), ("b", "good")] and pool.taken_back == [("bad", LOST)]


def test_without_slots_and_hope_a_run_ends_and_says_why(monkeypatch):
    monkeypatch.setattr(scheduler, "STALL_SECONDS", 0.05)
    with pytest.raises(BenchError, match=r"2 trials are left, .* \(node a is gone\).*Finished trials stay"):
        Scheduler([], lambda trial, slot: None, pool=Pool([], [])).run(["a", "b"])


class Lost(FakeTrial):
    """A trial whose worker is lost at once."""

    def reason(self):
        return self.status, "node a was lost"


class Loses(FakeExecutor):
    def __init__(self, status=LOST):
        super().__init__()
        self.status = status

    def start(self, folder, backend):
        self.started.append(Lost(folder, None))
        self.started[-1].status = self.status
        return self.started[-1]


class Lines(Observer):
    def __init__(self):
        self.lines = []

    def lost(self, trial, reason):
        self.lines.append(reason)

    def warned(self, line):
        self.lines.append(line)


def slots_of(*executors, device="a CPU"):
    return [[Slot(device, one, {"cpu": "its CPU", "versions": {}})] for one in executors]


def test_a_trial_that_loses_workers_again_and_again_is_recorded_as_failed_with_the_workers_machine(tmp_path):
    lost = [Loses() for _ in range(life.MOST_LOST)]
    pool, observer = Pool(*slots_of(*lost)), Lines()
    (record,) = run([CONFIG], results=tmp_path / "r", workers=pool, observer=observer)
    assert record.status == "failed" and "3 workers were lost" in record.reason
    assert record.environment["cpu"] == "its CPU"
    assert observer.lines == ["a line", "node a was lost", "node a was lost"]


def test_a_worker_that_refuses_is_no_loss_of_the_trial(tmp_path):
    executors = [*(Loses(REFUSED) for _ in range(5)), FakeExecutor(OK)]
    pool = Pool(*slots_of(*executors))
    (record,) = run([CONFIG], results=tmp_path / "r", workers=pool)
    assert record.status == "ok" and [status for _, status in pool.taken_back] == [REFUSED] * 5


def test_what_a_trial_waits_for_its_worker_is_no_time_of_the_trial(tmp_path, monkeypatch):
    executor = FakeExecutor(OK)
    start = executor.start

    def late(folder, backend):
        time.sleep(0.3)
        trial = start(folder, backend)
        trial.seconds = lambda: 0.1
        return trial

    executor.start = late
    before = time.time()
    (record,) = run([CONFIG], results=tmp_path / "r", executor=executor)
    assert record.wall_seconds == pytest.approx(0.1)
    assert load([tmp_path / "r"]).trials[0].record.started and time.time() - before >= 0.3


def planned(seed, *, record=None, configuration="c", device="A", placed=False):
    return PlannedTrial(
        replace(CONFIG, seed=seed), f"key{seed}", configuration, "", f"id-{device}", record, device, placed=placed
    )


def test_the_first_seed_that_runs_decides_on_the_type_of_device():
    trials = [planned(0), planned(1), planned(2, configuration="other")]
    placement = Placement(trials)
    assert placement.fits(trials[0], "B") and placement.fits(trials[1], "A")
    assert placement.place(trials[0], "B").device == "B"
    assert placement.fits(trials[1], "B") and not placement.fits(trials[1], "A")
    assert placement.fits(trials[2], "A")


def test_a_seed_that_was_begun_before_the_run_decides_too():
    placement = Placement([planned(0, device="B", placed=True), planned(1)])
    assert placement.fits(planned(1), "B") and not placement.fits(planned(1), "A")


def test_a_trial_of_several_devices_is_placed_under_their_number():
    trial = replace(planned(0), config=replace(CONFIG, backend="jax", devices_per_trial=4))
    assert Placement([]).place(trial, "B").device == "4 x B"


def test_a_key_that_is_done_on_any_type_of_device_is_done_unless_each_is_asked_for(tmp_path):
    two = [CONFIG, replace(CONFIG, seed=1)]
    run(two[:1], results=tmp_path / "r", workers=Pool(*slots_of(FakeExecutor(OK), device="B")))
    executors = [FakeExecutor(OK, OK, OK), FakeExecutor(OK)]
    turns = [slots_of(executors[0], device="A")[0] + slots_of(executors[1], device="B")[0]]
    pool = Pool(*turns)
    records = run(two, results=tmp_path / "r", workers=pool)
    assert [record.device for record in records] == ["B", "B"] and pool.needed == [1]
    records = run(two, results=tmp_path / "r", workers=Pool(*turns), each_device=True)
    assert [(r.config["seed"], r.device) for r in records] == [(0, "A"), (0, "B"), (1, "A"), (1, "B")]


def test_a_place_on_a_node_is_removed_at_its_end_and_that_of_a_dead_process_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path))
    (tmp_path / "ray" / "dead" / "t.running").mkdir(parents=True)
    (tmp_path / "ray" / "dead.trial").touch()
    with ExitStack() as held, ExitStack() as other:
        place = on_worker._own_place(held, "mine")
        second = on_worker._own_place(other, "second")
        assert place.is_dir() and second.is_dir() and not (tmp_path / "ray" / "dead").exists()
    assert not place.exists() and not second.exists()


def test_a_trial_leaves_out_what_ray_sets_in_its_workers(monkeypatch):
    monkeypatch.setenv("PYTHONBREAKPOINT", "ray")
    monkeypatch.setattr(on_worker.psutil.Process, "environ", lambda self: {"OMP_NUM_THREADS": "2"})
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    on_worker._forget_variables_of_ray()
    assert "PYTHONBREAKPOINT" not in os.environ and os.environ["OMP_NUM_THREADS"] == "2"


RUN = ["run", "--arch", "unet", "--dataset", "shapes", "--budget", "3steps"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--executor", "rai"], "--executor is 'rai'. Accepted: local, ray."),
        (["--ray-address", "a:1"], "--ray-address belongs to --executor ray"),
        (["--each-device"], "--each-device belongs to --executor ray"),
        (["--executor", "ray", "--jobs", "2"], "Leave out --jobs and --devices."),
        (["--executor", "ray", "--ray-address", "ray://a:10001"], "Ray Client, which is not supported"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, options, line, monkeypatch):
    monkeypatch.setattr(connection, "installed", lambda name: True)
    result = CliRunner().invoke(app, [*RUN, "--results", str(tmp_path / "r"), *options], env={"COLUMNS": "400"})
    assert result.exit_code == 2 and line in " ".join(result.output.split())


def test_without_ray_the_line_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "installed", lambda name: False)
    with pytest.raises(BenchError, match=r"pip install 'segbench\[ray\]'"):
        connection.connect(None)


@pytest.mark.parametrize(
    ("answer", "text"),
    [({"error": "Ray: Version mismatch: 2.59"}, "Version mismatch"), (None, "no answer within 45 s")],
)
def test_a_cluster_that_cannot_be_joined_is_named_with_its_address(monkeypatch, answer, text):
    def ask(target, requests, backend, timeout):
        if answer is None:
            raise connection.ChildEnded(f"no answer within {timeout:g} s")
        return [answer]

    monkeypatch.setattr(connection, "installed", lambda name: True)
    monkeypatch.setattr(connection, "ask", ask)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(BenchError, match=f"at 'auto' .*{text}"):
        connection.connect(None)


def test_an_address_where_nothing_listens_is_known_at_once(monkeypatch):
    monkeypatch.setattr(connection, "installed", lambda name: True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and listens not
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BenchError, match=f"at '{address}' .*refused"):
            connection.connect(address)
