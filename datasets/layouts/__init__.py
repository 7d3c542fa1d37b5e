"""The layouts of a user's folder, one a file; each module here defines `LAYOUT`."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.specs import Param
from bench.datasets.layout import Layout
from bench.datasets.pairing import is_junk


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
    found = fitting(folder)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"{layout.name} ({layout.files})" for layout in found)
        raise BenchError(f"'{folder}' can be read as {names}. Say which with {_SETTLE}.")
    raise BenchError(_nothing_fits(folder, list(known)))


def params() -> tuple[Param, ...]:
    """Return the parameters of all layouts, each name once; the help begins with the layouts that have it."""
    having: dict[str, list[str]] = defaultdict(list)
    found: dict[str, Param] = {}
    for layout in layouts().values():
        for param in layout.params:
            having[param.name].append(layout.name)
            found.setdefault(param.name, param)
    return tuple(replace(param, help=f"{', '.join(having[name])}: {param.help}") for name, param in found.items())


def check_params(layout: Layout, given: Mapping[str, object]) -> None:
    """Raise BenchError for a parameter that another layout has and this one hasn't."""
    accepted = [param.name for param in layout.params]
    if wrong := sorted(set(given) - set(accepted)):
        raise BenchError(f"The layout {layout.name} has no parameter '{wrong[0]}'. It has: "
                         f"{', '.join(accepted) or 'none'}. {_SETTLE} chooses another layout.")  # fmt: skip


def fitting(folder: Path) -> list[Layout]:
    """Return the layouts that fit a folder; where any is sure of it, the sure ones alone."""
    found = [layout for layout in layouts().values() if layout.fits(folder)]
    return [layout for layout in found if layout.sure(folder)] or found


_SETTLE = "--dataset-param layout=NAME"


def _nothing_fits(folder: Path, known: list[str]) -> str:
    there = sorted(path for path in folder.iterdir() if not is_junk(path.name))
    names = [path.name + "/" * path.is_dir() for path in there]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    says = f"'{folder}' has {shown or 'nothing'}, which no known layout fits."
    for inner in (path for path in there[:_LOOKED_INTO] if path.is_dir()):
        if found := fitting(inner):
            return f"{says} Its folder {inner.name} is read as {found[0].name}: give folder:{inner}."
    return (
        f"{says} It needs images/ and masks/ with the same names, or one of: {', '.join(known)}. docs/data.md shows "
        f"each; {_SETTLE} chooses one."
    )


_LOOKED_INTO = 32  # sub-folders, of which one may be the data set, as after unpacking an archive
