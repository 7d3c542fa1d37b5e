"""The runner's decisions with fake trials: which are run, kept, retried and left alone."""

import json

import pytest
from running import CONFIG, OK, FakeExecutor, run

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.results.loading import load
from bench.results.store import ResultsFolder
from bench.results.trial_files import IF_KILLED, MARKER, OUTCOME, RETRY_LOG
from bench.trials.progress import Observer

SWEPT = {"speed": {"sweep_end": "out of memory"}}


def test_a_finished_trial_is_not_run_again(tmp_path):
    first = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    nothing_left = FakeExecutor()
    assert run([CONFIG], results=tmp_path / "r", executor=nothing_left) == first
    assert not nothing_left.started


def test_equal_configurations_are_one_trial_and_another_seed_is_another(tmp_path):
    seeds = [CONFIG, CONFIG, TrialConfig(**{**vars(CONFIG), "seed": 1})]
    records = run(seeds, results=tmp_path / "r", executor=FakeExecutor(OK, OK))
    assert [r.config["seed"] for r in records] == [0, 1]


@pytest.mark.parametrize(
    ("status", "again"),
    [("failed", True), ("timed_out", True), ("diverged", False), ("out_of_memory", False), ("skipped", False)],
)
def test_which_statuses_are_run_again(tmp_path, status, again):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor({"status": status, "reason": "because"}))
    executor = FakeExecutor(OK)
    (record,) = run([CONFIG], results=tmp_path / "r", executor=executor)
    assert (record.status, len(executor.started)) == (("ok", 1) if again else (status, 0))


def test_a_trial_that_leaves_no_outcome_is_a_row_and_the_rest_go_on(tmp_path):
    configs = [CONFIG, TrialConfig(**{**vars(CONFIG), "seed": 1})]
    bad, good = run(configs, results=tmp_path / "r", executor=FakeExecutor(None, OK))
    assert (bad.status, bad.reason) == ("failed", "The process was killed by SIGKILL.")
    assert bad.log_tail == ("first line", "last line")
    assert bad.dataset["name"] == CONFIG.dataset and bad.dataset["fingerprint"]  # so its table can show it as failed
    assert good.status == "ok"


@pytest.mark.parametrize(
    ("status", "found", "kept"),
    [
        ("out_of_memory", {"status": "ok", "reason": "", **SWEPT}, ("ok", "", SWEPT["speed"])),
        ("out_of_memory", {"memory": {"largest_batch": 8}}, ("out_of_memory", "Killed.", {})),
        ("failed", {"status": "ok", "reason": "", **SWEPT}, ("failed", "Killed.", {})),  # not because memory ran out
    ],
)
def test_what_a_trial_had_measured_stands_where_the_system_killed_it_for_memory(tmp_path, status, found, kept):
    class Killed(FakeExecutor):
        def start(self, folder, backend):
            (folder / IF_KILLED).write_text(json.dumps(found))
            trial = super().start(folder, backend)
            trial.reason = lambda: (status, "Killed.")
            return trial

    (record,) = run([CONFIG], results=tmp_path / "r", executor=Killed(None))
    assert (record.status, record.reason, record.speed) == kept
    assert record.memory == found.get("memory", {})
    (trial,) = load([tmp_path / "r"]).trials
    assert not (trial.folder / IF_KILLED).exists()


def test_a_trial_past_its_timeout_is_stopped(tmp_path):
    executor = FakeExecutor("hang")
    (record,) = run([TrialConfig(**{**vars(CONFIG), "timeout": 0.01})], results=tmp_path / "r", executor=executor)
    assert record.status == "timed_out"
    assert "0.01" in record.reason
    assert executor.started[0].stopped


class CtrlC(Observer):
    def started(self, trial):
        raise KeyboardInterrupt


def test_ctrl_c_records_the_running_trial_and_the_next_run_goes_on(tmp_path):
    configs = [CONFIG, TrialConfig(**{**vars(CONFIG), "seed": 1})]
    run(configs[:1], results=tmp_path / "r", executor=FakeExecutor(OK))
    executor = FakeExecutor("hang")
    with pytest.raises(KeyboardInterrupt):
        run(configs, results=tmp_path / "r", executor=executor, observer=CtrlC())
    assert executor.started[0].stopped
    statuses = {t.record.config["seed"]: t.record.status for t in load([tmp_path / "r"]).trials}
    assert statuses == {0: "ok", 1: "interrupted"}
    assert [r.status for r in run(configs, results=tmp_path / "r", executor=FakeExecutor(OK))] == ["ok", "ok"]


