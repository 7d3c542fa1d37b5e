"""Tune configurations: draw values, train them for a share of the budget, and choose by the validation score.

A search keeps no state of its own. The outcomes in the records are told to a fresh sampler, which therefore asks for
the same trials again: those that are done are not run again, so the same command goes on where it was interrupted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.config import catalog
from bench.config.searching.search_space import Space, Values, name_of, searched_values
from bench.core.errors import BenchError
from bench.core.option_kinds import text_of
from bench.core.options import TUNING
from bench.core.specs import FINAL_STATUSES, Budget, TrialRecord
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.results.quantities import MEAN_IOU
from bench.trials.tuning import pruning
from bench.trials.tuning.sampler import STARTUP, Sampler, require_optuna

Train = Callable[[Sequence[TrialConfig]], Sequence[TrialRecord | None]]
"""Trains what is not done; returns a record for each configuration, None where another runner works on it."""
WORST = 0.0  # the score of a trial that diverged or ran out of memory


@dataclass(frozen=True)
class Outcome:
    """An ended tuning trial."""

    values: Values  # of the options that are searched
    config: TrialConfig
    record: TrialRecord

    @property
    def score(self) -> float:
        """The validation score; the test split has no say, and the record has none of its scores."""
        return float(self.record.validation[MEAN_IOU.name]) if self.record.status == "ok" else WORST

    @property
    def whole(self) -> bool:
        """Tell whether it trained with all of its share of the budget."""
        return not self.record.training.get("pruned")

    @property
    def curve(self) -> list[float]:
        """The score of each validation."""
        return list(self.record.training.get("curve", []))


class Search:
    """The search for the options of one configuration.

    Args:
        configs: its trials, which differ in seed and repeat.
    """

    def __init__(self, configs: Sequence[TrialConfig]):
        first = configs[0]
        self.configs, self.total = list(configs), first.tune or 0
        self.space = Space.parse(first.search)
        self.basis = basis_of(first)
        self._sampler = Sampler(self.space, first.tune_sampler, first.tune_seed)
        self._drawn: list[Values] = []
        self._trials: list[TrialConfig] = []  # those that were asked for
        self._prunes = first.tune_prune
        self.outcomes: list[Outcome] = []
        self.problem = ""  # why it can't go on

    @property
    def is_open(self) -> bool:
        """Tell whether there are trials left to run."""
        return not self.problem and len(self.outcomes) < self.total

    def ask(self) -> list[TrialConfig]:
        """Return the next trials, which need no outcome of each other: the first ones, or one."""
        left, ended = self.total - len(self.outcomes), len(self.outcomes)
        count = left if self._sampler.at_random else min(left, max(1, STARTUP - ended))
        if self._prunes:
            count = min(count, max(1, pruning.AFTER - ended))
        return [self._trial() for _ in range(count)]

    def _trial(self) -> TrialConfig:
        self._drawn.append(self._sampler.ask())
        curves = [outcome.curve for outcome in self.outcomes if outcome.whole and outcome.curve]
        basis = replace(self.basis, prune_below=pruning.thresholds(curves)) if self._prunes else self.basis
        self._trials.append(catalog.resolve_config(self.space.apply(basis, self._drawn[-1])))
        return self._trials[-1]

    def planned(self) -> list[TrialConfig]:
        """Return all trials; of those that wait for an outcome only what they have in common is known."""
        unknown = replace(self.basis, tune=self.total, search=self.space.text)
        return [*self._trials, *[unknown] * (self.total - len(self._trials))]

    def tell(self, configs: Sequence[TrialConfig], records: Sequence[TrialRecord | None]) -> None:
        """Take the records of the trials that `ask` returned; one that has to run again ends the search for now."""
        for config, record in zip(configs, records, strict=True):
            if record is None or record.status not in FINAL_STATUSES:
                self.problem = self._why_not(config, record)
                return
            self.outcomes.append(Outcome(self._drawn[len(self.outcomes)], config, record))
            self._sampler.tell(self.outcomes[-1].score)
        if not self.is_open and not any(outcome.record.status == "ok" for outcome in self.outcomes):
            self.problem = (
                f"none of the {self.total} tuning trials is ok ({self.outcomes[-1].record.reason.rstrip('.')})"
            )

    def _why_not(self, config: TrialConfig, record: TrialRecord | None) -> str:
        trial = f"tuning trial {len(self.outcomes) + 1} of {self.total} ({self.values_text(config)})"
        if record is None:
            return f"another run is working on {trial}; the same command goes on once it has ended"
        return f"{trial} is {record.status} ({record.reason.rstrip('.')}), and the same command runs it again"

    @property
    def best(self) -> Outcome:
        """The outcome with the highest score, of equal ones the first; none that was ended early."""
        return max(self.outcomes, key=lambda outcome: (outcome.whole, outcome.score))

    @property
    def seconds(self) -> float:
        """The wall time of all trials; one that was drawn twice has run once."""
        return sum({outcome.record.key: outcome.record.wall_seconds or 0.0 for outcome in self.outcomes}.values())

    def chosen(self) -> list[TrialConfig]:
        """Return the trials with the options that were chosen."""
        values, cost = self.best.values, round(self.seconds, 1)
        tuned = (replace(self.space.apply(config, values), tuning_seconds=cost) for config in self.configs)
        return [catalog.resolve_config(config) for config in tuned]

    def values_text(self, config: TrialConfig) -> str:
        """Write the values that a trial has of the searched options: `augment light, lr 0.00123`."""
        return searched_values(config, self.space.dimensions)


def basis_of(config: TrialConfig) -> TrialConfig:
    """Return what the tuning trials of a configuration have in common: a share of the budget, and no test."""
    own = [field for field, option in OPTIONS.items() if option.panel == TUNING]
    own += ["tuning_seconds", "target", "max_seeds", "repeat", "keep_predictions", "trace", "measure_alone"]
    without = {field: getattr(DEFAULTS, field) for field in own}
    budget = share_of(config.budget, config.tune_budget)
    return replace(config, **without, measure="validation", budget=budget, seed=config.tune_seed, keep_weights="none")


def share_of(budget: Budget, share: float) -> Budget:
    """Return a share of a budget; steps and images are whole, and at least one."""
    amount = float(f"{budget.amount * share:.12g}")  # 0.07 of 90 is 6.3
    return replace(budget, amount=max(1.0, float(round(amount))) if budget.unit in ("steps", "images") else amount)


def searches(configs: Sequence[TrialConfig]) -> list[Search]:
    """Make a search for each configuration that is to be tuned.

    Raises:
        BenchError: Optuna is missing, or no model can be trained with some values of the space.
    """
    tuned: dict[str, list[TrialConfig]] = {}
    for config in configs:
        if config.tune is not None:
            tuned.setdefault(config.common, []).append(config)
    if tuned:
        require_optuna()
    for first, *_ in tuned.values():
        _check_values(first)
    return [Search(some) for some in tuned.values()]


def _check_values(config: TrialConfig) -> None:
    space, common = Space.parse(config.search), basis_of(config)
    for values in space.extremes():
        try:
            catalog.resolve_config(space.apply(common, values))
        except BenchError as error:
            told = ", ".join(f"{name_of(field)} {text_of(value)}" for field, value in values.items())
            raise BenchError(f"--search: {config.pair} can't be trained with {told}: {error}") from error


def tune(found: Sequence[Search], train: Train) -> None:
    """Run the searches side by side, round after round, until each has ended or can't go on."""
    while some := [search for search in found if search.is_open]:
        asked = [(search, search.ask()) for search in some]
        records = iter(train([config for _, configs in asked for config in configs]))
        for search, configs in asked:
            search.tell(configs, [next(records) for _ in configs])


def after_tuning(configs: Sequence[TrialConfig], found: Sequence[Search]) -> list[TrialConfig]:
    """Return the configurations in their order, the tuned ones with what was chosen, without those that weren't."""
    ended = [search for search in found if not search.problem and not search.is_open]
    chosen = {id(old): new for one in ended for old, new in zip(one.configs, one.chosen(), strict=True)}
    return [chosen.get(id(config), config) for config in configs if config.tune is None or id(config) in chosen]


def problems(found: Sequence[Search]) -> list[str]:
    """Write a line for each search that could not go on."""
    return [
        f"{search.configs[0].pair} on {search.configs[0].dataset} is not tuned, and not trained: {search.problem}."
        for search in found
        if search.problem
    ]
