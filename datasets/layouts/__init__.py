"""The layouts of a user's folder, one a file; each module here defines `LAYOUT`."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.core.errors import BenchError, first_few
from bench.core.registry import unknown_name_message
from bench.core.specs import Param
from bench.datasets.layout import Layout
from bench.datasets.library_folders import library_of
from bench.datasets.pairing import is_junk


def layouts() -> dict[str, Layout]:
    """Return every layout by its name, in the order of the files' names."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.LAYOUT.name: module.LAYOUT for module in modules}


def choose(folder: Path, name: str = "") -> Layout:
    """Return the layout called `name`, or the one that the folder looks like.

    Raises:
        BenchError: no layout is called so, or the folder isn't of it; or without a name, none fits or more than one.
    """
    known = layouts()
    if name and name not in known:
        raise BenchError(unknown_name_message("layout", name, list(known), sorted(known)))
    if name and (known[name].deep or known[name].fits(folder)):
        return known[name]
    found = fitting(folder)
    if name:
        raise BenchError(_of_another(folder, known[name], found))
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


def _of_another(folder: Path, layout: Layout, found: list[Layout]) -> str:
    looks = f" It looks like {found[0].name}: give that, or leave out `layout`." if found else ""
    return f"The layout {layout.name} needs {layout.files}; '{folder}' has {_there(folder)}.{looks}"


def _nothing_fits(folder: Path, known: list[str]) -> str:
    says = f"'{folder}' has {_there(folder)}, which no known layout fits."
    if library := library_of(folder):
        return f"{says} It is {library.how(folder)}."
    inside = [path for path in _parts(folder)[:_LOOKED_INTO] if path.is_dir()]
    if fits := [(path, found[0]) for path in inside if (found := fitting(path))]:
        (inner, layout), *others = fits
        says += f" Its folder {inner.name} is read as {layout.name}: give folder:{inner}."
        says += f" So are {first_few(f'{path.name} ({found.name})' for path, found in others)}." if others else ""
        alike = len(fits) > 1 and layout.deep and {found.name for _, found in fits} == {layout.name}
        return says + (f" --dataset-param layout={layout.name} reads all of them together." if alike else "")
    if lacking := next(filter(None, (layout.lacks(folder) for layout in layouts().values())), ""):
        return f"{says} {lacking}"
    return (
        f"{says} It needs images/ and masks/ with the same names, or one of: {', '.join(known)}. docs/data.md shows "
        f"each; {_SETTLE} chooses one."
    )


def _parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_junk(path.name))


def _there(folder: Path) -> str:
    names = [path.name + "/" * path.is_dir() for path in _parts(folder)]
    return first_few(names, 8) or "nothing"


_LOOKED_INTO = 32  # sub-folders, of which one may be the data set, as after unpacking an archive
