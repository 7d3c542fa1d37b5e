"""Change inputs at random for a while: `python tests/fuzz [--seed N] [--count N] [--target NAME]`, or `make fuzz`.

Each target runs in a process of its own, so that one that crashes is found too. Exit code 1: a case ended in another
exception than BenchError, took too long, or ended its process.
"""

import argparse
import random
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from targets import SLOW, TARGETS

from bench.core.errors import BenchError

MOST_WORK, LONGEST = 5.0, 60.0  # seconds of a case: of this process's CPU, which load doesn't change, and of waiting


def run(name: str, seed: int, count: int) -> int:
    """Run one target's cases; print each that fails once per kind of failure."""
    warnings.simplefilter("error")
    (target,) = (one for one in (*TARGETS, *SLOW) if one.__name__ == name)
    kinds: dict[str, int] = {}
    most = 0.0
    for number in range(count):
        case, start, worked = f"{name} {seed} {number}", time.monotonic(), time.process_time()
        try:
            target(random.Random(case))
        except BenchError:
            pass
        except Exception as error:  # noqa: BLE001 - every one is a finding
            kind = f"{type(error).__name__} at {place_of(error)}"
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                print(f"{case}: {kind}: {str(error)[:150]!r}", flush=True)
        work, seconds = time.process_time() - worked, time.monotonic() - start
        most = max(most, work)
        if work > MOST_WORK or seconds > LONGEST:
            kinds["slow"] = kinds.get("slow", 0) + 1
            print(f"{case}: {work:.1f} s of work in {seconds:.1f} s", flush=True)
    failed = sum(kinds.values())
    print(f"{name}: {count} cases, {failed} failed, {len(kinds)} kinds; the most work {most:.1f} s", flush=True)
    return min(1, len(kinds))


def place_of(error: BaseException) -> str:
    """Return the last line of the project that an exception came from."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return next((place for place in reversed(places) if "/tests/" not in place and "/lib/" not in place), places[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--target", choices=[target.__name__ for target in (*TARGETS, *SLOW)])
    given = parser.parse_args()
    if given.target:
        return run(given.target, given.seed, given.count)
    print(f"seed {given.seed}", flush=True)
    words = [sys.executable, __file__, "--seed", str(given.seed), "--count", str(given.count), "--target"]
    names = [target.__name__ for target in (*TARGETS, *SLOW)]
    codes = {name: subprocess.run([*words, name]).returncode for name in names}
    for name, code in codes.items():
        if code not in (0, 1):
            print(f"{name}: its process ended with {code}")
    return 1 if any(codes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
