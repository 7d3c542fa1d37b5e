"""`bench report --watch`: when the report is made anew, and what is left of it after Ctrl-C."""

import time

import pytest
from fake_results import failed_record, fake_config, fake_results, write_trial
from rich.console import Console

from bench.commands import report as command
from bench.commands import report_watch
from bench.core.errors import BenchError
from bench.results.store import ResultsFolder


class Made:
    state, files = "1 trials done, 0 running", ("index.html",)


@pytest.fixture
def results(tmp_path):
    return fake_results(tmp_path / "results")


def watched(monkeypatch, results, *steps, make=Made):
    """Watch a folder while one step after another happens between two looks; count the reports before each."""
    counts, waiting, calls = [], iter(steps), []

    def sleep(seconds):
        counts.append(len(calls))
        step = next(waiting, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(report_watch.time, "sleep", sleep)
    report_watch.watch(lambda: calls.append(1) or make(), [results], 1, Console(quiet=True))
    return counts


def test_the_report_is_made_again_only_when_trials_have_changed(monkeypatch, results):
    running = ResultsFolder(results).running_folder("unet_pets_s9")

    def progress(fraction):
        (running / "progress.json").write_text(f'{{"phase": "train", "fraction": {fraction}}}')

    steps = (
        lambda: None,
        lambda: write_trial(results, failed_record(fake_config(seed=77))),
        running.mkdir,
        lambda: progress(0.01),
        lambda: progress(0.15),
        lambda: (running / "progress.json").write_text('{"fra'),
    )
    assert watched(monkeypatch, results, *steps) == [1, 1, 2, 3, 3, 4, 5]


def test_a_later_report_that_fails_is_tried_again_and_the_first_is_refused(monkeypatch, results, capsys):
    answers = iter([Made, _fail, Made])

    def touch():
        next((results / "trials").iterdir()).joinpath("new").touch()

    assert watched(monkeypatch, results, touch, lambda: None, make=lambda: next(answers)()) == [1, 2, 3]
    assert "The report was not made this time: No." in capsys.readouterr().err
    with pytest.raises(BenchError, match=r"No\."):
        watched(monkeypatch, results, make=_fail)


def _fail():
    raise BenchError("No.")


def test_the_page_reloads_itself_until_ctrl_c_and_not_after(monkeypatch, results):
    pages = []

    def sleep(seconds):
        pages.append((results / "report" / "index.html").read_text(encoding="utf-8"))
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    command.report([results], watch=True, every=7)
    reload = '<meta http-equiv="refresh" content="7">'
    assert reload in pages[0] and "trials done, 0 running." in pages[0]
    assert 'http-equiv="refresh"' not in (results / "report" / "index.html").read_text(encoding="utf-8")


def test_every_without_watch_is_refused(results):
    with pytest.raises(BenchError, match="--every belongs to --watch"):
        command.report([results], every=5)
