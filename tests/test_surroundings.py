"""What lies around a user changes nothing: the working directory, encodings, settings of libraries, a damaged cache."""

import os
import subprocess
import sys

import pytest

from bench.config import plugin_specs
from bench.core import files, surroundings
from bench.core.errors import BenchError
from bench.core.import_by_name import load_file, plugin_hash, siblings

PLUGIN = "from bench.plugin import dataset\n{}\n@dataset(name='drawn', classes={})\ndef load(folder): ...\n"


def bench(*words, cwd, program=("-m", "bench"), **variables):
    """Run the command line in a process of its own; return what it printed and its exit code."""
    done = subprocess.run(
        [sys.executable, *program, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    return done.stdout + done.stderr, done.returncode


# The working directory


def test_a_file_named_like_a_package_in_the_working_directory_is_not_imported(tmp_path):
    for name in ("typer", "rich", "numpy", "keras", "pandas", "platformdirs"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name} of the user')")
    for path in ("", os.pathsep, str(tmp_path), f".{os.pathsep}"):
        said, code = bench("list", "datasets", cwd=tmp_path, PYTHONPATH=path)
        assert code == 0 and "shapes" in said, said


def test_children_look_for_nothing_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    for entry in ("", ".", str(tmp_path), "other/.."):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((entry, str(other), "absent")))
        assert surroundings.environment(None)["PYTHONPATH"].split(os.pathsep) == [str(other), "absent"]


def test_an_installed_package_is_found_where_its_folder_is_the_working_directory(tmp_path, monkeypatch):
    installed = [os.path.dirname(os.__file__), str(tmp_path)]  # as by `pip install -e .`
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *installed])
    surroundings.leave_working_directory()
    assert sys.path == installed


# A plug-in's folder


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plug-in with a sibling, which imports one of a package; the answers of children are counted."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = tmp_path / "plug-in"
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text(PLUGIN.format("from names import NAMES", "NAMES"))
    (folder / "names.py").write_text("from parts import first\nNAMES = ('ground', first.NAME)\n")
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "first.py").write_text("from .second import NAME\n")
    (folder / "parts" / "second.py").write_text("NAME = 'ship'\n")
    (folder / "parts" / "unused.py").write_text("1 / 0")
    (folder / "json.py").write_text("raise RuntimeError('an installed module comes first')")
    return folder / "net.py"


def test_what_a_plug_in_imports_from_its_folder_counts(plugin):
    folder = plugin.parent
    names = [file.relative_to(folder).as_posix() for file in siblings(plugin)]
    assert names == ["names.py", "parts/__init__.py", "parts/first.py", "parts/second.py"]
    first = plugin_hash(plugin)
    (folder / "parts" / "unused.py").write_text("2 / 0")
    assert plugin_hash(plugin) == first != files.file_hash(plugin)
    (folder / "parts" / "second.py").write_text("NAME = 'boat'\n")
    assert plugin_hash(plugin) != first


def test_a_plug_in_alone_is_hashed_as_its_file(tmp_path):
    (tmp_path / "net.py").write_text("import json\nimport numpy.linalg\nfrom bench import plugin\n")
    (tmp_path / "other.py").touch()
    assert plugin_hash(tmp_path / "net.py") == files.file_hash(tmp_path / "net.py")


def test_an_import_within_a_function_counts_and_works_later(plugin):
    plugin.write_text("def build():\n    from names import NAMES\n    return NAMES\n")
    assert plugin.with_name("names.py") in siblings(plugin)
    assert load_file(plugin).build() == ("ground", "ship")
    assert sys.path[-1] == str(plugin.parent)


def test_an_edited_sibling_is_read_again(plugin):
    assert load_file(plugin).load.bench_spec.classes == ("ground", "ship")
    plugin.with_name("parts").joinpath("second.py").write_text("NAME = 'boat'\n")  # as long, in the same second
    assert load_file(plugin).load.bench_spec.classes == ("ground", "boat")
    assert not list(plugin.parent.rglob("__pycache__"))


def test_a_sibling_is_that_of_the_plug_in_that_imports_it(plugin, tmp_path):
    load_file(plugin)
    other = tmp_path / "other" / "net.py"
    other.parent.mkdir()
    other.write_text(plugin.read_text())
    other.with_name("names.py").write_text("NAMES = ('sky', 'cloud', 'sun')")
    assert load_file(other).load.bench_spec.classes == ("sky", "cloud", "sun")
    assert str(plugin.parent) not in sys.path


def test_the_specs_are_asked_again_when_a_sibling_changes(plugin):
    assert plugin_specs.file(plugin)["datasets"][0]["classes"] == ["ground", "ship"]
    plugin.with_name("names.py").write_text("NAMES = ('ground', 'car', 'bus')")
    assert plugin_specs.file(plugin)["datasets"][0]["classes"] == ["ground", "car", "bus"]


def test_a_plug_in_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "net.py").write_text("from names import NAME\n", encoding="utf-8-sig")
    (tmp_path / "names.py").write_text("NAME = 'Schiff \N{CJK UNIFIED IDEOGRAPH-8239}'\n", encoding="utf-8-sig")
    assert load_file(tmp_path / "net.py").NAME == "Schiff \N{CJK UNIFIED IDEOGRAPH-8239}"


# The cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"null", b"7", b'{"answer', b"\xff\xfe\x00", b"[" * 9999])
def test_a_damaged_answer_is_made_again(cache, damage):
    assert files.cached("facts", "question", lambda: {"a": 1}) == {"a": 1}
    (kept,) = (cache / "facts").iterdir()
    kept.write_bytes(damage)
    assert files.cached("facts", "question", lambda: {"a": 2}) == {"a": 2}
    assert files.cached("facts", "question", lambda: {"a": 3}) == {"a": 2}


def test_a_cache_that_cannot_be_written_is_no_error_for_an_answer(cache):
    cache.write_text("a file")
    assert files.cached("facts", "question", lambda: [1]) == [1]


def test_a_folder_where_an_answer_should_be_is_no_error(cache):
    files.answer_path("facts", "question").mkdir(parents=True)
    assert files.cached("facts", "question", lambda: [1]) == [1]


def test_a_home_that_does_not_exist_is_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv(files.VARIABLE, "~nobody-of-that-name/cache")
    with pytest.raises(BenchError, match=r"~nobody-of-that-name.*SEGBENCH_CACHE"):
        files.cache_folder("packs")


def test_a_lock_that_cannot_be_made_is_an_error_that_names_the_variable(tmp_path):
    (tmp_path / "no").touch()
    with (
        pytest.raises(BenchError, match=r"can.t be written .*SEGBENCH_CACHE"),
        files.locked(tmp_path / "no" / "data"),
    ):
        pass
