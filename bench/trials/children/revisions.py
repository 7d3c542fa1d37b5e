"""Time this code and another revision of it in turn, so that the machine's drift affects both alike.

Each revision has a process of its own (timed_revision.py) that waits while the other one works. The order alternates
from pair to pair, and the processes are restarted a few times.
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
from bench.core.child_process import ending
from bench.core.errors import BenchError
from bench.core.files import VARIABLE, cache_folder
from bench.core.specs import Budget
from bench.core.surroundings import environment
from bench.core.trial_config import TrialConfig
from bench.results.gate.limits import SPEEDS
from bench.results.gate.timings import Timings

ROOT = Path(bench.__file__).resolve().parents[1]
GRACE_SECONDS = 5.0
MAX_COUNT = 500  # steps or calls in one timing
Seconds = tuple[list[float], list[float]]  # of each timing with the other revision, and with this code
_STEPS = Budget(1000.0, "steps")  # a budget long enough that the timed steps are at the start of the schedule


@dataclass(frozen=True)
class Effort:
    """The number and the length of the timings."""

    processes: int = 5  # pairs of processes
    pairs: int = 9  # pairs of timings of each kind of work, in each pair of processes
    seconds: float = 0.5  # length of one timing


class Unusable(Exception):
    """A revision can't be timed, for the reason in the error's text."""


class Revision:
    """A process that does one configuration's work with one revision's code, some steps or calls at a time.

    Args:
        name: the revision's, for messages.
        tree: the root folder of its code.
        changes: additional environment variables of the process.
    """

    def __init__(self, name: str, tree: Path, config: TrialConfig, changes: dict[str, str], log: IO[bytes]):
        self._name, self._log, self._tree = name, log, tree
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.execution.pace"],
            cwd=tree,  # -m looks for `bench` here first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**environment(config.backend), "PYTHONSAFEPATH": "", **changes},
            start_new_session=True,  # Ctrl-C reaches only the parent, which then ends the child
        )

    def start(self, config: TrialConfig) -> None:
        """Build the configuration; raise Unusable if this revision can't, or if another one's code would run."""
        answer = self._ask({"config": config.to_dict()})
        wrong = [file for file in answer["code"] if not Path(file).resolve().is_relative_to(self._tree.resolve())]
        if wrong:
            raise self._unusable(f"it would run the code in '{wrong[0]}' instead of its own.")
        usual = TrialConfig("", "").to_dict()
        lost = [k for k, v in config.to_dict().items() if v != usual[k] and answer["config"].get(k) != v]
        if lost:
            raise self._unusable(f"it doesn't know the option {', '.join(lost)}.")

    def seconds(self, work: str, count: int) -> float:
        """Return the wall seconds of `count` steps or calls."""
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
    """Return each configuration's timings by kind of work, or a text that says why the two can't be compared.

    Raises:
        BenchError: the revision can't be read.
    """
    effort = effort or Effort()
    with unpacked(revision) as tree:
        cache = tree.parent / "cache"  # the other revision may decode images differently
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
    """Return the seconds of each side's timings, the other revision's first; both do the same number of steps."""
    for side in sides:
        side.seconds(work, 2)  # warms up
    piece = sum(side.seconds(work, 2) for side in sides) / 4
    count = int(np.clip(effort.seconds / piece, 1, MAX_COUNT))
    taken: Seconds = ([], [])
    for pair in range(effort.pairs):
        for place in (0, 1) if pair % 2 else (1, 0):
            taken[place].append(sides[place].seconds(work, count) / count)
    return taken


def commit_of(revision: str) -> str:
    """Return the full hash of a revision's commit; raise BenchError if there is none."""
    return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", revision=revision)


@contextmanager
def unpacked(revision: str) -> Iterator[Path]:
    """Yield a temporary folder with the revision's files, from which its packages can be imported.

    It is made by `git archive`, which leaves no trace in the repository if this process is killed; a worktree would.

    Raises:
        BenchError: this isn't a checkout, git is missing, or the revision doesn't exist.
    """
    commit = commit_of(revision)
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        archive, tree = Path(folder, "code.tar"), Path(folder, "code")
        _git("archive", "--format=tar", f"--output={archive}", commit, revision=revision)
        with tarfile.open(archive) as tar:
            tar.extractall(tree, filter="data")
        archive.unlink()
        _link_packages(tree, revision)
        yield tree


def _link_packages(tree: Path, revision: str) -> None:
    """Link the folders that pyproject.toml maps to packages of `bench` to their places, as an installation would."""
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
        mapped = project["tool"]["setuptools"]["package-dir"]
    except (OSError, KeyError, ValueError) as error:
        raise BenchError(f"The revision '{revision}' has no segbench that can be run ({error}).") from error
    for package, folder in mapped.items():
        place = tree / package.replace(".", "/")
        if not place.exists():
            place.symlink_to(tree / folder)


def _git(*arguments: str, revision: str) -> str:
    if not (ROOT / ".git").exists():
        raise BenchError("--against needs a checkout of segbench with its .git; this one was installed from a wheel.")
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, encoding="utf-8", errors="replace", timeout=120
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"--against needs git ({error}).") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [
            "there is no such commit; a shallow clone lacks most of them"
        ]
        raise BenchError(f"The revision '{revision}' can't be read: {reason[0]}.")
    return done.stdout.strip()
