"""Probe the models of a grid: a short trial of each, which does everything that a trial does but trains 20 steps only.

What a trial does besides training costs the same whatever its budget, because validations are ten. So a probe tells it
whole: start, compilation, validations, test and measurements. Probes are trials in a results folder in the cache, so
that each is run once, and again under other versions of the backend or of Keras.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.files import cache_path
from bench.core.specs import Budget
from bench.core.trial_config import DEFAULTS, OPTIONS, TrialConfig
from bench.results.loading import StoredTrial, load
from bench.results.software import is_stale
from bench.results.trial_files import MARKER
from bench.trials import runner
from bench.trials.progress import Observer

STEPS = 20
FOLDER = "probes"
_ALIKE = tuple(name for name, option in OPTIONS.items() if not option.costs)
"""Fields that change neither the time of a step nor that of the rest; probes have their defaults."""
TELLING = tuple(name for name in OPTIONS if name not in (*_ALIKE, "budget", "keep_weights"))
"""The other fields: trials that agree in them take the same time besides training."""


def probe_of(config: TrialConfig) -> TrialConfig:
    """Return the short trial that stands for a configuration's time and memory, whatever its budget and seed."""
    plain = {name: getattr(DEFAULTS, name) for name in _ALIKE}
    return replace(config, **plain, budget=Budget(STEPS, "steps"), keep_weights="none")


def probes_of(configs: Iterable[TrialConfig]) -> list[TrialConfig]:
    """Return the different probes of a grid, in its order."""
    return list({repr(sorted(probe.to_dict().items())): probe for probe in map(probe_of, configs)}.values())


def folder() -> Path:
    """Return the results folder of the probes, whether or not it exists."""
    return cache_path(FOLDER)


def known() -> list[StoredTrial]:
    """Read the probes that were run before under the present versions."""
    if not (folder() / MARKER).is_file():
        return []
    return [trial for trial in load([folder()]).trials if not is_stale(trial.record)]


def run(configs: Sequence[TrialConfig], observer: Observer) -> None:
    """Run the probes of a grid that are not known yet; one that fails says so in its record, and is run again."""
    if configs:
        runner.run(probes_of(configs), results=folder(), observer=observer, rerun_stale=True)
