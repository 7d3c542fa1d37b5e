"""Kill `bench run` at random and at chosen moments, start it again, and look whether a finished trial suffered.

python -m tests.faults.storm PLACE --kills 200 --seed 1
"""

import argparse
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.harness import Grid, Run

SIGNALS = ("KILL", "KILL", "TERM", "INT", "HUP")
TARGETS = ("runner", "runner", "trial", "both", "runner, its trial stopped")
MOMENTS = ("random", "random", "outcome.json", "record.json", "set aside")
LONGEST = 3.0  # seconds until a random moment


def wait_for(grid: Grid, run: Run, moment: str, seconds: float) -> None:
    """Wait until the moment has come, or the run has ended."""
    trials, end = grid.results / "trials", time.monotonic() + seconds
    while not run.ended() and time.monotonic() < end:
        with suppress(OSError):
            names = os.listdir(trials)
            if moment == "set aside" and any(name.endswith(".replaced") for name in names):
                return
            if any((trials / name / moment).exists() for name in names if name.endswith(".running")):
                return
        time.sleep(0.0005)


def fault(grid: Grid, dice: random.Random) -> None:
    """Start a run, harm it once, and judge what is left."""
    name, target, moment = dice.choice(SIGNALS), dice.choice(TARGETS), dice.choice(MOMENTS)
    force = dice.random() < 0.4
    run = grid.run(*(["--force"] if force else []))
    wait_for(grid, run, moment, dice.uniform(0.05, LONGEST) if moment == "random" else 20.0)
    time.sleep(dice.choice([0, 0, 0.001, 0.01, 0.1]) if moment != "random" else 0)
    number = getattr(signal, f"SIG{name}")
    for pid in grid.trials():
        with suppress(ProcessLookupError):
            if target in ("trial", "both"):
                os.kill(pid, number)
            elif target.endswith("stopped"):
                os.kill(pid, signal.SIGSTOP)
    if target != "trial":
        run.send(number)
    what = f"SIG{name} to {target} at {moment}{' of a forced run' if force else ''}"
    if not run.wait(40.0):
        grid.violate("a runner did not end", what)
        run.send(signal.SIGKILL)
        run.wait()
    end = time.monotonic() + 5
    while (left := grid.trials()) and time.monotonic() < end:
        for pid, state in left.items():
            with suppress(ProcessLookupError):
                if state == "T":  # stopped while it started; it sees that its runner is gone once it goes on
                    os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)
    if left:
        grid.violate("a trial outlived its runner", left, what)
    if "Traceback" in run.text():
        grid.violate("traceback", run.text()[-1500:], what)
    grid.judge(what, forced=force)


def thin(grid: Grid, dice: random.Random) -> None:
    """Remove one or two finished trials, so that there is something to run."""
    for identity in dice.sample(sorted(grid.known), dice.choice([1, 1, 2])):
        shutil.rmtree(grid.results / "trials" / identity)
        grid.forget(identity)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once of each run")
    args = parser.parse_args()
    grid, dice, began, kills = Grid(args.place, 3, jobs=args.jobs), random.Random(args.seed), time.monotonic(), 0
    while kills < args.kills and time.monotonic() - began < args.seconds:
        fault(grid, dice)
        kills += 1
        if dice.random() < 0.3 or kills == args.kills:
            grid.to_the_end()
            thin(grid, dice)
    grid.to_the_end()
    return grid.report(kills=kills, seed=args.seed, seconds=round(time.monotonic() - began))


if __name__ == "__main__":
    raise SystemExit(main())
