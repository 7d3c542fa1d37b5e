"""The output of `bench run` while it works: progress bars on a terminal, plain lines elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from bench.commands.shared import bars, number, warn
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.trials.estimate import duration, stale_note
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.saved.stored_trials import why_no_weights

FACTS = {"loss": "loss {:.3f}", "val_mean_iou": "validation mean IoU {:.3f}", "images_per_second": "{:.0f} images/s"}


@contextmanager
def view(console: Console, at_once: int = 1) -> Iterator[Observer]:
    """Yield the observer that suits the console; its bars are drawn four times a second inside the context.

    Args:
        at_once: the number of trials that run at the same time.
    """
    if not console.is_terminal:
        yield PlainLines(console)
        return
    live_view = LiveView(console, at_once)
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
    metrics, speed = record.metrics, record.speed.get("train_images_per_second")
    parts = [f"ok: mean IoU {number(metrics['mean_iou'], '.3f') or '-'}"] if "mean_iou" in metrics else ["ok"]
    if speed:
        parts.append(f"{speed:.0f} images/s")
    if problem := record.memory.get("search_problem"):
        parts.append(f"the largest batch was not found ({problem})")
    return ", ".join([*parts, duration(record.wall_seconds or 0.0)])


def _facts(progress: dict[str, Any]) -> list[str]:
    return [form.format(progress[key]) for key, form in FACTS.items() if isinstance(progress.get(key), int | float)]


class PlainLines(Observer):
    """An observer that prints a line when a trial starts, at validations and when it ends; each is flushed at once."""

    def __init__(self, console: Console):
        self._console = console
        self._prepared: str | None = None
        self._warned: set[str] = set()
        self._shown: dict[str, int] = {}  # identity -> tenth of the budget whose validation was printed last

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=not self._console.is_terminal)  # one line in a file

    def preparing(self, dataset: str, done: int, total: int) -> None:
        if self._prepared != dataset:
            self._prepared = dataset
            self._say(f"preparing {dataset}: {total} images")

    def doubting(self, dataset: str, warnings: Sequence[str]) -> None:
        for line in (f"warning: {dataset}: {warning}" for warning in warnings):
            if line not in self._warned:  # the same at every image size
                self._warned.add(line)
                warn(line)

    def planned(self, trials: Sequence[PlannedTrial]) -> None:
        done = sum(trial.done for trial in trials)
        note = stale_note(sum(trial.stale for trial in trials))
        self._say(f"planned trials: {len(trials)}; {done} done{note}, {len(trials) - done} to run")

    def started(self, trial: PlannedTrial) -> None:
        budget = "" if trial.config.measure == "speed" else f", budget {trial.config.budget}"
        self._say(f"{name_of(trial.config)}: started{budget}")

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        fraction = progress.get("fraction", 0.0)
        score, tenth = progress.get("val_mean_iou"), int(fraction * 10 + 1e-6)
        if score is None or progress.get("phase") == "validate" or self._shown.get(trial.identity) == tenth:
            return
        self._shown[trial.identity] = tenth
        self._say(f"{name_of(trial.config)}: ", ", ".join([f"{fraction:.0%} of the budget", *_facts(progress)]))

    def noted(self, trial: PlannedTrial, line: str) -> None:
        self._say(f"{name_of(trial.config)}: {line}")

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        self._say((name_of(trial.config), "green" if record.status == "ok" else "red"), f": {ending(record)}")

    def lost(self, trial: PlannedTrial, reason: str) -> None:
        self._say(f"{name_of(trial.config)}: runs again, because {reason}")

    def warned(self, line: str) -> None:
        warn(line)

    def without_weights(self, trial: PlannedTrial) -> None:
        why = why_no_weights(trial.record) if trial.record else "it ended just now."
        self._say(f"{name_of(trial.config)}: done, but without saved weights: {why}")

    def elsewhere(self, trial: PlannedTrial) -> None:
        self._say(f"{name_of(trial.config)}: skipped, because another runner is working on it")

    def waiting(self, trial: PlannedTrial, seconds: float) -> None:
        what = (
            f"waiting up to {seconds:g} s for it" if seconds else "recorded now; the next trial to end removes weights"
        )
        self._say(f"{name_of(trial.config)}: ended, but another run is still finishing a trial: {what}")


class LiveView(PlainLines):
    """An observer that draws a bar of all trials and one of each running trial; each trial that ends leaves a line."""

    def __init__(self, console: Console, at_once: int = 1):
        super().__init__(console)
        self._at_once = at_once
        self._bars = bars(console, TextColumn("{task.fields[text]}", markup=False, table_column=Column()))
        self._all = self._bars.add_task("checking the data", total=None, text="")
        self._running: dict[str, TaskID] = {}
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
        task = self._bars.add_task(name_of(config), total=total, config=config, **_fields(config, {}))
        self._running[trial.identity] = task

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        self._bars.update(self._running[trial.identity], **_fields(trial.config, progress))

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
            lines += [self._bars.make_tasks_table([task]), Text(f"  {task.fields['facts']}", style="dim")]
        return Group(*lines)

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
    facts = [progress.get("phase", "starting"), *_facts(progress)]
    if facts[0] == "train" and left is not None:
        facts.append(f"{duration(left)} of training left")
    return {"completed": fraction, "text": text, "facts": ", ".join(facts), "left": left}


def _training_left(config: TrialConfig, progress: dict[str, Any]) -> float | None:
    """Estimate the seconds of training that are left; return None until they are known."""
    fraction, trained = progress.get("fraction") or 0.0, progress.get("train_seconds")
    if config.measure == "speed":
        return None
    if config.budget.unit == "seconds":
        return config.budget.amount * (1 - fraction)
    return trained * (1 - fraction) / fraction if trained and fraction else None
