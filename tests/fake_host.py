"""A made /proc and /sys: files by path, and control groups of version 1 and 2."""

from pathlib import Path

GIB = 2**30


def write_files(root: Path, files: dict[str, object]) -> Path:
    """Write each file with its content and a line end; return the root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def memory_files(version: int, *, kills: int, limit: object, machine_kills: int = 0) -> dict[str, object]:
    """The files of a process in the group /job of a machine of 16 GiB."""
    common = {
        "proc/meminfo": f"MemTotal: {16 * 2**20} kB\nMemFree: 1024 kB",
        "proc/vmstat": f"nr_free_pages 1\noom_kill {machine_kills}",
    }
    if version == 2:
        events = f"low 0\nhigh 0\nmax 3\noom {kills}\noom_kill {kills}"
        group = {"memory.events": events, "memory.max": limit}
        top = {"sys/fs/cgroup/cgroup.controllers": "cpu memory"}
        return {**common, **top, "proc/self/cgroup": "0::/job", **_in("sys/fs/cgroup/job", group)}
    group = {"memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}", "memory.limit_in_bytes": limit}
    return {
        **common,
        "proc/self/cgroup": "4:memory:/job\n2:cpu,cpuacct:/\n0::/",
        **_in("sys/fs/cgroup/memory/job", group),
    }


def _in(folder: str, files: dict[str, object]) -> dict[str, object]:
    return {f"{folder}/{name}": content for name, content in files.items()}
