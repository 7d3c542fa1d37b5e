"""`.ci/gpu.py`: the stored grid, what is left of it, and its end when time is over."""

import json
import signal
import subprocess
import sys
import time
from itertools import pairwise

import psutil
import pytest
import scripts
from typer.testing import CliRunner

from bench.cli import app
from bench.config import grid
from bench.core.errors import BenchError
from bench.core.specs import NO_DATASET
from bench.profiling.timing import Effort, inference_sweep
from bench.trials.identity import trial_key

gpu = scripts.load(".ci/gpu.py")


def names(pieces):
    return [piece.name for piece in pieces]


def test_the_most_worth_comes_first(tmp_path):
    every = names(gpu.pieces(gpu.Scale(), tmp_path))
    assert every[:3] == ["speed-jax-bfloat16", "peers", "train-pets"]
    assert names(gpu.pieces(gpu.Scale(), None)) == [name for name in every if name != "train-pets"]


def test_every_command_of_the_rehearsal_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [piece.arguments[2:] for piece in gpu.pieces(gpu.SMALL, None) if piece.arguments[:2] == gpu.BENCH]
    assert len(commands) == 4
    for words in commands:
        done = CliRunner().invoke(app, [*words, "--dry-run"])
        assert done.exit_code == 0, done.output


def test_the_real_grid_is_of_all_families_and_large():
    words = gpu.pieces(gpu.Scale(), None)[0].arguments
    assert {("--arch", "all"), ("--image-size", "256"), ("--batch-size", "64")} <= set(pairwise(words))


def test_the_sweep_s_limit_is_no_part_of_a_trial_s_identity():
    usual, short = (
        grid.expand({"arch": "unet", "measure": "speed", "backend": "jax", **limit})[0]
        for limit in ({}, {"sweep_seconds": gpu.SWEEP_SECONDS})
    )
    assert (usual.sweep_seconds, short.sweep_seconds) == (120.0, 15.0)
    assert trial_key(usual, NO_DATASET) == trial_key(short, NO_DATASET)
    with pytest.raises(BenchError, match="The seconds of the sweep is -1"):
        grid.expand({"arch": "unet", "measure": "speed", "backend": "jax", "sweep_seconds": -1})


def test_after_the_sweep_s_seconds_no_larger_batch_is_tried():
    points, end = inference_sweep(lambda size: lambda: time.sleep(0.02), Effort(sweep_seconds=0.0))
    assert ([size for size, _ in points], end) == ([1], "0 s")


def test_what_failed_is_tried_again_after_the_others():
    first, second, third = pieces = [gpu.Piece(name, (name,)) for name in "abc"]
    done = {"a": {"arguments": ["a"], "exit_code": 1}, "b": {"arguments": ["b"], "exit_code": 0}}
    assert gpu.open_pieces(pieces, {}) == pieces
    assert gpu.open_pieces(pieces, done) == [third, first]
    other = {"b": {"arguments": ["another"], "exit_code": 0}}
    assert gpu.open_pieces(pieces, other) == [first, second, third]


def test_a_piece_s_end_is_its_exit_code(tmp_path):
    piece = gpu.Piece("quits", ("-c", "import pathlib, sys; pathlib.Path('here').touch(); sys.exit(3)"))
    assert gpu.run(piece, tmp_path, {}, 60.0) == 3
    assert (tmp_path / "here").is_file()  # pieces run in the results' folder


def test_a_piece_is_interrupted_as_by_ctrl_c_when_time_is_over(tmp_path):
    sleeper = (
        "import pathlib, time\n"
        "try:\n    pathlib.Path('started').touch(); time.sleep(600)\n"
        "except KeyboardInterrupt:\n    pathlib.Path('recorded').touch()"
    )
    assert gpu.run(gpu.Piece("sleeps", ("-c", sleeper)), tmp_path, {}, 5.0) is None
    if (tmp_path / "started").is_file():  # on a machine so busy that Python did not start, there is nothing to see
        assert (tmp_path / "recorded").is_file()


def test_ctrl_c_while_a_piece_is_started_leaves_no_process_behind(tmp_path, monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)  # where Python looks for signals

    monkeypatch.setattr(gpu.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        gpu.run(gpu.Piece("sleeps", ("-c", "import time; time.sleep(600)")), tmp_path, {}, 60.0)
    (process,) = started
    assert process.returncode is not None


def test_pieces_that_ended_are_noted_and_not_run_again(tmp_path, monkeypatch, capsys):
    script = "import pathlib, sys; file = pathlib.Path('ran'); file.open('a').write('x'); sys.exit(int(sys.argv[1]))"
    pieces = [gpu.Piece("good", ("-c", script, "0")), gpu.Piece("bad", ("-c", script, "1"))]
    (tmp_path / "build" / "gpu-small" / "speed").mkdir(parents=True)
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "pieces", lambda *_, **__: pieces)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--small"])
    for runs in ("xx", "xxx"):
        with pytest.raises(SystemExit) as end:
            gpu.main()
        assert end.value.code == 1
        assert (tmp_path / "build" / "gpu-small" / "ran").read_text() == runs
    noted = json.loads((tmp_path / "build" / "gpu-small" / gpu.DONE).read_text())
    assert {name: piece["exit_code"] for name, piece in noted.items()} == {"good": 0, "bad": 1}
    told = capsys.readouterr().out
    assert "== bad: " in told and told.endswith("\nbench report build/gpu-small/speed\n")


def test_without_segbench_and_wheels_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"no wheels in .* Run `make wheels`"):
        gpu._environment(tmp_path, tmp_path)


def test_the_wheels_are_unpacked_once_and_stand_on_the_path(tmp_path, monkeypatch):
    commands = []

    def install(words, check):
        commands.append(words)
        (tmp_path / "site").mkdir()  # that of other wheels has been removed

    wheel = tmp_path / "segbench-0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(gpu.subprocess, "run", install)
    (tmp_path / "commit.txt").write_text("df01bb0-dirty")
    for _ in range(2):
        environment = gpu._environment(tmp_path, tmp_path)
        assert environment["PYTHONPATH"].startswith(str(tmp_path / "site"))
        assert environment["SEGBENCH_COMMIT"] == "df01bb0-dirty"
    (command,) = commands
    assert {"--no-index", "--no-deps", tmp_path / "site"} <= set(command)
    wheel.write_bytes(b"whole")  # built anew, of the same size
    gpu._environment(tmp_path, tmp_path)
    assert len(commands) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_piece_that_runs_and_the_next_run_goes_on(tmp_path, number):
    driver = """
import pathlib, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
gpu = runpy.run_path(sys.argv[1], run_name="gpu")
space = gpu["main"].__globals__
space["ROOT"] = pathlib.Path.cwd()
sleeps = "import os, pathlib, time; pathlib.Path('started').write_text(str(os.getpid())); time.sleep(600)"
space["pieces"] = lambda *_, **__: [space["Piece"]("sleeps", ("-c", sleeps))]
sys.argv = ["gpu.py", "--small"]
gpu["main"]()
"""
    words = [sys.executable, "-c", driver, str(scripts.ROOT / ".ci" / "gpu.py")]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started = tmp_path / "build" / "gpu-small" / "started"
    deadline = time.monotonic() + 60
    while not (started.is_file() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    assert "The same command goes on with what is missing." in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert not psutil.pid_exists(int(started.read_text()))
    assert not (tmp_path / "build" / "gpu-small" / gpu.DONE).exists()
