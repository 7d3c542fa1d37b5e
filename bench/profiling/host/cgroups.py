"""Find the control groups (cgroups) that limit this process, of version 1 or 2, as in a container or a batch job."""

import math
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path("/")  # tests give a folder with a made `proc` and `sys`


def groups(controller: str, root: Path = ROOT) -> list[Path]:
    """List the folders of this process's groups, its own first, up to the topmost that can be seen.

    Args:
        controller: "memory" or "cpu".
    """
    tree = root / "sys/fs/cgroup"
    own: dict[str, str] = {}
    for line in read(root / "proc/self/cgroup").splitlines():
        number, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path) if number != "0" else {"unified": path}
    if controller in own:
        return _upwards(tree / controller, own[controller])
    return _upwards(tree if (tree / "cgroup.controllers").exists() else tree / "unified", own.get("unified", "/"))


def _upwards(top: Path, path: str) -> list[Path]:
    """List the folder and those around it, up to `top`; a container may show only the upper ones."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # the group lies outside what this container shows
        parts = []
    found = [top.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return [folder for folder in found if folder.is_dir()]


def read(path: Path) -> str:
    """Read a file of /proc or /sys; "" if it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def number(path: Path) -> float | None:
    """Read a file that holds one number; None if it doesn't, or says "max" for no limit."""
    with suppress(ValueError):
        return float(read(path))
    return None


def table(path: Path) -> dict[str, float]:
    """Read lines of a name and a number, such as those of `memory.events`, `cpu.stat` and /proc/meminfo."""
    found = {}
    for line in read(path).splitlines():
        words = line.split()
        with suppress(ValueError, IndexError):
            found[words[0].rstrip(":")] = float(words[1])
    return found


def free_memory(root: Path = ROOT) -> int:
    """Return the free memory of this machine or of a control group around this process, whichever is less, in bytes."""
    return int(min([psutil.virtual_memory().available, *(_left(group) for group in groups("memory", root))]))


def _left(group: Path) -> float:
    """Return the bytes that a control group may still take, infinitely many without a limit."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        most, taken = number(group / limit), number(group / used)
        if most is not None and taken is not None:  # pages of cached files can be dropped
            return max(0.0, most - taken + table(group / "memory.stat").get("inactive_file", 0.0))
    return math.inf
