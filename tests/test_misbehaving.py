"""What a plug-in can do wrong in its trial's process: each is a row with its reason, and nothing stays behind."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from running import CONFIG, OK, run

from bench.commands.plain_lines import PlainLines
from bench.core import leftovers
from bench.results import trial_output
from bench.results.loading import load
from bench.results.trial_files import LOG, OF_WORK, OUTCOME, PROGRESS, RECORD
from bench.results.trial_output import LOG_BYTES, read_outcome, read_progress, trim_log, usable
from bench.trials import local_process
from tests.faults.misbehaving import KINDS

STUB = str(Path(__file__).parent / "faults" / "misbehaving.py")
UNUSABLE = "wrote an outcome that can't be used: "
ENDINGS = {
    "nothing": ("ok", ""),
    "no status": ("failed", UNUSABLE + "it has no status"),
    "another's key": ("ok", ""),
    "an outcome of 70 MB": ("failed", UNUSABLE + "it has 66.8 MiB"),
    "odd progress": ("ok", ""),
    "prints 100 MB": ("ok", ""),
    "prints a line of 50 MB": ("failed", "ValueError: yyy"),
    "closes its output": ("ok", ""),
    "fails without output": ("failed", "ValueError: no output"),
    "leaves children": ("ok", ""),
    "dies and leaves children": ("failed", "The process ended with exit code 0 and no outcome."),
    "forks": ("ok", ""),
    "os._exit": ("failed", "The process ended with exit code 0 and no outcome."),
    "sys.exit": ("failed", "The process ended with exit code 3 and no outcome."),
    "segfaults": ("failed", "The process was killed by SIGSEGV."),
    "a FIFO for a log": ("failed", "ValueError: a FIFO"),
    "removes its folder": ("failed", "was removed"),
    "a file for its folder": ("failed", "was removed"),
    "a folder for its record": ("ok", ""),
    "a folder for its outcome": ("failed", UNUSABLE + "it is a folder"),
    "folders for files of its work": ("ok", ""),
    "ignores signals": ("timed_out", "Stopped after --timeout"),
}
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the stub forks and makes FIFOs"),
    pytest.mark.needs("jax"),  # which the stub doesn't import
]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The records of one run of all, by what each has done; and the results folder and the run's output."""
    results, text = tmp_path_factory.mktemp("r") / "r", io.StringIO()
    configs = [
        replace(
            CONFIG, backend="jax", seed=seed, keep_weights="all", timeout=1.0 if kind == "ignores signals" else None
        )
        for seed, kind in enumerate(KINDS)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_process, "command", lambda module, *rest: [sys.executable, "-P", STUB, *rest])
        patch.setattr(local_process, "GRACE_SECONDS", 0.5)
        records = run(configs, results=results, observer=PlainLines(Console(file=text)))
    return dict(zip(KINDS, records, strict=True)), results, text.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_plug_in_that_misbehaves_is_a_row_with_its_reason(ended, kind):
    record = ended[0][kind]
    status, reason = ENDINGS[kind]
    assert record.status == status and reason in record.reason, record.reason
    assert len(record.reason) <= 500 and record.reason.isprintable()
    assert len(json.dumps(record.to_dict())) < 20_000


def test_what_they_leave_can_be_read_and_is_of_bounded_size(ended):
    records, results, _ = ended
    loaded = load([results])
    assert len(loaded.trials) == len(records) and not loaded.running + loaded.abandoned
    assert [problem for problem in loaded.problems if "FIFO" not in problem] == []
    for trial in loaded.trials:
        assert (trial.folder / RECORD).stat().st_size < 20_000
        assert not [name for name in OF_WORK if (trial.folder / name).exists()]
        assert not (trial.folder / LOG).is_file() or (trial.folder / LOG).stat().st_size <= LOG_BYTES


def test_no_process_of_theirs_is_left(ended):
    marks = [process for process in psutil.process_iter(["environ"]) if process.info["environ"]]
    results = str(ended[1])
    assert not [p for p in marks if p.info["environ"].get(leftovers.VARIABLE, "").startswith(results)]


