"""Start several `bench run` of one grid in one folder at once: each trial is trained once, none is lost.

python -m tests.faults.together PLACE --runners 4 --rounds 3
"""

import argparse
import shutil
from pathlib import Path

from tests.faults.harness import Grid


def one_round(grid: Grid, runners: int) -> None:
    """Run the grid by several runners in an empty folder."""
    shutil.rmtree(grid.results, ignore_errors=True)
    grid.log.unlink(missing_ok=True)
    grid.known.clear()
    grid.finished.clear()
    grid.waiting.clear()
    runs = [grid.run() for _ in range(runners)]
    for number, run in enumerate(runs):
        if not run.wait() or run.code or "Traceback" in run.text():
            grid.violate("a run failed", number, run.code, run.text()[-1500:])
    if twice := {name: count for name, count in grid.starts().items() if count > 1}:
        grid.violate("trained twice", twice)
    grid.judge(f"{runners} runners")
    if len(grid.known) != grid.seeds or grid.left():
        grid.violate("trials are missing", len(grid.known), grid.left())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--runners", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1, help="trials at once of each run")
    args = parser.parse_args()
    grid = Grid(args.place, args.trials, jobs=args.jobs)
    for _ in range(args.rounds):
        one_round(grid, args.runners)
    return grid.report(runners=args.runners, rounds=args.rounds, trials=args.trials)


if __name__ == "__main__":
    raise SystemExit(main())
