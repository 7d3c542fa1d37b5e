"""Trials of other versions of a backend or of Keras are not pooled, not ranked together, and run again if asked."""

from dataclasses import replace

import pytest
from rich.console import Console
from running import CONFIG, OK, FakeExecutor, run

from bench.commands.plain_lines import PlainLines
from bench.config import catalog
from bench.core.backends import BACKENDS
from bench.profiling.environment import versions
from bench.results import software as module
from bench.results.loading import load
from bench.results.software import NOT_RECORDED, is_stale, software, tables
from bench.trials.estimate import estimates, stale_note, summary
from bench.trials.progress import Observer

SECOND = replace(CONFIG, seed=1)
NOW = {**dict.fromkeys(BACKENDS, "7.3.1"), "keras": "3.15.1", "numpy": "2.1.0"}


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """Let the installed versions be those of NOW."""
    monkeypatch.setattr(module, "versions", lambda: NOW)
    module.software_now.cache_clear()
    yield
    module.software_now.cache_clear()


def outcome(score=0.5, **changed):
    return {**OK, "metrics": {"mean_iou": score}, "environment": {"versions": {**NOW, **changed}}}


OLD = outcome(0.25, keras="3.14.9")


def test_installed_packages_give_software_with_two_numbers_each():
    assert "keras" in versions()  # without it every trial would be of unknown versions
    assert software("jax", {"jax": "0.10.1", "keras": "3.15.0"}) == "JAX 0.10 · Keras 3.15"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"jax": "0.10.0.dev20260101+cuda12", "keras": "3.9.0rc1"}, "JAX 0.10 · Keras 3.9"),
        ({"jax": "0.10"}, "JAX 0.10 · Keras ?"),
        ({"keras": "3.15.1", "tensorflow": "2.21.0"}, "JAX ? · Keras 3.15"),
        ({"jax": "nightly", "keras": ["3"]}, 'JAX nightly · Keras ["3"]'),
        ({"jax": "9" * 5000, "keras": "\x1b[31m3.15\x1b[0m"}, f"JAX {'9' * 19}… · Keras 3.15"),
        ({"numpy": "2.1"}, NOT_RECORDED),
        ({}, NOT_RECORDED),
        (None, NOT_RECORDED),
        ("3.15", NOT_RECORDED),
    ],
)
def test_any_recorded_versions_have_a_short_name(found, text):
    assert software("jax", found) == text


def test_an_unknown_backend_keeps_its_name():
    assert software("openvino", {"openvino": "2026.1.0", "keras": "3.15.1"}) == "openvino 2026.1 · Keras 3.15"


def test_backends_of_one_keras_share_a_table_and_nothing_is_named():
    found = ["JAX 0.10 · Keras 3.15", "PyTorch 2.9 · Keras 3.15", "TensorFlow 2.21 · Keras 3.15"]
    assert tables(found) == dict.fromkeys(found, (0, ""))


def test_a_table_has_one_version_of_each_backend_and_the_newest_share_the_first():
    found = tables(
        {
            "JAX 0.9 · Keras 3.15",
            "JAX 0.10 · Keras 3.15",
            "PyTorch 2.9 · Keras 3.15",
            "JAX 0.9 · Keras 3.9",
            NOT_RECORDED,
        }
    )
    assert found == {
        "JAX 0.10 · Keras 3.15": (0, "JAX 0.10, PyTorch 2.9 · Keras 3.15"),
        "PyTorch 2.9 · Keras 3.15": (0, "JAX 0.10, PyTorch 2.9 · Keras 3.15"),
        "JAX 0.9 · Keras 3.15": (1, "JAX 0.9 · Keras 3.15"),
        "JAX 0.9 · Keras 3.9": (2, "JAX 0.9 · Keras 3.9"),
        NOT_RECORDED: (3, NOT_RECORDED),
    }


class Plans(Observer):
    def planned(self, trials):
        self.trials = trials


