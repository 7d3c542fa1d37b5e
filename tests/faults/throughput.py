"""Say what many workers lose to their driver, and what a trial costs it: trials are pauses in threads of this process.

python -m tests.faults.throughput PLACE --workers 8 --seconds 2 --trials 240
python -m tests.faults.throughput PLACE --workers 8 --seconds 0 --trials 1000
"""

import argparse
import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from running import CONFIG, run

from bench.results.trial_files import OUTCOME, write_json


class Pause:
    """A trial that only lets time pass, and then brings its outcome to the disk, as the process of a trial does."""

    def __init__(self, folder: Path, seconds: float):
        self._folder, self._stopped, self._began = folder, threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(seconds,), daemon=True)
        self._thread.start()

    def _run(self, seconds: float) -> None:
        if not self._stopped.wait(seconds):
            metrics = {"mean_iou": 0.5, "classes": ["a", "b"], "iou": {"a": 0.5, "b": 0.5}}
            write_json(self._folder / OUTCOME, {"status": "ok", "metrics": metrics})

    def wait(self, seconds: float) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def reason(self) -> tuple[str, str]:
        return "failed", "It has no outcome."


class Pauses:
    """An executor of pauses."""

    def __init__(self, seconds: float):
        self._seconds = seconds

    def start(self, folder: Path, backend: str) -> Pause:
        return Pause(folder, self._seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each trial")
    parser.add_argument("--trials", type=int, default=240)
    args = parser.parse_args()
    configs = [replace(CONFIG, backend="jax", seed=seed) for seed in range(args.trials)]
    wall, cpu = time.monotonic(), time.process_time()
    run(configs, results=args.place, executors=[Pauses(args.seconds) for _ in range(args.workers)])
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    ideal = args.seconds * args.trials / args.workers
    found = {"trials": args.trials, "wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
    each = round(1e3 * cpu / args.trials, 2)
    print(json.dumps({**found, "cpu_ms_per_trial": each, "of_ideal": round(ideal / wall, 3)}))


if __name__ == "__main__":
    main()
