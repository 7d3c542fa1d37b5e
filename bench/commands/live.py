"""The output of `bench run` while it works: one live view on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.trials.estimate import duration
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.saved.stored_trials import why_no_weights


@contextmanager
def view(console: Console) -> Iterator[Observer]:
    """Yield the observer that suits the console; its view is live as long as the context."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    live_view = LiveView(console)
    with Live(get_renderable=live_view.render, console=console, refresh_per_second=4, transient=True):
        yield live_view


def name_of(config: TrialConfig) -> str:
    """Write `unet:resnet50 on pets, seed 0`; speed-only `unet, speed of batch 16 at 128x128, jax float32, seed 0`."""
    repeat = f", repeat {config.repeat}" if config.repeat else ""
    what = f" on {config.dataset}"
    if config.measure == "speed":
        size = "x".join(map(str, config.image_size))
        what = f", speed of batch {config.batch_size} at {size}, {config.backend} {config.precision}"
    return f"{config.pair}{what}, seed {config.seed}{repeat}"


def ending(record: TrialRecord) -> str:
    """Write `ok: mean IoU 0.742, 310 images/s, 71 s`, or the status and its reason."""
    if record.status != "ok":
        return f"{record.status}: {record.reason}"
    parts = [f"ok: mean IoU {_number(record.metrics['mean_iou'], '.3f')}"] if "mean_iou" in record.metrics else ["ok"]
    if speed := record.speed.get("train_images_per_second"):
        parts.append(f"{speed:.0f} images/s")
    if problem := record.memory.get("search_problem"):
        parts.append(f"the largest batch was not found ({problem})")
    return ", ".join([*parts, duration(record.wall_seconds or 0.0)])


def without_weights(trial: PlannedTrial) -> str:
    """Say why a finished trial has no weights to keep, and what to do."""
    why = why_no_weights(trial.record) if trial.record else "it ended just now."
    return f"done, but without saved weights: {why}"


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "-"


def _budget(config: TrialConfig) -> str:
    return "" if config.measure == "speed" else f", budget {config.budget}"


class PlainLines(Observer):
    """An observer that prints a line when a trial starts, at validations and when it ends; each is flushed at once."""

    def __init__(self, console: Console):
        self._console = console
        self._left = self._total = 0
        self._shown: dict[str, int] = {}  # identity -> tenth of the budget whose validation was printed last
        self._prepared: str | None = None

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def preparing(self, dataset: str, done: int, total: int) -> None:
        if self._prepared != dataset:
            self._prepared = dataset
            self._say(f"preparing {dataset}: {total} images")

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        done = sum(trial.done for trial in trials)
        self._total = len(trials)
        self._say(f"planned trials: {len(trials)}; {done} done, {len(trials) - done} to run")

    def started(self, trial: PlannedTrial) -> None:
        self._say(f"{name_of(trial.config)}: started{_budget(trial.config)}")

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        score, tenth = progress.get("val_mean_iou"), int(progress.get("fraction", 0.0) * 10 + 1e-6)
        if score is None or progress.get("phase") == "validate" or self._shown.get(trial.identity) == tenth:
            return
        self._shown[trial.identity] = tenth
        self._say(
            f"{name_of(trial.config)}: {progress.get('fraction', 0.0):.0%} of the budget, "
            f"loss {_number(progress.get('loss'), '.3f')}, validation mean IoU {_number(score, '.3f')}, "
            f"{_number(progress.get('images_per_second'), '.0f')} images/s"
        )

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        self._say(f"{name_of(trial.config)}: {ending(record)}")

    def without_weights(self, trial: PlannedTrial) -> None:
        self._say(f"{name_of(trial.config)}: {without_weights(trial)}")

    def elsewhere(self, trial: PlannedTrial) -> None:
        self._say(f"{name_of(trial.config)}: skipped, because another runner is working on it")


@dataclass
class _Running:
    """A running trial and its last progress message."""

    trial: PlannedTrial
    since: float  # time.monotonic() at its start
    progress: dict[str, Any] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        return float(self.progress.get("fraction") or 0.0)

    @property
    def seconds_left(self) -> float | None:
        """The seconds of training left; None until they are known."""
        budget = self.trial.config.budget
        if self.trial.config.measure == "speed":
            return None
        if budget.unit == "seconds":
            return budget.amount * (1 - self.fraction)
        trained = self.progress.get("train_seconds")
        return trained * (1 - self.fraction) / self.fraction if trained and self.fraction else None


