"""A trial's process that does what a plug-in can do wrong: the seed of its trial says what, by its place in KINDS.

`python -P misbehaving.py FOLDER` stands for `python -m bench.trials.process FOLDER`; it imports no backend.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from bench.core.files import MARK
from bench.results.trial_files import CODE, HISTORY, IF_KILLED, LOG, OUTCOME, PROGRESS, RECORD, REQUEST, WEIGHTS
from bench.trials import process

OK = {"status": "ok", "metrics": {"mean_iou": 0.5}}
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def outcome(**values):
    return raw_outcome(json.dumps(values))


def raw_outcome(text):
    """Write an outcome and end before the session writes its own."""

    def end(folder):
        (folder / OUTCOME).write_text(text, encoding="utf-8")
        os._exit(0)

    return end


def odd_progress(folder):
    """Leave one odd progress after another until the runner has read it."""
    for text in ODD_PROGRESS:
        (folder / PROGRESS).write_text(text, encoding="utf-8")
        time.sleep(0.4)


def many_lines(folder):
    for _ in range(100):
        os.write(1, b"a line\n" * (2**20 // 7))


def long_line(folder):
    for _ in range(50):
        os.write(1, b"x" * 2**20)
    raise ValueError("y" * 2**20)


def fails_without_output(folder):
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)
    raise ValueError("no output")


def closes_output(folder):
    sys.stdout.close()
    sys.stderr.close()


def children(folder):
    """Leave a child, a daemon in a session of its own, and a fork that goes on as if it were the trial."""
    subprocess.Popen(SLEEP)
    subprocess.Popen(SLEEP, start_new_session=True)
    if not os.fork():
        os.setsid()
        if not os.fork():
            time.sleep(600)
        os._exit(0)


def forks(folder):
    if not os.fork():
        time.sleep(600)


def dies_with_children(folder):
    children(folder)
    os._exit(0)


def segfaults(folder):
    ctypes.string_at(0)


def replaces_log(folder):
    (folder / LOG).unlink()
    os.mkfifo(folder / LOG)
    raise ValueError("a FIFO")


def removes_folder(folder):
    shutil.rmtree(folder)
    os._exit(0)


def folder_for(*names):
    """Leave folders, with a file in each, where the runner will write or remove a file."""

    def leave(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)
            (folder / name).mkdir()
            (folder / name / "a file").touch()

    return leave


def file_for_folder(folder):
    shutil.rmtree(folder)
    folder.touch()
    os._exit(0)


def ignores_signals(folder):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


ODD_PROGRESS = (
    '{"phase": 7, "fraction": "most", "val_mean_iou": [1], "steps": null}',
    '{"phase": "train", "fraction": Infinity, "val_mean_iou": NaN, "loss": 1e99}',
    "[" * 100_000,
    '{"phase": "' + "x" * 70_000_000 + '"}',
)
KINDS = {
    "nothing": lambda folder: None,
    "no status": outcome(metrics={"mean_iou": 0.5}),
    "another's key": outcome(
        **OK, key="other", config={}, repeat=7, configuration="x", started="never", schema_version=9
    ),
    "an outcome of 70 MB": raw_outcome('{"status": "ok", "reason": "' + "x" * 70_000_000 + '"}'),
    "odd progress": odd_progress,
    "prints 100 MB": many_lines,
    "prints a line of 50 MB": long_line,
    "closes its output": closes_output,
    "fails without output": fails_without_output,
    "leaves children": children,
    "dies and leaves children": dies_with_children,
    "forks": forks,
    "os._exit": lambda folder: os._exit(0),
    "sys.exit": lambda folder: sys.exit(3),
    "segfaults": segfaults,
    "a FIFO for a log": replaces_log,
    "removes its folder": removes_folder,
    "a file for its folder": file_for_folder,
    "a folder for its record": folder_for(RECORD),
    "a folder for its outcome": folder_for(OUTCOME),
    "folders for files of its work": folder_for(REQUEST, CODE, PROGRESS, IF_KILLED, f".1{MARK}{HISTORY}"),
    "ignores signals": ignores_signals,
}


class Session:
    """A session that misbehaves, then ends well if it still can."""

    def __init__(self, config, folder, ledger):
        self.config, self.folder, self.found = config, folder, {}

    def run(self, fingerprint):
        (self.folder / WEIGHTS).write_bytes(b"weights")
        list(KINDS.values())[self.config.seed](self.folder)
        return {"metrics": OK["metrics"], "weights": {"file": WEIGHTS}, "dataset": {"name": "shapes"}}


if __name__ == "__main__":
    process._session = lambda config: Session
    process.main()
