"""Start `bench run` on a small grid whose trials train nothing, in forks of this process, and judge what it leaves.

A fork has imported everything already, so that a fault costs about a second. Linux only.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults import evidence

STUB = str(Path(__file__).with_name("stub_trial.py"))
CLASSES = ["background", "disk", "square"]


def make_results(folder: Path, seeds: int) -> None:
    """Make, once per seed, the table and the scores that a stub's trial has."""
    import numpy as np

    from bench.evaluation.image_table import write_table
    from bench.evaluation.scores import summary

    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        counts = rng.integers(1, 500, (40, 3, 3))
        (folder / str(seed)).mkdir(parents=True, exist_ok=True)
        names = [f"i{number}" for number in range(40)]
        write_table(folder / str(seed) / "images.parquet", names, names, counts)
        known = {
            "metrics": summary(counts, CLASSES),
            "validation": rng.random(3).round(6).tolist(),
            "dataset": {"classes": CLASSES, "images": {"train": 100, "val": 20, "test": 40}},
        }
        (folder / str(seed) / "known.json").write_text(json.dumps(known), encoding="utf-8")


class Run:
    """`bench run` in a fork of this process."""

    def __init__(self, command: list[str], out: Path, environment: dict[str, str], prepare: Callable[[], None]):
        self.out, self.code = out, None
        out.touch()
        self.pid = os.fork()
        if not self.pid:
            _become(command, out, environment, prepare)

    def ended(self) -> bool:
        """Tell whether it has ended; its exit code is then in `code`."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait for its end; return whether it came."""
        end = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < end:
            time.sleep(0.003)
        return self.ended()

    def send(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if not self.ended():
            os.kill(self.pid, number)

    def text(self) -> str:
        """Return what it printed."""
        return self.out.read_text(encoding="utf-8", errors="replace")


def _become(command: list[str], out: Path, environment: dict[str, str], prepare: Callable[[], None]) -> None:
    """Turn this fork into `bench`, whose trials are stubs; never return."""
    code = 1
    try:
        os.setsid()
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.environ.update(environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, also for its children
        from bench import cli
        from bench.trials import local_process

        local_process.command = lambda module, *rest: [sys.executable, "-P", STUB, *rest]
        sys.argv = command
        prepare()
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before `bench` had begun, which turns it into an exit code itself
        code = 130
    except BaseException:  # noqa: BLE001 - it must be seen in the output
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


class Grid:
    """A grid of equal trials with several seeds in a results folder, and what is known of it."""

    def __init__(self, place: Path, seeds: int, seconds: float = 0.2, results: Path | None = None, jobs: int = 1):
        import bench.commands.live  # noqa: F401 - so that forks have them

        self.options = ["--jobs", str(jobs), "--measure-alone"] if jobs > 1 else []  # of every run
        self.place, self.seeds = place.resolve(), seeds
        self.place.mkdir(parents=True, exist_ok=True)
        self.results, self.log = results or self.place / "results", self.place / "starts"
        shared = Path(os.environ.get("FAULTS_SHARED", self.place)).resolve()  # what every harness makes alike
        self.made = shared / "made"
        self.environment = {
            "SEGBENCH_CACHE": str(shared / "cache"),
            "STUB_LOG": str(self.log),
            "STUB_MADE": str(self.made),
            "STUB_SECONDS": str(seconds),
        }
        self.known: dict[str, str] = {}  # the texts of ok records that were seen
        self.finished: Counter[str] = Counter()  # identity -> how often it had begun when it was seen to have ended
        self.waiting: set[str] = set()  # those of them whose runner died before their record was in place
        self.violations: list[str] = []
        self.runs = 0
        if not all((self.made / str(seed)).exists() for seed in range(seeds)):
            make = "import sys; from tests.faults.harness import *; make_results(Path(sys.argv[1]), int(sys.argv[2]))"
            subprocess.run([sys.executable, "-c", make, str(self.made), str(seeds)], check=True)

    def run(self, *more: str, prepare: Callable[[], None] = lambda: None) -> Run:
        """Start `bench run` on the grid."""
        self.runs += 1
        command = ["bench", "run", "--arch", "unet", "--backend", "jax", "--dataset", "shapes", "--image-size", "32"]
        command += [
            "--param",
            "filters=[4,8]",
            "--budget",
            "3steps",
            "--seeds",
            str(self.seeds),
            "--keep-weights",
            "all",
        ]
        command += ["--results", str(self.results), *self.options, *more]
        return Run(command, self.place / f"out-{self.runs}", self.environment, prepare)

    def to_the_end(self) -> None:
        """Run the grid to its end; it must leave every trial ok and nothing else."""
        run = self.run()
        if not run.wait():
            self.violate("a run did not end", run.text()[-500:])
            run.send(signal.SIGKILL)
            run.wait()
        if run.code or "Traceback" in run.text():
            self.violate("a run failed", run.code, run.text()[-1500:])
        self.judge("a whole run")
        if len(self.known) != self.seeds or self.left():
            self.violate("a run left trials out or working folders behind", len(self.known), self.left())

    def left(self) -> list[str]:
        """List what a run must not leave; the working folder of a forced one stays if it died."""
        folders = [p for p in (self.results / "trials").glob("*") if p.suffix in (".running", ".replaced")]
        return [p.name for p in folders if p.suffix == ".replaced" or not p.with_suffix("").exists()]

    def judge(self, what: str, forced: bool = False) -> None:
        """Compare the folder, in which nobody works now, with what was known of it."""
        found, starts = evidence.ok_records(self.results), self.starts()
        for identity, text in self.known.items():
            if identity not in found:
                self.violate("lost", identity, what)
            elif found[identity] != text and not forced:
                self.violate("changed", identity, what)
        for identity, most in self.finished.items():
            if starts[identity] > most and (not forced or identity in self.waiting):
                self.violate("trained twice", identity, what)
        for problem in evidence.problems(self.results):
            self.violate("wrong", problem, what)
        self.known = found
        self.waiting = evidence.waiting(self.results)
        self.finished = Counter({name: starts[name] for name in {*found, *self.waiting}})

    def starts(self) -> Counter[str]:
        """Count how often each trial has begun."""
        return Counter(self.log.read_text(encoding="utf-8").split()) if self.log.exists() else Counter()

    def forget(self, identity: str) -> None:
        """Take a trial out of what is known, as the harness has removed it."""
        self.known.pop(identity, None)
        self.waiting.discard(identity)
        self.finished.pop(identity, None)

    def violate(self, kind: str, *what: Any) -> None:
        """Note what must not be."""
        self.violations.append(": ".join(map(str, (kind, *what))))
        print("VIOLATION", self.violations[-1], flush=True)

    def trials(self) -> dict[int, str]:
        """Return the states of the trials' processes by their ids."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                if STUB.encode() in words and any(str(self.results).encode() in word for word in words):
                    state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
                    found.update({int(entry.name): state} if state != "Z" else {})
            except OSError:
                continue
        return found

    def report(self, **figures: Any) -> int:
        """Print the figures and the violations by kind; return the exit code."""
        kinds = Counter(violation.partition(":")[0] for violation in self.violations)
        names = ("lost", "trained twice", "changed", "wrong")
        others = sum(kinds.values()) - sum(kinds[name] for name in names)
        print(json.dumps({**figures, **{name: kinds[name] for name in names}, "other violations": others}))
        return int(bool(self.violations))
