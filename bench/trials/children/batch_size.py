"""The child process of batch_search.py: trains some steps with one batch size and writes the memory's peak."""

import sys
import traceback
from pathlib import Path
from typing import Any

from bench.core.failures import is_out_of_memory, reason_of
from bench.core.specs import TrialConfig
from bench.results.store import read_json, write_json
from bench.trials.batch_search import ANSWER, REQUEST
from bench.trials.process import end_with_parent

STEPS = 3  # the first compiles, and the optimizer's slots are there after it


def main() -> None:
    """Answer the request in the folder that the first argument names."""
    folder = Path(sys.argv[1])
    request = read_json(folder / REQUEST)
    end_with_parent(request["parent"])
    write_json(folder / ANSWER, _answer(TrialConfig.from_dict(request["config"])))


def _answer(config: TrialConfig) -> dict[str, Any]:
    try:
        return {"peak_mib": _peak_mib(config)}
    except Exception as error:  # noqa: BLE001 - whatever a batch size leads to is why it isn't used
        traceback.print_exc()
        return {"problem": "out of memory" if is_out_of_memory(error) else reason_of(error)}


def _peak_mib(config: TrialConfig) -> Any:
    from bench.profiling.memory import MemoryMeter
    from bench.trials.speed_session import build

    memory = MemoryMeter(config.backend)
    engine, batch = build(config)
    for _ in range(STEPS):
        engine.wait(engine.train_step(*batch, 0.0))
    return memory.summary()["peak_memory_mib"]


if __name__ == "__main__":
    main()
