"""Another revision of segbench's own checkout, unpacked where it can be run beside this one."""

import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bench
from bench.errors import BenchError

ROOT = Path(bench.__file__).resolve().parents[1]


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
