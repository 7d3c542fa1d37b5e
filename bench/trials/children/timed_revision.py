"""The child process of revisions.py: it builds one configuration's training and does its work as it is told.

Requests and answers are JSON, one per line, on standard input and output (see `serve`). Two revisions talk to one
parent in this way, so the protocol must not change:

    {"config": {...}}                              -> {"config": as it was read, "code": [files]} or {"error": text}
    {"work": "train_step_time", "count": 20}       -> {"seconds": 0.51}
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import bench.architectures
from bench.core.child_process import serve
from bench.core.trial_config import TrialConfig
from bench.profiling.clock.timing import seconds_of
from bench.results.quantities.performance import LATENCY, STEP_TIME
from bench.training.build import build_model, build_training, choose_indexes
from bench.trials.plan import read_pack

Work = Callable[[int], float]  # takes a number of steps or calls and returns their seconds
_works: dict[str, Work] = {}  # by kind, for the configuration that was built last


def main() -> None:
    """Answer requests until standard input ends, which it also does when the parent dies."""
    serve(_answer)


def _answer(config: dict[str, Any] | None = None, work: str = "", count: int = 0) -> dict[str, Any]:
    if config is None:
        return {"seconds": _works[work](count)}
    trial = TrialConfig.from_dict(config)
    _works.update(_build(trial))
    return {"config": trial.to_dict(), "code": [bench.__file__, bench.architectures.__file__]}


def _build(config: TrialConfig) -> dict[str, Work]:
    """Make both kinds of work: training steps with loader and augmentation; calls with one image, by their median."""
    pack = read_pack(config)
    indexes = choose_indexes(pack, config.train_fraction, train_limit=config.train_limit)["train"]
    training = build_training(config, build_model(config, len(pack.classes), pack.values.bands), pack, indexes)
    engine = training.engine
    training.steps(1)  # compiles
    one = engine.put(np.zeros((1, *config.input_size, pack.values.bands), pack.values.dtype))
    return {
        STEP_TIME: lambda count: seconds_of(lambda: training.steps(count)),
        LATENCY: lambda count: (
            count * median(seconds_of(lambda: engine.wait(engine.predict(one))) for _ in range(count))
        ),
    }


if __name__ == "__main__":
    main()
