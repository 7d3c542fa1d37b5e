"""The layouts of a user's folder, one a file; each module here defines `LAYOUT`."""

import importlib
import pkgutil
from pathlib import Path

from bench.core.errors import BenchError
from bench.datasets.layout import Layout


def layouts() -> dict[str, Layout]:
    """Return every layout by its name, in the order of the files' names."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.LAYOUT.name: module.LAYOUT for module in modules}


def choose(folder: Path, name: str = "") -> Layout:
    """Return the layout called `name`, or the one that the folder looks like.

    Raises:
        BenchError: no layout is called so; or without a name, none fits or more than one does.
    """
    known = layouts()
    if name:
        if name not in known:
            raise BenchError(f"The layout '{name}' is unknown. Accepted: {', '.join(known)}.")
        return known[name]
    fitting = [layout for layout in known.values() if layout.fits(folder)]
    if len(fitting) == 1:
        return fitting[0]
    settle = "--dataset-param layout=NAME"
    if fitting:
        names = " and ".join(f"{layout.name} ({layout.files})" for layout in fitting)
        raise BenchError(f"'{folder}' can be read as {names}. Say which with {settle}.")
    there = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
    raise BenchError(
        f"'{folder}' has {shown or 'nothing'}, which no known layout fits. It needs images/ and masks/ with the same "
        f"names, or one of: {', '.join(known)}. docs/data.md shows each; {settle} chooses one."
    )
