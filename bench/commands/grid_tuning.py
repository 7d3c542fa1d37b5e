"""The tuning of a grid's configurations: what is said of it, and its trials in a dry run."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.commands.shared import output, say, warn
from bench.core.option_kinds import text_of
from bench.core.trial_config import TrialConfig

if TYPE_CHECKING:
    from bench.core.specs import TrialRecord
    from bench.results.loading import StoredTrial
    from bench.trials.forecasts.evaluation_cost import Sizes
    from bench.trials.tuning.search import Search


def tuned(
    configs: Sequence[TrialConfig],
    train: "Callable[[Sequence[TrialConfig], Sequence[str]], list[TrialRecord | None]]",
) -> list[TrialConfig]:
    """Tune those configurations that are to be, and return the trials that follow; say what was chosen.

    A configuration whose search could not go on is left out, and a line says why.

    Args:
        train: runs trials, and names them by the values of the fields that are searched.
    """
    from bench.trials.tuning.search import after_tuning, problems, searches, tune

    found = searches(configs)
    if not found:
        return list(configs)
    console = output()
    for line in _plans(found):
        say(console, line)
    searched = sorted({field for search in found for field in search.space.dimensions})
    tune(found, lambda some: train(some, searched))
    for search in found:
        if not search.problem:
            say(console, _choice(search))
    for line in problems(found):
        warn(line)
    return after_tuning(configs, found)


def with_tuning(
    configs: Sequence[TrialConfig], trials: "Sequence[StoredTrial]", sizes: "Sizes", devices: Sequence[str]
) -> tuple[list[TrialConfig], list[str]]:
    """Return the trials of a dry run, the tuning trials first, and the lines that say how many they are.

    What earlier trials have found is followed as far as it goes.
    """
    from bench.trials.estimate import is_of
    from bench.trials.forecasts.evaluation_cost import size_of
    from bench.trials.tuning.search import after_tuning, searches, tune

    found = searches(configs)
    here = [trial.record for trial in trials if trial.record.device in devices]

    def recorded(wanted: Sequence[TrialConfig]) -> "list[TrialRecord | None]":
        known = [(config, size_of(config, sizes, here)) for config in wanted]
        return [next((r for r in here if is_of(config, r, size)), None) for config, size in known]

    tune(found, recorded)
    ended = after_tuning(configs, found)
    following = ended if len(ended) == len(configs) else list(configs)
    return [*(config for search in found for config in search.planned()), *following], _plans(found)


def with_tuning_alike(configs: Sequence[TrialConfig]) -> list[TrialConfig]:
    """Return the configurations behind their tuning trials, of which only what they have in common is known."""
    from bench.trials.tuning.search import searches

    return [*(search.basis for search in searches(configs) for _ in range(search.total)), *configs]


def _plans(found: "Sequence[Search]") -> list[str]:
    """Write how much is trained for the choice, a line for each number of trials and budget."""
    counts: dict[str, int] = {}
    for search in found:
        config, (trial, *_) = search.configs[0], search.planned()
        share = f"{100 * config.tune_budget:g} % of the budget ({trial.budget} of {config.budget})"
        what = f"{search.space.text}, in {search.total} trials with {share}, scored on the validation split"
        what += ", ended early below the median" if config.tune_prune else ""
        counts[what] = counts.get(what, 0) + 1
    return [f"Tuning of {count} configuration{'s' * (count != 1)}: {what}." for what, count in counts.items()]


def _choice(search: "Search") -> str:
    from bench.trials.estimate import duration

    best = search.best
    return (
        f"{best.config.pair} on {best.config.dataset}: chosen of {search.total} trials in {duration(search.seconds)}: "
        f"{search.values_text(best.config)} (validation mean IoU {text_of(round(best.score, 4))})."
    )
