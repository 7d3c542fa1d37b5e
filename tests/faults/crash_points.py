"""SIGKILL the runner before each of its file operations in the results folder, then kill the next run once it trains.

    python -m tests.faults.crash_points PLACE [--force] [--every 1]

With --force the trial had an ok record before; without it, it is new.
"""

import argparse
import os
import shutil
import signal
from pathlib import Path

from tests.faults import evidence
from tests.faults.harness import Grid

OPERATIONS = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync")
MOST_POINTS = 200


def crash_at(point: int, trials: Path, log: Path):
    """Make a function that lets this process die instead of its point-th operation in `trials`."""
    count = 0

    def patch(name, real):
        def operation(path, *args, **kwargs):
            nonlocal count
            where = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else str(path)
            if str(trials) in where or kwargs.get("dir_fd") is not None:  # rmtree's own are relative to a descriptor
                count += 1
                if count == point:
                    log.write_text(f"{name} {where}", encoding="utf-8")
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(path, *args, **kwargs)

        setattr(os, name, operation)

    def prepare():
        for name in OPERATIONS:
            patch(name, getattr(os, name))

    return prepare


def one_point(grid: Grid, base: Path | None, point: int) -> str | None:
    """Crash at a point, then twice run again; return what the point was, None if the run came to its end before."""
    trials, log = grid.results / "trials", grid.place / "point"
    shutil.rmtree(grid.results, ignore_errors=True)
    log.unlink(missing_ok=True)
    grid.known.clear()
    grid.finished.clear()
    grid.waiting.clear()
    if base:
        shutil.copytree(base, grid.results)
        grid.known = evidence.ok_records(grid.results)
    run = grid.run(*(["--force"] if base else []), prepare=crash_at(point, trials, log))
    run.wait()
    if run.code != -signal.SIGKILL:
        grid.judge(f"point {point}", forced=True)
        return None
    what = log.read_text(encoding="utf-8").replace(str(trials), "")
    if not grid.results.is_dir():
        return what
    grid.judge(f"point {point}, {what}", forced=True)
    began, following = grid.starts(), grid.run()
    while not following.ended() and grid.starts() == began:
        pass
    following.send(signal.SIGKILL)
    following.wait()
    grid.judge(f"the run after point {point}, {what}")
    grid.to_the_end()
    if base and grid.waiting:  # the same command again takes it up
        grid.run("--force").wait()
        grid.judge(f"the forced run after point {point}, {what}", forced=True)
    return what


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="try each so many-th point")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trials at once of each run")
    args = parser.parse_args()
    grid, base = Grid(args.place, 1, jobs=args.jobs), None
    if args.force:
        grid.to_the_end()
        base = grid.place / "base"
        shutil.copytree(grid.results, base, dirs_exist_ok=True)
    tried = 0
    for point in range(args.first, MOST_POINTS, args.every):
        what = one_point(grid, base, point)
        if what is None:
            break
        tried += 1
        print(f"point {point}: {what}", flush=True)
    return grid.report(points=tried, force=args.force)


if __name__ == "__main__":
    raise SystemExit(main())
