"""Each test names the packages that it needs beyond those of every machine, so that it is skipped without them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NOT_EVERYWHERE = {
    "grain",
    *("tensorflow", "tensorflow_datasets", "jax", "torch", "keras_cv", "keras_hub", "datasets", "ray"),
    *("onnx", "onnxruntime", "tf2onnx", "ai_edge_litert", "openvino", "nncf"),
    *("tensorboardX", "mlflow", "wandb"),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> dict[str, Function]:
    """Return the functions of a module by name, those of classes and inner ones left out: they are part of theirs."""
    return {node.name: node for node in tree.body if isinstance(node, Function)}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the packages, of those that not every machine has, that a part of a module imports."""
    for inner in ast.walk(node):
        names = [alias.name for alias in inner.names] if isinstance(inner, ast.Import) else []
        names += [inner.module] if isinstance(inner, ast.ImportFrom) and inner.module else []
        yield from (name.partition(".")[0] for name in names if name.partition(".")[0] in NOT_EVERYWHERE)


def reached(name: str, known: dict[str, Function]) -> set[str]:
    """Return the names of the functions that one uses, itself included; fixtures are used by their names too."""
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in known:
            continue
        seen.add(current)
        waiting += [inner.id for inner in ast.walk(known[current]) if isinstance(inner, ast.Name)]
        waiting += [argument.arg for argument in known[current].args.args]
    return seen


def marked(node: Function, tree: ast.Module) -> set[str]:
    """Return the packages that `needs` markers name: the test's own, those of its cases and the module's."""
    marks = [
        *node.decorator_list,
        *(part for part in tree.body if isinstance(part, ast.Assign) and is_pytestmark(part)),
    ]
    calls = [inner for mark in marks for inner in ast.walk(mark) if isinstance(inner, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "needs"]
    return {argument.value for call in named for argument in call.args if isinstance(argument, ast.Constant)}


def is_pytestmark(part: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in part.targets)


def unmarked(text: str) -> list[str]:
    """Return a line for each test of a module that imports what it doesn't name as needed."""
    tree = ast.parse(text)
    known = functions(tree)
    lines = [f"The module imports {name} at its top." for part in top_level(tree) for name in imported(part)]
    for name, node in known.items():
        if name.startswith("test_"):
            used = {package for other in reached(name, known) for package in imported(known[other])}
            lines += [f"{name} needs {package}." for package in sorted(used - marked(node, tree))]
    return lines


def top_level(tree: ast.Module) -> Iterator[ast.AST]:
    yield from (part for part in tree.body if not isinstance(part, Function | ast.ClassDef))


@pytest.mark.parametrize("path", sorted(HERE.glob("test_*.py")), ids=lambda path: path.stem)
def test_a_test_names_the_packages_that_it_imports(path):
    assert unmarked(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def test_a():\n    import torch\n", ["test_a needs torch."]),
        ("@pytest.mark.needs('torch')\ndef test_a():\n    import torch\n", []),
        ("@pytest.mark.needs('jax')\ndef test_a():\n    from torch import nn\n", ["test_a needs torch."]),
        ("pytestmark = pytest.mark.needs('jax')\ndef test_a():\n    import jax.numpy\n", []),
        ("def help():\n    import jax\ndef test_a():\n    help()\n", ["test_a needs jax."]),
        ("def fixture():\n    import jax\ndef test_a(fixture):\n    pass\n", ["test_a needs jax."]),
        ("import keras_hub\n", ["The module imports keras_hub at its top."]),
        ("def test_a():\n    import jaxtyping, keras\n", []),
    ],
)
def test_an_import_that_no_marker_names_is_found(text, lines):
    assert unmarked(text) == lines


INNER = """
import pytest
from bench.trials.local_process import LocalExecutor

@pytest.mark.needs("no_such_package")
def test_missing():
    raise AssertionError

def test_unasked(tmp_path):
    LocalExecutor().start(tmp_path, "tensorflow")
"""


def test_without_its_package_a_test_is_skipped_and_no_trial_starts_on_a_backend_that_no_marker_names(tmp_path):
    (tmp_path / "test_inner.py").write_text(INNER)
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    options = ["-q", "-rs", "-p", "no:cacheprovider", "-c", str(HERE.parent / "pyproject.toml"), "--rootdir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_inner.py"],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "no_such_package is not installed" in done.stdout, done.stderr
    assert "Failed: This test starts a trial on tensorflow." in done.stdout
    assert "1 failed, 1 skipped" in done.stdout