class LiveView(Observer):
    """An observer with counts, bars and estimates, drawn four times a second; each trial that ends leaves a line."""

    def __init__(self, console: Console):
        self._console = console
        self._trials: dict[str, PlannedTrial] = {}  # still to run
        self._running: dict[str, _Running] = {}
        self._total = self._done = self._failed = 0
        self._wall_seconds: list[float] = []  # of each trial that ended in this run
        self._preparing: tuple[str, int, int] | None = None

    def preparing(self, dataset: str, done: int, total: int) -> None:
        self._preparing = (dataset, done, total)

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        self._preparing = None
        self._total = len(trials)
        self._done = sum(trial.done for trial in trials)
        self._trials = {trial.identity: trial for trial in trials if not trial.done}

    def started(self, trial: PlannedTrial) -> None:
        self._trials.pop(trial.identity, None)
        self._running[trial.identity] = _Running(trial, time.monotonic())

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        self._running[trial.identity].progress = progress

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        self._running.pop(trial.identity, None)
        self._wall_seconds.append(record.wall_seconds or 0.0)
        good = record.status == "ok"
        self._done += good
        self._failed += record.status not in ("ok", "interrupted")
        color = "green" if good else "red"
        self._console.print(f"[{color}]{name_of(trial.config)}[/{color}]: {escape(ending(record))}", highlight=False)

    def without_weights(self, trial: PlannedTrial) -> None:
        self._console.print(f"{name_of(trial.config)}: {escape(without_weights(trial))}", highlight=False)

    def elsewhere(self, trial: PlannedTrial) -> None:
        self._trials.pop(trial.identity, None)
        self._total -= 1
        self._console.print(
            f"{name_of(trial.config)}: skipped, because another runner is working on it", highlight=False
        )

    def render(self) -> RenderableType:
        """Draw the view as it is now."""
        if self._preparing:
            dataset, done, total = self._preparing
            return _bar(f"preparing {dataset}", done, total, f"{done}/{total} images")
        if not self._total:
            return Text("checking the data")
        lines = [self._overall(), *(_running_lines(running) for running in list(self._running.values()))]
        return Group(*lines)

    def _overall(self) -> RenderableType:
        running = list(self._running.values())
        finished = self._done + self._failed + sum(r.fraction for r in running)
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"{self._done} done, {len(running)} running{failed}, {len(self._trials)} left"
        left = self._seconds_left()
        return _bar("trials", finished, self._total, text + (f", about {duration(left)}" if left else ""))

    def _seconds_left(self) -> float | None:
        """Estimate the seconds left of the run: a trial takes the mean time of those that ended, or else its budget.

        None if that isn't known of every trial.
        """
        expected = [self._expected(trial) for trial in list(self._trials.values())]
        for running in list(self._running.values()):
            whole, training = self._expected(running.trial), running.seconds_left
            spent = time.monotonic() - running.since
            expected.append(training if whole is None else max(whole - spent, training or 0.0))
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) if len(known) == len(expected) else None

    def _expected(self, trial: PlannedTrial) -> float | None:
        if self._wall_seconds:
            return sum(self._wall_seconds) / len(self._wall_seconds)
        budget = trial.config.budget
        return budget.amount if budget.unit == "seconds" and trial.config.measure == "all" else None


def _bar(name: str, done: float, total: float, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(name), ProgressBar(total=max(total, 1), completed=done, width=30), Text(text))
    return grid


def _running_lines(running: _Running) -> RenderableType:
    progress = running.progress
    facts = [str(progress.get("phase", "starting"))]
    facts += [
        f"{label} {progress[name]:{form}}"
        for name, label, form in (
            ("loss", "loss", ".3f"),
            ("val_mean_iou", "validation mean IoU", ".3f"),
            ("images_per_second", "images/s", ".0f"),
        )
        if isinstance(progress.get(name), int | float)
    ]
    left = running.seconds_left
    if progress.get("phase") == "train" and left is not None:
        facts.append(f"{duration(left)} of training left")
    line = Text("  " + ", ".join(facts), style="dim")
    config = running.trial.config
    if config.measure == "speed":
        return Group(Text(name_of(config)), line)
    return Group(_bar(name_of(config), running.fraction, 1, f"{running.fraction:.0%} of {config.budget}"), line)
