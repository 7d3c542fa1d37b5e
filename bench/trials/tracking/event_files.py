"""TensorBoard's event files, one folder a trial, written by tensorboardX, which needs no TensorFlow."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.trials.tracking.tracked_run import Ending, TrackedRun

_SHOWN = ("val/mean_iou", "test/mean_iou")  # beside the configuration, in the table of hyperparameters


def place(folder: Path) -> str:
    return f"tensorboard --logdir {shlex.quote(str(folder))}"


def open_tracker(folder: Path) -> "EventFiles":
    return EventFiles(folder)


class EventFiles:
    """A tracker that writes event files to a folder; each value is on the disk at once."""

    def __init__(self, folder: Path):
        import tensorboardX

        self._folder = folder
        self._library: Any = tensorboardX
        self._writers: dict[str, Any] = {}
        self._endings: dict[str, Any] = {}

    def begin(self, run: TrackedRun) -> None:
        folder = self._folder / run.identity
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        writer = self._library.SummaryWriter(str(folder))
        parameters = run.parameters()
        table, start, self._endings[run.identity] = self._library.summary.hparams(parameters, dict.fromkeys(_SHOWN, 0))
        writer.file_writer.add_summary(table)
        writer.file_writer.add_summary(start)
        writer.add_text("configuration", _as_code(json.dumps({"name": run.name, **parameters}, indent=2)))
        writer.flush()
        self._writers[run.identity] = writer

    def log(self, run: TrackedRun, step: int, values: Mapping[str, float]) -> None:
        writer = self._writers[run.identity]
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def end(self, run: TrackedRun, ending: Ending) -> None:
        self.log(run, int(ending.values.get("training/steps", 0)), ending.values)
        writer = self._writers.pop(run.identity)
        writer.add_text("status", _as_code(f"{ending.status}: {ending.reason}" if ending.reason else ending.status))
        end = self._endings.pop(run.identity)
        if ending.ok:  # a session without an end counts as one that runs or was stopped
            writer.file_writer.add_summary(end)
        writer.close()


def _as_code(text: str) -> str:
    """Return a text as a block of code in Markdown."""
    return "\n".join(f"    {line}" for line in text.splitlines())
