"""Plug-ins and weights that change while their grid runs: a trial gets what was planned, or says that it can't."""

import json
import py_compile
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from running import CONFIG, run

from bench.config import catalog
from bench.core.code import planned_code
from bench.core.code.import_by_name import load_file, plugin_hash, read_plugin, siblings
from bench.core.errors import BenchError
from bench.results.loading import load
from bench.results.trial_files import CODE, WEIGHTS
from bench.trials import local_process
from bench.trials.identity import check_contents, contents
from bench.trials.progress import Observer

STUB = str(Path(__file__).parent / "faults" / "coded_trial.py")
HEAD = "from bench.plugin import architecture\n"
IMPORTS = "import words\nfrom loose.deep import more\n"
NET = HEAD + IMPORTS + "@architecture(name='coded')\ndef build():\n    from parts import late\n    return {}\n"
SAYS = "f'{words.WORD} {late.WORD} {more.WORD}'"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plug-in that imports a sibling at once and another one when it is called."""
    monkeypatch.setattr(catalog, "_plugins", {})
    folder = tmp_path / "plug-in"
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text(NET.format(SAYS))
    (folder / "words.py").write_text("WORD = 'first'\n")
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "late.py").write_text("WORD = 'planned'\n")
    (folder / "loose" / "deep").mkdir(parents=True)  # packages without an __init__.py
    (folder / "loose" / "deep" / "more.py").write_text("WORD = 'code'\n")
    return folder / "net.py"


# In one process


@pytest.fixture
def planned(plugin, tmp_path, monkeypatch):
    """The plug-in in a process that uses its planned code."""
    for name in ("path", "meta_path"):
        monkeypatch.setattr(sys, name, [*getattr(sys, name)])
    monkeypatch.setenv(planned_code.VARIABLE, "")  # so that it is taken back at the end

    def use():
        (tmp_path / CODE).write_text(json.dumps(read_plugin(plugin)))
        planned_code.use_planned_code(tmp_path / CODE)
        return plugin

    yield use
    planned_code._read.cache_clear()


def edit(plugin):
    plugin.write_text(NET.format("'edited'"))
    plugin.with_name("words.py").write_text("WORD = 'other'\n")  # as long, in the same second
    (plugin.parent / "parts" / "late.py").write_text("WORD = 'altered'\n")
    py_compile.compile(str(plugin.with_name("words.py")))


def remove(plugin):
    shutil.rmtree(plugin.parent)


def break_off(plugin):
    for file in plugin.parent.rglob("*.py"):
        file.write_text("def (")


@pytest.mark.parametrize("change", [edit, remove, break_off])
def test_planned_code_is_imported_and_hashed_whatever_has_become_of_the_files(planned, plugin, change):
    hashed, files = plugin_hash(plugin), siblings(plugin)
    planned()
    change(plugin)
    module = load_file(plugin)
    assert module.build() == "first planned code"
    assert (plugin_hash(plugin), siblings(plugin)) == (hashed, files)
    assert Path(module.__file__) == plugin and Path(module.words.__file__) == plugin.with_name("words.py")


def test_code_of_any_encoding_is_planned_byte_by_byte(planned, plugin):
    text = "# -*- coding: latin-1 -*-\nWORD = 'stra\xdfe'\r\n".encode("latin-1")
    plugin.with_name("words.py").write_bytes(text)
    planned()
    assert planned_code.planned_code()[plugin.with_name("words.py")] == text
    edit(plugin)
    assert load_file(plugin).build() == "stra\xdfe planned code"


def test_data_and_modules_that_only_names_tell_are_found_in_the_plug_in_s_own_folder(planned, plugin):
    text = "import importlib, pathlib\ndef build():\n    x = importlib.import_module('un' + 'seen').X\n"
    plugin.write_text(text + "    return x + pathlib.Path(__file__).with_name('x.txt').read_text()\n")
    plugin.with_name("unseen.py").write_text("X = 'x'")
    plugin.with_name("x.txt").write_text("y")
    planned()
    plugin.write_text("")
    assert load_file(plugin).build() == "xy"


def test_without_planned_code_the_files_are_read(plugin, tmp_path):
    planned_code.use_planned_code(tmp_path / CODE)
    assert planned_code.planned_code() == {}


@pytest.mark.parametrize("text", ["from .. import x", "from ..other import x", "from " + "." * 40 + " import x"])
def test_an_import_from_above_the_folder_counts_as_nothing(tmp_path, text):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "x.py").touch()
    (folder / "net.py").write_text(text)
    assert siblings(folder / "net.py") == []
    assert plugin_hash(folder / "net.py")


# In a run


class At(Observer):
    """An observer that does something when trials start: the first thing at the first one, and so on."""

    def __init__(self, *things):
        self.things = list(things)

    def started(self, trial):
        if self.things:
            self.things.pop(0)()


@pytest.fixture
def stubs(monkeypatch):
    monkeypatch.setattr(local_process, "command", lambda module, *rest: [sys.executable, "-P", STUB, *rest])


def seeds(plugin, count):
    return [replace(CONFIG, arch="coded", params={}, plugin=str(plugin), backend="jax", seed=n) for n in range(count)]


@pytest.mark.needs("jax")  # of trials that are stubs
def test_trials_of_a_plug_in_that_is_edited_and_removed_while_they_run_get_what_was_planned(plugin, tmp_path, stubs):
    kept = shutil.copytree(plugin.parent, tmp_path / "kept")
    hashed = plugin_hash(plugin)
    configs = seeds(plugin, 4)
    changes = At(lambda: edit(plugin), lambda: break_off(plugin), lambda: remove(plugin))
    records = run(configs, results=tmp_path / "r", observer=changes)
    assert [(r.status, r.reason) for r in records] == [("ok", "")] * 4
    assert [r.model["said"] for r in records] == ["first planned code"] * 4
    assert {r.weights["source"] for r in records} == {hashed}
    assert len({r.configuration for r in records}) == 1
    assert not list((tmp_path / "r").rglob(CODE))

    shutil.copytree(kept, plugin.parent)
    edit(plugin)
    (edited,) = run(configs[:1], results=tmp_path / "r")
    assert edited.model["said"] == "edited" and edited.key != records[0].key
    assert edited.weights["source"] == plugin_hash(plugin) != hashed


def test_a_plug_in_that_is_edited_while_its_run_is_planned_ends_the_run_in_one_line(plugin, tmp_path, monkeypatch):
    class Edits(Observer):
        def preparing(self, dataset, done, total):
            plugin.write_text(plugin.read_text() + "\n# a note")

    monkeypatch.setenv("SEGBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BenchError, match=r"The code of coded or shapes has changed.*Run the same command again"):
        run(seeds(plugin, 1), results=tmp_path / "r", observer=Edits())


@pytest.mark.needs("jax")
@pytest.mark.parametrize("when", ["before", "while it is built", "removed"])
def test_a_trial_whose_initial_weights_have_changed_is_a_row_that_says_so(tmp_path, stubs, monkeypatch, when):
    results = tmp_path / "r"
    first = replace(CONFIG, backend="jax", keep_weights="all")
    run([first], results=results)
    (trial,) = load([results]).trials
    weights = trial.folder / WEIGHTS
    second = replace(first, init_from=trial.folder.name, seed=1)
    change = weights.unlink if when == "removed" else lambda: weights.write_bytes(b"others")
    if when == "while it is built":
        (tmp_path / "change.py").write_text(f"open({str(weights)!r}, 'wb').write(b'others')")
        monkeypatch.setenv("MEANWHILE", str(tmp_path / "change.py"))
        change = lambda: None  # noqa: E731
    changed, other = run([second, replace(first, seed=2)], results=results, observer=At(change))
    assert (changed.status, other.status) == ("failed", "ok")
    assert str(weights) in changed.reason and "the run was planned with it as it was" in changed.reason


def test_contents_are_those_of_weights_and_code(plugin, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"weights")
    config = replace(seeds(plugin, 1)[0], weights=str(tmp_path / "a.h5"))
    planned = contents(catalog.resolve_config(replace(config, weights="none")))
    assert planned == {"plugin": plugin_hash(plugin)}
    planned = contents(config)
    assert planned.keys() == {"plugin", "weights"}
    check_contents(config, planned)
    (tmp_path / "a.h5").write_bytes(b"others.")
    with pytest.raises(BenchError, match=r"The weights file '.*a\.h5' has changed"):
        check_contents(config, planned)
    (tmp_path / "a.h5").unlink()
    with pytest.raises(BenchError, match=r"The weights file '.*a\.h5' has changed"):
        check_contents(config, planned)