def test_force_runs_again_but_an_interrupted_run_does_not_replace_a_finished_one(tmp_path):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    with pytest.raises(KeyboardInterrupt):
        run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor("hang"), observer=CtrlC())
    (trial,) = load([tmp_path / "r"]).trials
    assert trial.record.metrics == {"mean_iou": 0.5}
    better = {"status": "ok", "metrics": {"mean_iou": 0.6}}
    (record,) = run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor(better))
    assert record.metrics == {"mean_iou": 0.6}


def test_a_forced_run_that_fails_says_so_and_leaves_the_old_record_with_its_log_beside_it(tmp_path):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    (record,) = run([CONFIG], results=tmp_path / "r", force=True, executor=FakeExecutor(None))
    assert record.status == "failed"
    (trial,) = load([tmp_path / "r"]).trials
    assert trial.record.status == "ok"
    assert (trial.folder / RETRY_LOG).read_text().endswith("last line\n")


class CtrlCTooLate(Observer):
    """Ctrl-C when the trial has just written its outcome."""

    def __init__(self, results):
        self.results = results

    def started(self, trial):
        (ResultsFolder(self.results).running_folder(trial.identity) / OUTCOME).write_text(json.dumps(OK))
        raise KeyboardInterrupt


def test_ctrl_c_after_the_outcome_keeps_the_finished_trial_and_ends_the_run(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run([CONFIG], results=tmp_path / "r", executor=FakeExecutor("hang"), observer=CtrlCTooLate(tmp_path / "r"))
    (trial,) = load([tmp_path / "r"]).trials
    assert trial.record.status == "ok"


def test_seeds_and_repeats_share_their_configuration(tmp_path):
    configs = [TrialConfig(**{**vars(CONFIG), **c}) for c in ({}, {"seed": 1}, {"repeat": 1}, {"batch_size": 8})]
    first, seed, repeat, other = run(configs, results=tmp_path / "r", executor=FakeExecutor(OK, OK, OK, OK))
    assert first.configuration == seed.configuration == repeat.configuration != other.configuration
    assert len({r.key for r in (first, seed, repeat, other)}) == 4


def test_a_trial_that_another_runner_holds_is_left_alone(tmp_path):
    heard = []

    class Listener(Observer):
        def elsewhere(self, trial):
            heard.append(trial.identity)

        def planned(self, trials):
            self.lock = ResultsFolder(tmp_path / "r").claim(trials[0].identity)
            self.lock.acquire()

    listener = Listener()
    assert run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(), observer=listener) == []
    listener.lock.release()
    assert len(heard) == 1


def test_a_runner_that_died_leaves_an_abandoned_trial_which_is_run_anew(tmp_path):
    (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(None))
    (trial,) = load([tmp_path / "r"]).trials
    trial.folder.rename(trial.folder.with_name(f"{trial.folder.name}.running"))
    loaded = load([tmp_path / "r"])
    assert (len(loaded.abandoned), loaded.trials, loaded.running) == (1, [], [])
    (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OK))
    assert record.status == "ok"
    assert load([tmp_path / "r"]).abandoned == []


def test_a_folder_with_other_things_or_of_a_newer_schema_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(BenchError, match="isn't a results folder"):
        run([CONFIG], results=tmp_path / "other", executor=FakeExecutor())
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / MARKER).write_text('{"schema_version": 99}')
    with pytest.raises(BenchError, match="newer segbench"):
        run([CONFIG], results=tmp_path / "newer", executor=FakeExecutor())
    assert [p.name for p in (tmp_path / "newer").iterdir()] == [MARKER]


def test_the_key_has_what_decides_the_result_and_nothing_else(tmp_path):
    from bench.trials.identity import trial_key

    def key(**changes):
        return trial_key(catalog.resolve_config(TrialConfig(**{**vars(CONFIG), **changes})), "fingerprint")

    (tmp_path / "a.h5").write_bytes(b"weights")
    (tmp_path / "b.h5").write_bytes(b"weights")
    assert key() == key(timeout=5.0) == key(data_dir="elsewhere") == key(skip_corrupt=True)
    with_backbone = {"arch": "deeplab", "params": {}}
    first, second = (key(**with_backbone, weights=str(tmp_path / name)) for name in ("a.h5", "b.h5"))
    assert first == second != key(**with_backbone)
    assert key(params={"filters": [4, 8], "dropout": 0.0}) == key()  # 0.0 is the builder's default
    assert len({key(), key(seed=1), key(repeat=1), key(batch_size=8), key(backend="jax"), key(lr=0.1)}) == 6
    assert trial_key(CONFIG, "other data") != key()
