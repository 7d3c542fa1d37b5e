"""The installed package: the list of packages against the tree, and the guards of the two mapped folders."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_folder_with_code_is_listed():
    tree = set()
    for root in (ROOT / "bench", ROOT / "architectures", ROOT / "datasets"):
        folders = {path.parent.relative_to(ROOT).parts for path in root.rglob("*.py")}
        tree |= {".".join(parts if parts[0] == "bench" else ("bench", *parts)) for parts in folders}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(tree)


def test_every_file_that_is_not_code_is_package_data():
    mapped = PROJECT["tool"]["setuptools"]["package-dir"]
    listed = {
        path
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in (ROOT / mapped.get(package, package.replace(".", "/"))).glob(pattern)
    }
    folders = ("bench", "architectures", "datasets")
    files = {path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == listed


@pytest.mark.parametrize("name", ["architectures", "datasets"])
def test_the_bare_folder_name_is_no_package(name):
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f"Import bench.{name}" in done.stderr


def test_every_dependency_has_a_tested_version():
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"]]
    wanted += [line for name in ("jax", "torch", "dev", "docs", "onnx", "litert", "openvino") for line in extras[name]]
    names = {requirement.split(">=")[0].lower() for requirement in wanted}
    assert names <= pinned, f"constraints.txt lacks {names - pinned}"


@pytest.mark.slow
def test_the_wheel_holds_every_module(tmp_path):
    import zipfile

    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], check=True, timeout=600)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {str(p.relative_to(ROOT)) for p in (ROOT / "bench").rglob("*.py")}
    for name in ("architectures", "datasets"):
        expected |= {f"bench/{name}/{p.name}" for p in (ROOT / name).glob("*.py")}
    assert expected <= inside
    assert not [name for name in inside if name.startswith(("architectures", "datasets", "tests"))]
