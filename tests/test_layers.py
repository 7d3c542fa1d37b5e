"""The map of CONTRIBUTING.md: each room imports only rooms below it, and heavy packages only where they belong."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.backends import BACKENDS

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("bench", "bench.core"),
    ("bench.plugin", "bench.data", "bench.profiling"),
    ("bench.architectures", "bench.datasets"),
    ("bench.config",),
    ("bench.training",),
    ("bench.evaluation",),
    ("bench.results",),
    ("bench.trials", "bench.report"),
    ("bench.deployment",),
    ("bench.execution", "bench.api", "bench.commands"),
    ("bench.cli",),
    ("bench.__main__",),
)
"""The floors from the ground up. A room may import the rooms of lower floors, and no other room of its own floor."""
NO_KERAS = (
    *("bench.core", "bench.data", "bench.config", "bench.results", "bench.report", "bench.commands", "bench.cli"),
    *("bench.api", "bench.trials.runner", "bench.trials.estimate", "bench.trials.preflight"),
    *("bench.trials.saved.stored_trials", "bench.trials.children.revisions"),
    *("bench.deployment.export_run", "bench.deployment.variants", "bench.deployment.formats"),
    *("bench.deployment.deploy", "bench.deployment.measure", "bench.deployment.others.evaluate_other"),
    "bench.deployment.others.measure_other",
)
"""What runs in the planning process, which must not wait for TensorFlow's import nor take the GPU's memory."""
BACKEND_IS_CHOSEN = {f"bench.trials.saved.{name}_run" for name in ("ensemble", "evaluate", "predict")}
"""Imported by their commands once the process has chosen a backend."""
HEAVY = {"keras", "tensorflow", "jax", "torch"}
MOST_FILES, MOST_FOLDERS, MOST_LOOSE_FILES = 14, 11, 5
A_FILE_A_THING = {
    "commands",
    "architectures",
    "datasets",
    "formats",
    "layouts",
    "presets",
    "templates",
}  # folders that grow with what there is
SHIMS = {"execution"}  # kept for one release


def modules() -> Iterator[tuple[str, Path]]:
    for folder, package in (
        ("bench", "bench"),
        ("architectures", "bench.architectures"),
        ("datasets", "bench.datasets"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *(p for p in parts if p != "__init__"))), path


MODULES = dict(modules())


@functools.cache
def imports(path: Path, *, top_level_only: bool = False) -> tuple[str, ...]:
    """Return the absolute names that a file imports; `from bench import x` counts as bench.x where that is a module."""
    tree = ast.parse(path.read_text())
    names: list[str] = []
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if name in MODULES else node.module for name in inner]
    return tuple(names)


def room(name: str) -> str:
    """`bench.data.pack` -> `bench.data`, the unit that floors are made of."""
    return ".".join(name.split(".")[:2])


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(name) in rooms)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_lower_floors_only(name):
    for target in imports(MODULES[name]):
        if target.split(".")[0] == "bench" and room(target) not in (room(name), "bench"):
            assert floor(target) < floor(name), f"{name} (floor {floor(name)}) imports {target} (floor {floor(target)})"


def reached(start: str) -> Iterator[tuple[str, str]]:
    """Yield what importing a module runs, with the module that imports it; what commands import at use counts too."""
    waiting, seen = [start], {start}
    while waiting:
        name = waiting.pop()
        for target in imports(MODULES[name], top_level_only=not name.startswith("bench.commands")):
            yield target, name
            if target in MODULES and target not in seen | BACKEND_IS_CHOSEN:
                seen.add(target)
                waiting.append(target)


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith(NO_KERAS)])
def test_the_parent_process_never_imports_keras(name):
    heavy = [f"{by} imports {target}" for target, by in reached(name) if target.split(".")[0] in HEAVY]
    assert not heavy, heavy[0]


def test_the_map_in_contributing_has_every_room_on_its_floor():
    rows = re.findall(r"^\| (\d+) \| `(bench[a-z._]*)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    left_out = {"bench", *(f"bench.{shim}" for shim in SHIMS)}
    rooms = [(number, room) for number, rooms in enumerate(FLOORS, 1) for room in rooms if room not in left_out]
    assert sorted((int(number), room) for number, room in rows) == sorted(rooms)


def test_there_are_no_import_cycles():
    graph = {name: {t for t in imports(path, top_level_only=True) if t in MODULES} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for target in graph[name]:
            visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_no_folder_holds_more_files_than_one_can_survey():
    folders = {path.parent for path in MODULES.values()}
    sizes = {folder.name: len(list(folder.glob("*.py"))) for folder in folders if folder.name not in A_FILE_A_THING}
    assert not {name: size for name, size in sizes.items() if size > MOST_FILES}
    first = [path for path in (ROOT / "bench").iterdir() if path.is_dir() and path.name not in {*SHIMS, "__pycache__"}]
    assert len(first) <= MOST_FOLDERS
    assert len(list((ROOT / "bench").glob("*.py"))) <= MOST_LOOSE_FILES


def test_no_file_name_stands_twice_but_for_the_commands():
    paths = [path for path in MODULES.values() if path.name != "__init__.py" and path.parent.name != "commands"]
    names = [path.name for path in paths]
    assert not {name for name in names if names.count(name) > 1}


def test_only_the_engines_are_named_after_a_backend():
    named = {path.parent.name for path in MODULES.values() if path.stem.startswith(("jax", "torch", "tensorflow"))}
    assert named == {"engines"}


def test_only_the_table_and_the_engines_name_backends():
    """A constant `"jax"` elsewhere is a case that a new backend would miss."""

    def constants(path: Path) -> set[str]:
        return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}

    naming = {name for name, path in MODULES.items() if constants(path) & set(BACKENDS)}
    naming = {name for name in naming if not name.startswith("bench.deployment.formats")}  # each names its converter
    assert {name for name in naming if not name.startswith("bench.training.engines")} == {
        "bench.core.backends",
        "bench.architectures.networks",  # "torch": a way of scaling images that keras.applications has
        "bench.architectures.vits",  # the same
        "bench.architectures.outside",  # a fault of keras-cv's resizes on TensorFlow
        "bench.architectures.kerascv",  # needs TensorFlow
    }
