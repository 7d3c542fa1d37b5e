"""Times this code and another revision of it in turn, so that the machine's drift falls on both.

Each revision has a process of its own (timed_revision.py) that waits while the other works. The order changes from
pair to pair, and the processes are started anew a few times.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

import bench
from bench.core.child_process import ending, environment
from bench.core.errors import BenchError
from bench.core.files import VARIABLE, cache_folder
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.results.gate.limits import SPEEDS
from bench.results.gate.timings import Timings

ROOT = Path(bench.__file__).resolve().parents[1]
GRACE_SECONDS = 5.0
MAX_COUNT = 500  # steps or calls of one timing
Seconds = tuple[list[float], list[float]]  # of each timing: base, head
_STEPS = Budget(1000.0, "steps")  # the schedule that the timed steps stand at the start of


@dataclass(frozen=True)
class Effort:
    """How much is timed."""

    processes: int = 5  # pairs of processes
    pairs: int = 9  # pairs of timings in each, of each kind of work
    seconds: float = 0.5  # of one timing


class Unusable(Exception):
    """Why a revision can't be timed."""


class Revision:
    """A process that does pieces of one configuration's work in one revision's code.

    Args:
        name: for messages.
        tree: the root of the code.
        changes: environment variables that it gets besides.
    """

    def __init__(self, name: str, tree: Path, config: TrialConfig, changes: dict[str, str], log: IO[bytes]):
        self._name, self._log, self._tree = name, log, tree
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.execution.pace"],
            cwd=tree,  # -m looks for `bench` here first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**environment(config.backend), **changes},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the child
        )

    def start(self, config: TrialConfig) -> None:
        """Build the configuration; Unusable where this revision can't, or where it isn't this revision that runs."""
        answer = self._ask({"config": config.to_dict()})
        wrong = [file for file in answer["code"] if not Path(file).resolve().is_relative_to(self._tree.resolve())]
        if wrong:
            raise self._unusable(f"it would run the code in '{wrong[0]}' instead of its own.")
        usual = TrialConfig("", "").to_dict()
        lost = [k for k, v in config.to_dict().items() if v != usual[k] and answer["config"].get(k) != v]
        if lost:
            raise self._unusable(f"it doesn't know the option {', '.join(lost)}.")

    def seconds(self, work: str, count: int) -> float:
        """Wall seconds of `count` pieces of work."""
        return float(self._ask({"work": work, "count": count})["seconds"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            answer = self._process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            answer = b""
        found = json.loads(answer) if answer else {"error": f"its process ended: {self._ending()}"}
        if "error" in found:
            raise self._unusable(found["error"])
        return found

    def _unusable(self, reason: str) -> Unusable:
        return Unusable(f"{self._name} can't be timed: {reason}")

    def _ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._log.seek(0)
        return ending(self._process.returncode, self._log.read().decode(errors="replace"))

    def __enter__(self) -> "Revision":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        try:
            self._process.communicate(timeout=GRACE_SECONDS)  # closes its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def time_against(
    revision: str,
    configs: Sequence[TrialConfig],
    effort: Effort | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> list[tuple[TrialConfig, dict[str, Timings] | str]]:
    """The timings of each configuration by kind of work; a text: why the two can't be compared.

    Raises:
        BenchError: the revision can't be read.
    """
    effort = effort or Effort()
    with unpacked(revision) as tree:
        cache = tree.parent / "cache"  # another revision may decode otherwise
        cache.mkdir()
        (cache / "downloads").symlink_to(cache_folder("downloads"))
        found: list[tuple[TrialConfig, dict[str, Timings] | str]] = []
        for config in configs:
            timed = replace(config, budget=_STEPS)
            try:
                found.append((config, _time_one(timed, tree, {VARIABLE: str(cache)}, effort, revision, progress)))
            except Unusable as reason:
                found.append((config, str(reason)))
        return found


def _time_one(
    config: TrialConfig,
    tree: Path,
    changes: dict[str, str],
    effort: Effort,
    revision: str,
    progress: Callable[[str], None],
) -> dict[str, Timings]:
    blocks: dict[str, list[Seconds]] = {work: [] for work in SPEEDS}
    for number in range(effort.processes):
        progress(f"{config.pair}: processes {number + 1} of {effort.processes}")
        with ExitStack() as stack:
            sides = []
            for root, extra, name in ((tree, changes, revision), (ROOT, {}, "this code")):
                log = stack.enter_context(tempfile.TemporaryFile())
                sides.append(stack.enter_context(Revision(name, root, config, extra, log)))
                sides[-1].start(config)
            for work in SPEEDS:
                blocks[work].append(_time_pairs(sides, work, effort))
    return {
        work: Timings(np.array([base for base, _ in some]), np.array([head for _, head in some]))
        for work, some in blocks.items()
    }


def _time_pairs(sides: Sequence[Revision], work: str, effort: Effort) -> Seconds:
    """Seconds of each side's timings, base first; both do the same number of pieces."""
    for side in sides:
        side.seconds(work, 2)  # warms up
    piece = sum(side.seconds(work, 2) for side in sides) / 4
    count = int(np.clip(effort.seconds / piece, 1, MAX_COUNT))
    taken: Seconds = ([], [])
    for pair in range(effort.pairs):
        for place in (0, 1) if pair % 2 else (1, 0):
            taken[place].append(sides[place].seconds(work, count) / count)
    return taken


@contextmanager
def unpacked(revision: str) -> Iterator[Path]:
    """A temporary folder with the revision's files, whose packages can be imported from it; removed afterwards.

    `git archive` leaves no trace in the repository, as a worktree would if this process were killed.

    Raises:
        BenchError: this is no checkout, git is missing, or there is no such revision.
    """
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", revision=revision)
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        archive, tree = Path(folder, "code.tar"), Path(folder, "code")
        _git("archive", "--format=tar", f"--output={archive}", commit, revision=revision)
        with tarfile.open(archive) as tar:
            tar.extractall(tree, filter="data")
        archive.unlink()
        _link_packages(tree, revision)
        yield tree


def _link_packages(tree: Path, revision: str) -> None:
    """Put the folders that pyproject.toml maps under `bench` there, as an installation would."""
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text())
        mapped = project["tool"]["setuptools"]["package-dir"]
    except (OSError, KeyError, ValueError) as error:
        raise BenchError(f"The revision '{revision}' is no segbench that can be run ({error}).") from error
    for package, folder in mapped.items():
        place = tree / package.replace(".", "/")
        if not place.exists():
            place.symlink_to(tree / folder)


def _git(*arguments: str, revision: str) -> str:
    if not (ROOT / ".git").exists():
        raise BenchError("--against needs a checkout of segbench with its .git; this one was installed from a wheel.")
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"--against needs git ({error}).") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["there is no such commit here; a shallow clone lacks most"]
        raise BenchError(f"The revision '{revision}' can't be read: {reason[0]}.")
    return done.stdout.strip()