def test_an_outcome_does_not_replace_what_its_runner_knows(ended):
    records, _, _ = ended
    right, forged = records["nothing"], records["another's key"]
    assert forged.key != "other" and forged.config == {**right.config, "seed": forged.config["seed"]}
    assert (forged.configuration, forged.repeat, forged.schema_version) == (
        right.configuration,
        0,
        right.schema_version,
    )
    assert forged.started.startswith("20")


def test_the_output_of_a_run_shows_no_progress_that_is_none(ended):
    assert "Traceback" not in ended[2] and "1e+99" not in ended[2]


def test_a_log_that_grows_keeps_its_two_ends(tmp_path):
    with (tmp_path / LOG).open("ab", buffering=0) as log:
        log.write(b"begin\n" + b"x" * LOG_BYTES + b"\nend\n")
        trim_log(tmp_path / LOG)
        log.write(b"more\n")
    text = (tmp_path / LOG).read_bytes()
    assert text.startswith(b"begin\n") and text.endswith(b"\nend\nmore\n") and b"14.0 MiB are left out here" in text
    assert len(text) < LOG_BYTES
    assert trial_output.log_tail(tmp_path)[-2:] == ("end", "more")


@pytest.mark.parametrize("name", ["key", "config", "repeat", "started", "log_tail", "schema_version", "unknown"])
def test_an_outcome_has_only_what_a_trial_can_know(name):
    assert name not in usable({**OK, name: {"config": {}, "repeat": 1}.get(name, 1)})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"metrics": {"mean_iou": 0.5}}', "it has no status"),
        ('{"status": "fine"}', "its status is 'fine'"),
        ('{"status": ["ok"]}', "'status' is ['ok'], but it must be a text"),
        ('{"status": "ok"}', "it says ok, but has neither metrics nor speed"),
        ('{"status": "ok", "metrics": 5}', "'metrics' is 5, but it must be a table"),
        ('{"status": "ok", "metrics": {"iou": {"a": "b"}}}', "'iou'"),
        ('{"status": "ok", "metrics": {"mean_iou": 1e300}}', "a number is above 1e+100"),
        (f'{{"status": "ok", "metrics": {[0] * 20_000}}}', "it has more than 15,000 values"),
        ("[" * 100_000, "it is nested more than 40 levels deep"),
        ("[]", "it is no table"),
        ("", "Expecting value"),
        ("\0\1", "Expecting value"),
    ],
)
def test_an_outcome_that_cannot_be_used_is_a_failure_that_says_why(tmp_path, text, problem):
    (tmp_path / OUTCOME).write_text(text)
    outcome = read_outcome(tmp_path)
    assert outcome.keys() == {"status", "reason"} and outcome["status"] == "failed"
    assert UNUSABLE + problem in outcome["reason"]


def test_a_reason_is_one_line_of_bounded_length(tmp_path):
    outcome = usable({"status": "failed", "reason": "a\nb\x1b[31m\u202e" + "x" * 100_000})
    assert outcome["reason"].startswith("a b") and outcome["reason"].isprintable()
    assert len(outcome["reason"]) <= 500


def test_an_outcome_in_the_place_of_a_folder_or_a_link_is_not_read(tmp_path):
    assert read_outcome(tmp_path) == {}
    (tmp_path / OUTCOME).symlink_to(tmp_path / "elsewhere")
    assert "it is a link" in read_outcome(tmp_path)["reason"]
    (tmp_path / PROGRESS).mkdir()
    assert read_progress(tmp_path) == {}


@pytest.mark.parametrize("value", ["text", [], {}, None, True, float("nan"), float("inf"), -1e300, 10**18])
def test_a_progress_has_numbers_that_can_be_shown(tmp_path, value):
    (tmp_path / PROGRESS).write_text(json.dumps({"phase": value, "fraction": value, "loss": value, "other": 1}))
    assert read_progress(tmp_path) == ({"phase": "text"} if value == "text" else {})


def test_a_fraction_is_at_most_the_whole(tmp_path):
    for given, shown in ((7, 1), (-3, 0), (0.5, 0.5), (1e-300, 0)):
        (tmp_path / PROGRESS).write_text(json.dumps({"fraction": given}))
        assert read_progress(tmp_path) == {"fraction": shown}
