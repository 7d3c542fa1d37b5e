"""Decide on which type of device a trial runs where there are several: all seeds of a configuration on the same."""

from collections.abc import Iterable
from dataclasses import replace

from bench.profiling.environment import several
from bench.trials.identity import trial_identity
from bench.trials.plan import PlannedTrial


class Placement:
    """The types of device of a run's configurations: that of their earlier seeds, or the first to be free.

    Args:
        trials: all of the run.
    """

    def __init__(self, trials: Iterable[PlannedTrial]):
        self._devices = {trial.configuration: trial.device for trial in trials if trial.placed}

    def fits(self, trial: PlannedTrial, device: str) -> bool:
        """Tell whether a trial may run on a type of device; one that is done runs on none."""
        device = several(device, trial.config.devices_per_trial)
        wanted = trial.device if trial.placed else self._devices.get(trial.configuration, device)
        return trial.done or device == wanted

    def place(self, trial: PlannedTrial, device: str) -> PlannedTrial:
        """Return the trial on the device on which it runs now."""
        if trial.placed:
            return trial
        device = several(device, trial.config.devices_per_trial)
        self._devices.setdefault(trial.configuration, device)
        identity = trial_identity(trial.config, trial.key, device)
        return trial if device == trial.device else replace(trial, device=device, identity=identity)
