"""Many lives in few slots: order, filling of slots, interrupts and errors; and runs with several executors."""

from dataclasses import replace

import pytest
from running import CONFIG, OK, FakeExecutor, FakeTrial, run

from bench.core.errors import BenchError
from bench.results.loading import load
from bench.trials.progress import Observer
from bench.trials.scheduling import scheduler
from bench.trials.scheduling.life import Life
from bench.trials.scheduling.scheduler import Scheduler
from bench.trials.scheduling.waiting import FREE

SEEDS = [replace(CONFIG, seed=seed) for seed in range(6)]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(scheduler, "ROUND_SECONDS", 0.0)


class Lives:
    """Lives that wait as many rounds as their trial says; a text is an error that they raise at their end."""

    def __init__(self):
        self.running, self.most, self.began, self.slots = {}, 0, [], {}
        self.interrupted = []

    def lead(self, trial, slot):
        name, rounds, error = trial
        assert slot not in self.running.values()
        self.running[name] = slot
        self.most = max(self.most, len(self.running))
        self.began.append(name)
        try:
            for _ in range(rounds):
                yield
            if error:
                raise error
        except KeyboardInterrupt as told:
            self.interrupted.append((name, str(told)))
            yield  # to stop a process takes time
            raise
        finally:
            del self.running[name]
        return name.upper()


@pytest.mark.parametrize("slots", [1, 2, 3, 9])
def test_lives_begin_in_order_fill_the_slots_and_return_in_order(slots):
    lives = Lives()
    trials = [(name, rounds, None) for name, rounds in zip("abcdef", (5, 0, 1, 3, 0, 2), strict=True)]
    assert Scheduler(range(slots), lives.lead).run(trials) == list("ABCDEF")
    assert lives.began == list("abcdef") and not lives.running
    assert lives.most == min(slots, 4 if slots > 3 else slots)  # two of six end before the next begins


def test_an_error_interrupts_the_others_and_begins_no_more():
    lives = Lives()
    trials = [("a", 9, None), ("b", 2, BenchError("full")), ("c", 9, None), ("d", 9, None)]
    with pytest.raises(BenchError, match="full"):
        Scheduler(range(3), lives.lead).run(trials)
    assert sorted(name for name, _ in lives.interrupted) == ["a", "c"] and not lives.running
    assert all(reason == scheduler.OTHER_ENDED for _, reason in lives.interrupted)


def test_an_interrupt_reaches_every_life(monkeypatch):
    lives, rounds = Lives(), []

    def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(scheduler.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        Scheduler(range(2), lives.lead).run([(name, 9, None) for name in "abc"])
    assert lives.interrupted == [("a", ""), ("b", "")] and not lives.running


def lead_with_long_ends(log):
    """Make a leader of lives that need their slot for a round, and then many more rounds without it."""

    def lead(name, slot):
        log.append(f"{name} begins")
        yield
        yield FREE
        for _ in range(5):
            yield
        log.append(f"{name} ends")
        return name

    return lead


def test_a_slot_takes_the_next_trial_before_the_former_is_recorded_but_never_leaves_records_far_behind():
    log = []
    assert Scheduler(range(2), lead_with_long_ends(log)).run("abcdefgh") == list("abcdefgh")
    assert log.index("c begins") < log.index("a ends")
    begun_beyond = [sum(1 if "begins" in line else -1 for line in log[: place + 1]) for place in range(len(log))]
    assert max(begun_beyond) <= 2 * 2


def test_a_single_slot_records_a_trial_before_the_next_begins():
    log = []
    Scheduler(range(1), lead_with_long_ends(log)).run("abc")
    assert log == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]


def test_ctrl_c_while_a_trial_that_has_ended_is_recorded_loses_nothing_of_it(tmp_path, monkeypatch):
    """The interrupt comes between the end of the first trial's process and its record."""
    lead_of = Life.lead

    def lead(self, trial, slot):
        life = lead_of(self, trial, slot)
        for said in life:
            if said is FREE:
                life.throw(KeyboardInterrupt())
            yield

    monkeypatch.setattr(Life, "lead", lead)
    with pytest.raises(KeyboardInterrupt):
        run(SEEDS[:2], results=tmp_path / "r", executors=[FakeExecutor(OK), FakeExecutor("hang")])
    statuses = {t.record.config["seed"]: t.record.status for t in load([tmp_path / "r"]).trials}
    assert statuses == {0: "ok"}


class Stops(FakeTrial):
    """A trial that hangs until it is stopped."""

    def __init__(self, folder, outcome):
        super().__init__(folder, "hang")


class Hangs(FakeExecutor):
    def start(self, folder, backend):
        self.started.append(Stops(folder, None))
        return self.started[-1]


class Interrupts(Observer):
    """Ctrl-C once so many trials have started."""

    def __init__(self, after):
        self.left, self.ended_ones = after, []

    def started(self, trial):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def ended(self, trial, record):
        self.ended_ones.append(record.status)


def test_ctrl_c_records_every_running_trial_as_interrupted(tmp_path):
    executors, observer = [Hangs() for _ in range(3)], Interrupts(3)
    with pytest.raises(KeyboardInterrupt):
        run(SEEDS, results=tmp_path / "r", executors=executors, observer=observer)
    assert [len(e.started) for e in executors] == [1, 1, 1]
    assert all(trial.stopped for executor in executors for trial in executor.started)
    assert observer.ended_ones == ["interrupted"] * 3
    assert [t.record.status for t in load([tmp_path / "r"]).trials] == ["interrupted"] * 3
    assert "Ctrl-C" in load([tmp_path / "r"]).trials[0].record.reason
    records = run(SEEDS, results=tmp_path / "r", executors=[FakeExecutor(*[OK] * 6)] * 2)
    assert [record.status for record in records] == ["ok"] * 6


def test_records_come_in_the_order_of_the_grid_whichever_ends_first(tmp_path):
    outcomes = [{**OK, "metrics": {"mean_iou": seed / 10}} for seed in range(6)]
    executors = [FakeExecutor(*outcomes[:3]), FakeExecutor(*outcomes[3:])]
    records = run(SEEDS, results=tmp_path / "r", executors=executors)
    assert [record.config["seed"] for record in records] == list(range(6))


class Fills(FakeExecutor):
    """An executor under which the disk fills."""

    def start(self, folder, backend):
        raise OSError(28, "No space left on device", str(folder))


def test_a_disk_that_fills_ends_the_other_trials_too_and_the_next_run_goes_on(tmp_path):
    hangs = Hangs()
    with pytest.raises(BenchError, match="No space left on device"):
        run(SEEDS, results=tmp_path / "r", executors=[hangs, Fills()])
    assert hangs.started[0].stopped
    (trial,) = load([tmp_path / "r"]).trials
    assert trial.record.status == "interrupted" and "could not go on" in trial.record.reason
    records = run(SEEDS, results=tmp_path / "r", executors=[FakeExecutor(*[OK] * 6)])
    assert [record.status for record in records] == ["ok"] * 6
