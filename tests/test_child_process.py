"""The one way to ask a child process: answers, failures in one line, time limits, and nothing that is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.core.child_process import KILLED, ChildEnded, ask
from bench.core.surroundings import environment

CHILD = Path(__file__).with_name("child_answers.py")


def one(function, timeout=60.0, **options):
    return ask(f"{CHILD}:{function}", [{}], None, timeout, **options)[0]


def test_what_a_library_prints_is_not_taken_for_an_answer():
    requests = [{"number": 1}, {"text": "two\nlines"}]
    first, second = ask(f"{CHILD}:echo", requests, "jax", 60)
    assert (first["values"], second["values"]) == tuple(requests)
    assert (first["input"], first["backend"]) == ("", "jax")


def test_what_the_child_printed_is_repeated_only_if_asked_for(capfd):
    one("echo")
    assert capfd.readouterr() == ("", "")
    one("echo", echo=True)
    printed = capfd.readouterr().err
    assert "printed at import\n" in printed and "written to the descriptor of standard output\n" in printed


def test_nothing_is_imported_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    path = one("echo")["path"]
    assert not {"", str(tmp_path)} & set(path)


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("refuse", {"error": "There is no such thing. Accepted: others."}),
        ("throw", {"error": "ValueError: boom", "unexpected": True}),
    ],
)
def test_an_error_is_answered_in_one_line(function, answer):
    assert one(function) == answer


def test_after_an_error_the_next_request_is_answered():
    assert ask(f"{CHILD}:throw", [{}, {}], None, 60) == [{"error": "ValueError: boom", "unexpected": True}] * 2


@pytest.mark.parametrize(
    ("function", "reason", "code"),
    [
        ("leave", "exit code 3 (printed at import)", 3),
        ("be_killed", "killed by SIGKILL (printed at import)", KILLED),
        ("abort", "Fatal: no device", 1),
        ("no_such_function", "has no 'no_such_function', which the spec names.", 1),
    ],
)
def test_a_child_that_ended_is_told_by_its_last_line(function, reason, code):
    with pytest.raises(ChildEnded) as ended:
        one(function)
    assert reason in str(ended.value) and "\n" not in str(ended.value)
    assert ended.value.code == code


def test_a_child_that_takes_too_long_is_ended():
    with pytest.raises(ChildEnded, match=r"^no answer within 0\.1 s$") as ended:
        one("sleep", timeout=0.1)
    assert ended.value.code is None


def test_a_child_that_is_watched_is_ended_for_the_reason_given():
    numbers = []

    def watch(number):
        numbers.append(number)
        return "too greedy" if len(numbers) == 3 else ""

    with pytest.raises(ChildEnded, match=r"^too greedy$"):
        one("sleep", watch=watch)
    assert len(set(numbers)) == 1 and not psutil.pid_exists(numbers[0])


def test_ctrl_c_ends_the_child():
    numbers = []

    def interrupt(number):
        numbers.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one("sleep", watch=interrupt)
    assert not psutil.pid_exists(numbers[0])


def test_a_child_ends_with_its_parent(tmp_path):
    file = tmp_path / "number"
    program = "import sys; from bench.core.child_process import ask; ask(sys.argv[1], [{'file': sys.argv[2]}], '', 60)"
    parent = subprocess.Popen([sys.executable, "-c", program, f"{CHILD}:number_then_sleep", str(file)])
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    child = psutil.Process(int(file.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child.wait(timeout=30)


def test_the_variables_of_the_user_stay(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    found = environment("jax")
    assert (found["TF_CPP_MIN_LOG_LEVEL"], found["KERAS_BACKEND"]) == ("0", "jax")
    assert environment(None)["KERAS_BACKEND"] == "torch"
    assert found["PATH"] == os.environ["PATH"]
