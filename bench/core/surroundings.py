"""Keep the user's surroundings out of our processes: the working directory, encodings, warnings and other variables."""

import io
import os
import sys
import warnings
from collections.abc import Iterable

_UTF8_MODE = "PYTHONUTF8"
_PLOTS_TO_FILES = "agg"  # matplotlib's backend; that of a notebook is no module of this environment


def settle() -> None:
    """Prepare the process of the command line, before it imports anything else."""
    leave_working_directory()
    use_utf8()
    os.environ["MPLBACKEND"] = _PLOTS_TO_FILES
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the output's encoding can't show must not end a command
    if any("error".startswith(option.partition(":")[0]) for option in sys.warnoptions):
        warnings.simplefilter("default")  # nor must a library's warning under `-W error`: it is printed


def leave_working_directory() -> None:
    """Import nothing from the working directory, where a script of the user may be named like a module.

    `python -m` and an empty entry of PYTHONPATH put it before Python's own modules. What stands after these was
    installed, such as a package that is being developed, and stays.
    """
    own = os.path.dirname(os.__file__)
    first = sys.path.index(own) if own in sys.path else 0
    sys.path[:first] = _elsewhere(sys.path[:first])


def _elsewhere(folders: Iterable[str]) -> list[str]:
    """Leave the working directory out of a search path."""
    return [folder for folder in folders if not _is_working_directory(folder)]


def _is_working_directory(folder: str) -> bool:
    try:
        return os.path.samefile(folder or os.curdir, os.curdir)
    except OSError:  # there is no such folder
        return not folder


def use_utf8() -> None:
    """Start the process again in Python's UTF-8 mode if it would read file names in another encoding.

    Names in lists and tables are UTF-8, and would not be found among names that were read as Latin-1 or ASCII.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get(_UTF8_MODE) != "1" and sys.executable:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _UTF8_MODE: "1"})


def usable_cores() -> list[int]:
    """List the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def environment(backend: str | None) -> dict[str, str]:
    """Make the environment of a process that may import a backend; None leaves the choice to Keras.

    Backends allocate memory as needed, so that peaks are meaningful, and may use nearly all of it. Logs are quiet.
    """
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order in which NVML counts GPUs
        "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95",  # JAX's default leaves a quarter unused; other backends use all
        **os.environ,
        **({"KERAS_BACKEND": backend} if backend else {}),
        "KERAS_NNX_ENABLED": "false",  # keras.json can turn it on, and it replaces JAX's variables
        "MPLBACKEND": _PLOTS_TO_FILES,
        "PYTHONIOENCODING": "utf-8:replace",
        "PYTHONPATH": os.pathsep.join(_elsewhere(os.environ.get("PYTHONPATH", "").split(os.pathsep))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "",  # libraries warn; "error" would end their import
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def command(module: str, *arguments: str) -> list[str]:
    """Make the command that runs a module without looking for packages in the working directory."""
    return [sys.executable, "-P", "-m", module, *arguments]
