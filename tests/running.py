"""Run configurations as `bench.api.run` does, with the test's own executor or observer."""

from pathlib import Path

from bench.config import catalog
from bench.trials import runner
from bench.trials.saved.stored_trials import start_from


def run(configs, *, results, **options):
    """The records of `runner.run` for configurations that need not be resolved yet."""
    resolved = [start_from(catalog.resolve_config(config), Path(results)) for config in configs]
    return runner.run(resolved, results=results, **options)
