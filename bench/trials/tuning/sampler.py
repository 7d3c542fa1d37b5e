"""Draw the values of tuning trials, by Optuna. The same seed and the same outcomes give the same values."""

from typing import Any

from bench.config.searching.dimensions import Choice, Range
from bench.config.searching.search_space import Space
from bench.core.backends import installed
from bench.core.errors import BenchError

STARTUP = 10  # trials that are drawn at random before the estimator of `tpe` has enough outcomes
_DIGITS = 4  # of a drawn number, so that what a table shows is nearly what ran


def require_optuna() -> None:
    """Raise BenchError if Optuna isn't installed."""
    if not installed("optuna"):
        raise BenchError("--tune needs Optuna, which is not installed: pip install 'segbench[tune]'.")


class Sampler:
    """A fresh sampler. Ask for values and tell each trial's outcome in the order in which they were asked for.

    Args:
        kind: an option of --tune-sampler.
    """

    def __init__(self, space: Space, kind: str, seed: int):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        samplers = optuna.samplers
        drawing: Any = samplers.RandomSampler(seed=seed)
        if kind == "tpe":
            drawing = samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=drawing)
        self._space = space
        self.at_random = kind != "tpe"  # no outcome changes what is drawn
        self._asked: list[Any] = []
        self._told = 0

    def ask(self) -> dict[str, Any]:
        """Draw the values of the next trial, by field."""
        trial = self._study.ask()
        self._asked.append(trial)
        return {field: _drawn(trial, field, dimension) for field, dimension in self._space.dimensions.items()}

    def tell(self, score: float) -> None:
        """Take the score of the first trial that has none yet."""
        self._study.tell(self._asked[self._told], score)
        self._told += 1


def _drawn(trial: Any, field: str, dimension: Range | Choice) -> Any:
    if isinstance(dimension, Choice):
        return dimension.values[trial.suggest_categorical(field, range(len(dimension.values)))]
    if dimension.whole:
        return trial.suggest_int(field, dimension.low, dimension.high, log=dimension.log)
    value = trial.suggest_float(field, dimension.low, dimension.high, log=dimension.log)
    return min(max(float(f"{value:.{_DIGITS}g}"), dimension.low), dimension.high)
