"""The output of `bench run` while it works: progress bars on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from bench.commands.plain_lines import PlainLines, facts
from bench.commands.shared import bars
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.trials.estimate import duration
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer

TRAIN = "train"
TOLD_AFTER = 5.0  # seconds in one phase after which the live view says for how long it has gone on


@contextmanager
def view(console: Console, at_once: int = 1, searched: Sequence[str] = ()) -> Iterator[Observer]:
    """Yield the observer that suits the console; its bars are drawn four times a second inside the context.

    Args:
        at_once: the number of trials that run at the same time.
        searched: the fields whose values name the tuning trials.
    """
    if not console.is_terminal:
        yield PlainLines(console, searched)
        return
    live_view = LiveView(console, at_once, searched)
    with Live(get_renderable=live_view.render, console=console, refresh_per_second=4, transient=True):
        yield live_view


class LiveView(PlainLines):
    """An observer that draws a bar of all trials and one of each running trial; each trial that ends leaves a line."""

    def __init__(self, console: Console, at_once: int = 1, searched: Sequence[str] = ()):
        super().__init__(console, searched)
        self._at_once = at_once
        self._bars = bars(console, TextColumn("{task.fields[text]}", markup=False, table_column=Column()))
        self._all = self._bars.add_task("checking the data", total=None, text="")
        self._running: dict[str, TaskID] = {}
        self._phases: dict[TaskID, str] = {}
        self._waiting: dict[tuple[str, int, str], PlannedTrial] = {}
        self._planned = False
        self._done = self._failed = 0
        self._wall_seconds: list[float] = []  # of each trial that ended in this run

    def preparing(self, dataset: str, done: int, total: int) -> None:
        text = f"{done}/{total} images"
        self._bars.update(self._all, description=f"preparing {dataset}", completed=done, total=total, text=text)

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        if any(trial.stale for trial in trials):  # what the bars don't show
            super().planned(trials)
        self._done = sum(trial.done for trial in trials)
        self._waiting = {trial.task: trial for trial in trials if not trial.done}
        self._planned = True

    def started(self, trial: PlannedTrial) -> None:
        self._waiting.pop(trial.task, None)
        config = trial.config
        total = None if config.measure == "speed" else 1.0  # a bar without a total only pulses
        fields = {"config": config, "since": self._bars.get_time(), **_fields(config, {})}
        task = self._bars.add_task(self._name(config), total=total, **fields)
        self._running[trial.identity], self._phases[task] = task, fields["phase"]

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        task = self._running[trial.identity]
        fields = _fields(trial.config, progress)
        if fields["phase"] != self._phases[task]:
            fields["since"], self._phases[task] = self._bars.get_time(), fields["phase"]
        self._bars.update(task, **fields)

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        if trial.identity in self._running:  # it isn't when Ctrl-C came first
            self._bars.remove_task(self._running.pop(trial.identity))
        self._wall_seconds.append(record.wall_seconds or 0.0)
        self._done += record.status == "ok"
        self._failed += record.status not in ("ok", "interrupted")
        super().ended(trial, record)

    def lost(self, trial: PlannedTrial, reason: str) -> None:
        self._bars.remove_task(self._running.pop(trial.identity))
        self._waiting[trial.task] = trial
        super().lost(trial, reason)

    def elsewhere(self, trial: PlannedTrial) -> None:
        self._waiting.pop(trial.task, None)
        super().elsewhere(trial)

    def render(self) -> RenderableType:
        """Return the bars as they are now, with a line of facts below that of each running trial."""
        overall, *running = self._bars.tasks
        if self._planned:
            self._count(running)
        lines: list[RenderableType] = [self._bars.make_tasks_table([overall])]
        for task in running:
            lines += [self._bars.make_tasks_table([task]), Text(f"  {self._line(task)}", style="dim")]
        return Group(*lines)

    def _line(self, task: Task) -> str:
        phase, known = task.fields["phase"], list(task.fields["facts"])
        seconds = self._bars.get_time() - task.fields["since"]
        if phase != TRAIN and seconds >= TOLD_AFTER:  # training says by itself how far it is
            phase += f" for {duration(seconds)}"
        return ", ".join([phase, *known])

    def _count(self, running: list[Task]) -> None:
        failed = f", {self._failed} failed" if self._failed else ""
        text = f"{self._done} done, {len(running)} running{failed}, {len(self._waiting)} left"
        if left := self._seconds_left(running):
            text += f", about {duration(left)}"
        ended = self._done + self._failed
        completed, total = ended + sum(task.completed for task in running), ended + len(running) + len(self._waiting)
        self._bars.update(self._all, description="trials", completed=completed, total=total, text=text)

    def _seconds_left(self, running: list[Task]) -> float | None:
        """Estimate the seconds left of the run: a trial takes the mean time of those that ended, or else its budget.

        None if that isn't known of every trial.
        """
        mean = sum(self._wall_seconds) / len(self._wall_seconds) if self._wall_seconds else None
        expected = [_expected(trial.config, mean) for trial in list(self._waiting.values())]
        for task in running:
            whole, training = _expected(task.fields["config"], mean), task.fields["left"]
            expected.append(training if whole is None else max(whole - (task.elapsed or 0.0), training or 0.0))
        known = [seconds for seconds in expected if seconds is not None]
        if len(known) < len(expected):
            return None
        return max(sum(known) / self._at_once, *known, 0.0)  # as well divided as possible, but no trial can be


def _expected(config: TrialConfig, mean: float | None) -> float | None:
    """Return the seconds that a trial takes: the mean of those that ended, or else its budget if it is a time."""
    if mean is not None:
        return mean
    return config.budget.amount if config.budget.unit == "seconds" and config.measure == "all" else None


def _fields(config: TrialConfig, progress: dict[str, Any]) -> dict[str, Any]:
    """Return what the bar of a running trial and the line below it show, and the seconds of training left."""
    fraction, left = progress.get("fraction") or 0.0, _training_left(config, progress)
    text = "" if config.measure == "speed" else f"{fraction:.0%} of {config.budget}"
    phase, known = progress.get("phase", "starting"), facts(progress)
    if phase == TRAIN and left is not None:
        known.append(f"{duration(left)} of training left")
    return {"completed": fraction, "text": text, "phase": phase, "facts": known, "left": left}


def _training_left(config: TrialConfig, progress: dict[str, Any]) -> float | None:
    """Estimate the seconds of training that are left; return None until they are known."""
    fraction, trained = progress.get("fraction") or 0.0, progress.get("train_seconds")
    if config.measure == "speed":
        return None
    if config.budget.unit == "seconds":
        return config.budget.amount * (1 - fraction)
    return trained * (1 - fraction) / fraction if trained and fraction else None
