"""Run configurations as `bench.api.run` does, with the test's own executor or observer."""

import json
import time
from pathlib import Path

from bench.config import catalog
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.profiling.environment import expected_device
from bench.results.trial_files import LOG, OUTCOME
from bench.trials import runner
from bench.trials.saved.stored_trials import start_from
from bench.trials.scheduling.slots import Slot

CONFIG = TrialConfig("unet", "shapes", image_size=(32, 32), params={"filters": [4, 8]}, budget=Budget(10, "steps"))


class FakeTrial:
    """An executor whose trials end at once with an outcome, or never (`hang`)."""

    def __init__(self, folder, outcome):
        self.stopped, self.began = False, time.monotonic()
        self.hangs = outcome == "hang"
        (folder / LOG).write_text("first line\nlast line\n")
        if isinstance(outcome, dict):
            (folder / OUTCOME).write_text(json.dumps(outcome))

    def wait(self, seconds):
        return not self.hangs or self.stopped

    def stop(self):
        self.stopped = True

    def seconds(self):
        return time.monotonic() - self.began

    def reason(self):
        return "failed", "The process was killed by SIGKILL."


class FakeExecutor:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.started = []

    def start(self, folder, backend):
        self.started.append(FakeTrial(folder, self.outcomes.pop(0)))
        return self.started[-1]


OK = {"status": "ok", "metrics": {"mean_iou": 0.5}}


def run(configs, *, results, executor=None, executors=(), **options):
    """The records of `runner.run` for configurations that need not be resolved yet."""
    if executors := [executor] if executor else executors:
        options["slots"] = [Slot(expected_device(), one) for one in executors]
    resolved = [start_from(catalog.resolve_config(config), Path(results)) for config in configs]
    return runner.run(resolved, results=results, **options)
