"""Cut the power: copy a loop disk's file the moment after a run was killed, and look at the copy. Root and Linux only.

    python -m tests.faults.power_cut PLACE --cuts 10

What only the page cache holds is not in the copy; the kernel writes none of it by itself for minutes (`commit=`).
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.faults import evidence
from tests.faults.harness import Grid

SIZE = 64 * 2**20


class Disk:
    """A file with a file system in it, mounted on a folder."""

    def __init__(self, file: Path, folder: Path):
        self.file, self.folder = file, folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self) -> None:
        """Make an empty file system."""
        with self.file.open("wb") as file:
            file.truncate(SIZE)
        options = "lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", options, str(self.file)], check=True)

    def mount(self) -> None:
        """Mount it."""
        subprocess.run(["mount", "-o", "loop,commit=300", str(self.file), str(self.folder)], check=True)

    def unmount(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", str(self.folder)], check=True)


def cut(grid: Grid, disk: Disk, copy: Disk, dice: random.Random, force: bool) -> None:
    """Kill a run at a random moment, copy the disk, and compare the copy with what was finished before the kill."""
    run, end = grid.run(*(["--force"] if force else [])), time.monotonic() + dice.uniform(0.3, 4.0)
    while not run.ended() and time.monotonic() < end:
        time.sleep(0.01)
    run.send(signal.SIGSTOP)
    run.send(signal.SIGKILL)
    run.wait()
    while grid.trials():
        time.sleep(0.01)
    shutil.copyfile(disk.file, copy.file)
    before = evidence.ok_records(grid.results)
    copy.mount()
    try:
        results = copy.folder / grid.results.name
        after = evidence.ok_records(results) if before else {}
        for identity in before:
            if identity not in after:
                grid.violate("lost", identity, "power cut")
        for problem in evidence.problems(results) if before else []:
            grid.violate("wrong", problem, "power cut")
        empty = [path for path in results.rglob("record.json") if not path.stat().st_size]
        if empty:
            grid.violate("wrong", "empty records", empty)
    finally:
        copy.unmount()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    place, dice = args.place.resolve(), random.Random(args.seed)
    disk, copy = Disk(place / "disk", place / "mounted"), Disk(place / "copy", place / "after")
    disk.make()
    disk.mount()
    try:
        grid = Grid(place, 3, results=disk.folder / "results")
        for number in range(args.cuts):
            if number % 4 == 0:
                shutil.rmtree(grid.results, ignore_errors=True)
                os.sync()
            cut(grid, disk, copy, dice, force=number % 4 > 1)
        return grid.report(power_cuts=args.cuts, seed=args.seed)
    finally:
        disk.unmount()


if __name__ == "__main__":
    raise SystemExit(main())
