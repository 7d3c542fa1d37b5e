"""The facts that `bench doctor` shows: versions, backends and their devices, disks, the cache and data sets."""

import importlib.metadata
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.architectures.outside import pip_line
from bench.config import catalog
from bench.core.backends import BACKENDS, DEFAULT_BACKEND, TABLE, installed
from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.files import cache_folder
from bench.profiling.environment import expected_device, versions
from bench.profiling.gpu import NOT_INSTALLED, UNKNOWN_GPU

DEVICE_SECONDS = 90.0  # a backend's time to answer; importing TensorFlow takes 20 s on a small machine


def machine() -> dict[str, str]:
    """Return the platform, the device and the versions of Python and the packages."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": expected_device(),
        **versions(),
    }


def backends(timeout: float = DEVICE_SECONDS) -> dict[str, str]:
    """Return each backend's version and devices, or the command that installs it."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(BACKENDS, pool.map(lambda name: _backend(name, timeout), BACKENDS), strict=True))


def outside_packages() -> dict[str, str]:
    """Return the version of each package that only some models need, or the command that installs it."""
    users: dict[str, list[str]] = {}
    for spec in (*catalog.architectures(), *catalog.backbones()):
        if spec.package:
            users.setdefault(spec.package, []).append(spec.name)
    return {
        package.replace("_", "-"): importlib.metadata.version(package)
        if installed(package)
        else f"not installed, needed by {', '.join(names)}: {pip_line(package)}"
        for package, names in users.items()
    }


def _backend(name: str, timeout: float) -> str:
    if not installed(name):
        return f"not installed: {TABLE[name].pip_line}"
    version = importlib.metadata.version(name)
    try:  # importing a backend is slow and takes the GPU
        (answer,) = ask("bench.training.engines:devices", [{"backend": name}], name, timeout)
    except ChildEnded as ended:
        answer = {"error": str(ended)}
    return f"{version}, {answer['devices']}" if "devices" in answer else f"{version}, can't be used: {answer['error']}"


def folders(results: Path) -> dict[str, str]:
    """Return the cache folder and the results folder, each with the free space of its disk."""
    cache = cache_folder("packs")
    existing = next(p for p in (results.resolve(), *results.resolve().parents) if p.exists())
    return {"cache": f"{cache.parent}, {_free(cache)}", "results": f"{results.resolve()}, {_free(existing)}"}


def _free(path: Path) -> str:
    return f"{shutil.disk_usage(path).free / 2**30:.1f} GiB free"


def datasets() -> dict[str, str]:
    """Return the sizes at which each data set is prepared, or how to prepare it."""
    packs = cache_folder("packs")
    found = {}
    for spec in catalog.datasets():
        sizes = sorted(
            {p.parent.name[len(spec.name) + 1 :].partition("-")[0] for p in packs.glob(f"{spec.name}-*/manifest.json")}
        )
        sizes = [size for size in sizes if size[:1].isdigit()]  # `pets-binary-...` is not `pets`
        found[spec.name] = (
            f"prepared at {', '.join(sizes)}"
            if sizes
            else _missing(spec.name, spec.needs_data_dir, bool(spec.archives))
        )
    return found


def _missing(name: str, needs_data_dir: bool, can_be_fetched: bool) -> str:
    if not needs_data_dir:
        return "generated when it is first used"
    return f"not prepared: bench prepare {name}{' (downloads)' if can_be_fetched else ' --data-dir FOLDER'}"


def problems() -> list[str]:
    """Return a line for each problem of this installation."""
    lines = catalog.problems()
    if not any(map(installed, BACKENDS)):
        lines = [*lines, f"No backend is installed: {TABLE[DEFAULT_BACKEND].pip_line}"]
    if expected_device() == UNKNOWN_GPU:
        lines = [*lines, f"There is an NVIDIA GPU, but {NOT_INSTALLED}: its name, energy and clocks are not recorded."]
    try:
        cache_folder("packs")
    except BenchError as error:
        lines = [*lines, str(error)]
    return lines
