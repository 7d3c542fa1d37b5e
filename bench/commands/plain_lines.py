"""The output of `bench run` in a file or a pipe: a line for each trial that starts, is validated, or ends."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.commands.shared import number, warn
from bench.config.searching.search_space import searched_values
from bench.core.specs import TrialRecord
from bench.core.trial_config import TrialConfig
from bench.trials.estimate import duration, stale_note
from bench.trials.plan import PlannedTrial
from bench.trials.progress import Observer
from bench.trials.saved.stored_trials import why_no_weights

FACTS = {"loss": "loss {:.3f}", "val_mean_iou": "validation mean IoU {:.3f}", "images_per_second": "{:.0f} images/s"}


def name_of(config: TrialConfig, searched: Sequence[str] = ()) -> str:
    """Write `unet:resnet50 on pets, seed 0`; speed-only `unet, speed of batch 16 at 128x128, jax float32, seed 0`.

    Args:
        searched: the fields that are named of a tuning trial.
    """
    what = f" on {config.dataset}"
    if config.measure == "speed":
        size = "x".join(map(str, config.image_size))
        what = f", speed of batch {config.batch_size} at {size}, {config.backend} {config.precision}"
    if config.measure == "validation":
        return f"{config.pair}{what}, tuning: {searched_values(config, searched)}"
    return f"{config.pair}{what}, seed {config.repetition}"


def ending(record: TrialRecord) -> str:
    """Write `ok: mean IoU 0.742, 310 images/s, 71 s`, or the status and its reason."""
    if record.status != "ok":
        return f"{record.status}: {record.reason}"
    if record.config.get("measure") == "validation":
        ended = ", ended early" if record.training.get("pruned") else ""
        score = number(record.validation.get("mean_iou"), ".3f") or "-"
        return f"ok: validation mean IoU {score}{ended}, {duration(record.wall_seconds or 0.0)}"
    metrics, speed = record.metrics, record.speed.get("train_images_per_second")
    parts = [f"ok: mean IoU {number(metrics['mean_iou'], '.3f') or '-'}"] if "mean_iou" in metrics else ["ok"]
    if speed:
        parts.append(f"{speed:.0f} images/s")
    if problem := record.memory.get("search_problem"):
        parts.append(f"the largest batch was not found ({problem})")
    return ", ".join([*parts, duration(record.wall_seconds or 0.0)])


def facts(progress: dict[str, Any]) -> list[str]:
    return [form.format(progress[key]) for key, form in FACTS.items() if isinstance(progress.get(key), int | float)]


class PlainLines(Observer):
    """An observer that prints a line when a trial starts, at validations and when it ends; each is flushed at once.

    Args:
        searched: the fields whose values name the tuning trials.
    """

    def __init__(self, console: Console, searched: Sequence[str] = ()):
        self._console, self._searched = console, searched
        self._prepared: str | None = None
        self._warned: set[str] = set()
        self._shown: dict[str, int] = {}  # identity -> tenth of the budget whose validation was printed last

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts), soft_wrap=not self._console.is_terminal)  # one line in a file

    def _name(self, config: TrialConfig) -> str:
        return name_of(config, self._searched)

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
        self._say(f"{self._name(trial.config)}: started{budget}")

    def progressed(self, trial: PlannedTrial, progress: dict[str, Any]) -> None:
        fraction = progress.get("fraction", 0.0)
        score, tenth = progress.get("val_mean_iou"), int(fraction * 10 + 1e-6)
        if score is None or progress.get("phase") == "validate" or self._shown.get(trial.identity) == tenth:
            return
        self._shown[trial.identity] = tenth
        self._say(f"{self._name(trial.config)}: ", ", ".join([f"{fraction:.0%} of the budget", *facts(progress)]))

    def noted(self, trial: PlannedTrial, line: str) -> None:
        self._say(f"{self._name(trial.config)}: {line}")

    def ended(self, trial: PlannedTrial, record: TrialRecord) -> None:
        self._say((self._name(trial.config), "green" if record.status == "ok" else "red"), f": {ending(record)}")

    def lost(self, trial: PlannedTrial, reason: str) -> None:
        self._say(f"{self._name(trial.config)}: runs again, because {reason}")

    def warned(self, line: str) -> None:
        warn(line)

    def without_weights(self, trial: PlannedTrial) -> None:
        why = why_no_weights(trial.record) if trial.record else "it ended just now."
        self._say(f"{self._name(trial.config)}: done, but without saved weights: {why}")

    def elsewhere(self, trial: PlannedTrial) -> None:
        self._say(f"{self._name(trial.config)}: skipped, because another runner is working on it")

    def waiting(self, trial: PlannedTrial, seconds: float) -> None:
        what = (
            f"waiting up to {seconds:g} s for it" if seconds else "recorded now; the next trial to end removes weights"
        )
        self._say(f"{self._name(trial.config)}: ended, but another run is still finishing a trial: {what}")
