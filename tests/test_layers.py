"""The layers of CONTRIBUTING.md: each module imports lower layers only, and heavy packages only where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "bench": 0,
    "bench.errors": 0,
    "bench.spec": 0,
    "bench.registry": 0,
    "bench.cache": 0,
    "bench.class_weights": 0,
    "bench.hashing": 0,
    "bench.loss_name": 0,
    "bench.plugin": 0,
    "bench.resolve": 0,
    "bench.samples": 0,
    "bench.values": 0,
    "bench.whole": 0,
    "bench.architectures": 1,
    "bench.datasets": 1,
    "bench.pipeline": 2,
    "bench.metrics": 2,
    "bench.profiling": 2,
    "bench.backends": 2,
    "bench.training": 3,
    "bench.evaluation": 3,
    "bench.records": 3,
    "bench.catalog": 3,
    "bench.checks": 3,
    "bench.probe": 3,
    "bench.grid": 3,
    "bench.execution": 4,
    "bench.report": 5,
}  # everything else is the top: the API and the command line
TOP = 6
SAME_LAYER_BANNED = {("bench.architectures", "bench.datasets"), ("bench.datasets", "bench.architectures")}
REPORT_MAY_IMPORT = {
    "bench.errors",
    "bench.spec",
    "bench.registry",
    "bench.metrics",
    "bench.records",
    "bench.report",
    "bench.whole",
    "bench",
}
NO_KERAS = (
    "bench.report",
    "bench.records",
    "bench.pipeline",
    "bench.catalog",
    "bench.grid",
    "bench.checks",
    "bench.cli",
)
ALLOWED_KERAS = {"bench.pipeline.augment"}


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


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    """Absolute names of what a file imports; `from bench import x` counts as bench.x where that is a module."""
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in inner)


def package(name: str) -> str:
    """`bench.pipeline.pack` -> `bench.pipeline`, the unit that layers are made of."""
    return ".".join(name.split(".")[:2])


def layer(name: str) -> int:
    return LAYERS.get(package(name), TOP)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_lower_layers_only(name):
    for target in imports(MODULES[name]):
        if not target.startswith("bench") or package(target) == package(name):
            continue
        assert layer(target) <= layer(name), f"{name} (layer {layer(name)}) imports {target} (layer {layer(target)})"
        assert (package(name), package(target)) not in SAME_LAYER_BANNED, f"{name} imports {target}"
        if package(name) == "bench.report":
            assert package(target) in REPORT_MAY_IMPORT, f"{name} imports {target}"


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith(NO_KERAS) and n not in ALLOWED_KERAS])
def test_the_parent_process_never_imports_keras(name):
    heavy = {"keras", "tensorflow", "jax", "torch"}
    found = {target.split(".")[0] for target in imports(MODULES[name])} & heavy
    assert not found, f"{name} imports {found}"


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
