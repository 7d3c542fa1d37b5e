"""The child process of batch_search.py: it trains a few steps with one batch size and answers with the peak memory."""

from typing import Any

from bench.core.errors import BenchError, is_out_of_memory
from bench.core.trial_config import TrialConfig
from bench.profiling.instruments import memory_meter, open_gpu
from bench.training.engines import create_runtime
from bench.trials.batch_search import OUT_OF_MEMORY
from bench.trials.speed_session import build
from bench.trials.trained_input.stored_values import with_bands_of_data

PROCESS = ("process_peak_mib", "process_method")
STEPS = 3  # the first one compiles, and the optimizer's state exists only after it


def peak_mib(config: dict[str, Any]) -> dict[str, Any]:
    """Train a few steps; return the peak memory as `peak_mib`, and that of the process by `memory_meter`."""
    trial = TrialConfig.from_dict(config)
    runtime = create_runtime(trial.backend)
    memory = memory_meter(runtime, open_gpu(runtime))
    try:
        with memory.phase("train"):
            engine, batch = build(with_bands_of_data(trial))
            for _ in range(STEPS):
                engine.wait(engine.train_step(*batch, 0.0))
    except Exception as error:
        if is_out_of_memory(error):
            raise BenchError(OUT_OF_MEMORY) from error
        raise
    found = memory.summary()
    return {"peak_mib": found["peak_memory_mib"]} | {name: found[name] for name in PROCESS if name in found}