@pytest.mark.parametrize(
    ("earlier", "again"),
    [
        (outcome(), False),
        (outcome(keras="3.15.9", numpy="1.0"), False),
        (OLD, True),
        (outcome(tensorflow="7.2.0", jax="7.2.0", torch="7.2.0"), True),
        ({**OLD, "status": "out_of_memory"}, True),
        (OK, True),  # without versions
    ],
)
def test_only_what_is_done_under_other_versions_is_run_again_when_asked(tmp_path, earlier, again):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(earlier))
    plans = Plans()
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(), observer=plans)  # without being asked, none
    assert [(trial.done, trial.stale) for trial in plans.trials] == [(True, again)]
    (record,) = run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor(*[outcome(0.75)] * again))
    assert record.metrics["mean_iou"] == (0.75 if again else earlier["metrics"]["mean_iou"])
    run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor())  # the second time there are none
    assert len(load([tmp_path / "r"]).trials) == 1


def test_a_rerun_that_fails_leaves_the_old_record_and_is_tried_again(tmp_path):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OLD))
    (record,) = run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor(None))
    assert record.status == "failed"
    assert load([tmp_path / "r"]).trials[0].record.metrics == OLD["metrics"]
    (record,) = run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor(outcome()))
    assert not is_stale(record)


def test_a_trial_that_another_runner_has_rerun_meanwhile_is_not_trained_twice(tmp_path):
    for config in (CONFIG, SECOND):
        run([config], results=tmp_path / "r", executor=FakeExecutor(OLD))

    class OtherRunner(Observer):
        def planned(self, trials):
            run([SECOND], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor(outcome(0.75)))

    executor = FakeExecutor(outcome(0.5))
    records = run([CONFIG, SECOND], results=tmp_path / "r", rerun_stale=True, executor=executor, observer=OtherRunner())
    assert [record.metrics["mean_iou"] for record in records] == [0.5, 0.75] and len(executor.started) == 1


@pytest.mark.parametrize(("left", "starts"), [(outcome(0.75), 0), (OLD, 1)])
def test_a_rerun_that_had_ended_when_its_runner_died_is_taken_up_if_it_ran_on_todays_versions(
    tmp_path, monkeypatch, left, starts
):
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor(OLD))

    class Died(BaseException):
        pass

    def die(*args):
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("bench.results.store.ResultsFolder.finish", die)
        run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=FakeExecutor(left))
    (record,) = run([CONFIG], results=tmp_path / "r", executor=FakeExecutor())
    assert record.metrics == OLD["metrics"]  # a plain run changes nothing that is done
    executor = FakeExecutor(*[outcome(0.75)] * starts)
    (record,) = run([CONFIG], results=tmp_path / "r", rerun_stale=True, executor=executor)
    assert record.metrics["mean_iou"] == 0.75 and len(executor.started) == starts


def test_a_dry_run_says_what_is_done_under_other_versions_and_what_would_run_again(tmp_path):
    plans = Plans()
    run([CONFIG], results=tmp_path / "s", executor=FakeExecutor(OK), observer=plans)
    data = {"dataset": {"fingerprint": plans.trials[0].fingerprint}}
    run([CONFIG], results=tmp_path / "r", executor=FakeExecutor({**OLD, **data}))
    run([SECOND], results=tmp_path / "r", executor=FakeExecutor({**outcome(), **data}))
    configs = [catalog.resolve_config(config) for config in (CONFIG, SECOND)]
    trials = load([tmp_path / "r"]).trials
    assert summary(estimates(configs, trials)) == f"Done: 2{stale_note(1)}, to run: 0."
    planned = estimates(configs, trials, rerun_stale=True)
    assert [(one.done, one.stale) for one in planned] == [(False, True), (True, False)]
    assert summary(planned).startswith("Done: 1, to run: 1.")


def test_a_run_says_how_many_trials_are_done_under_other_versions(tmp_path, capsys):
    for config, result in ((CONFIG, OLD), (SECOND, outcome())):
        run([config], results=tmp_path / "r", executor=FakeExecutor(result))
    run([CONFIG, SECOND], results=tmp_path / "r", executor=FakeExecutor(), observer=PlainLines(Console(width=200)))
    assert f"planned trials: 2; 2 done{stale_note(1)}, 0 to run" in capsys.readouterr().out
