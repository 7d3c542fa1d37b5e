"""What lies around a user changes nothing: the working directory, encodings, settings of libraries, a damaged cache."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from bench import api
from bench.config import catalog, plugin_specs
from bench.config.given import read_toml
from bench.core import files, surroundings
from bench.core.code.import_by_name import load_file, plugin_hash, siblings
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.data import pack, pack_writer
from bench.report.plots import figures
from bench.results.gate.limits import read_limits
from bench.results.marker import check_writable
from bench.results.trial_files import MARKER, write_json
from bench.trials.identity import trial_identity

SHIP = "\N{CJK UNIFIED IDEOGRAPH-8239}"
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


@pytest.fixture
def folder(tmp_path):
    """A folder data set whose files have names that aren't UTF-8."""
    place = tmp_path / "data"
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8), 40 * (number % 2), np.uint8)
            pixels[:4] = 1
            with open(os.fsencode(place / part) + b"/stra\xdfe%d.png" % number, "wb") as file:
                Image.fromarray(pixels if part == "images" else np.minimum(pixels, 1)).save(file, "png")
    (place / "classes.json").write_text(
        '["Hintergrund", "Schiff \N{CJK UNIFIED IDEOGRAPH-8239}"]', encoding="utf-8-sig"
    )
    return place


def test_a_truncated_pack_is_written_again(folder, cache):
    spec, place = catalog.find_dataset(f"folder:{folder}")
    made = pack.prepare(spec, (8, 8), data_dir=place)
    images = made.images.copy()
    for name in (*pack_writer.DATA_FILES, pack_writer.MANIFEST):
        content = (made.path / name).read_bytes()
        (made.path / name).write_bytes(content[: len(content) // 2] or b"more")
        assert np.array_equal(pack.prepare(spec, (8, 8), data_dir=place).images, images)
    (made.path / pack_writer.MANIFEST).unlink()
    (made.path / pack_writer.MANIFEST).mkdir()
    assert pack.prepare(spec, (8, 8), data_dir=place).fingerprint == made.fingerprint


def test_a_damaged_block_of_a_pack_is_an_error_that_says_what_to_do(folder, cache):
    spec, place = catalog.find_dataset(f"folder:{folder}")
    made = pack.prepare(spec, (8, 8), data_dir=place)
    truth = made.path / pack_writer.TRUTH
    truth.write_bytes(bytes(truth.stat().st_size))
    with pytest.raises(BenchError, match=r"The pack '.*' was damaged .* The same command makes the pack again"):
        made.truth(0)


@pytest.mark.parametrize("length", [81, 250])
def test_a_long_name_of_a_folder_is_cut_in_the_name_of_its_pack(folder, cache, length):
    spec, _ = catalog.find_dataset(f"folder:{folder}")
    paths = []
    for name in ("x" * length, "x" * (length - 1) + "y"):
        place = folder.rename(folder.with_name(name))
        spec, _ = catalog.find_dataset(f"folder:{place}")
        paths.append(pack.prepare(spec, (8, 8), data_dir=place).path)
        folder = place
    assert len({path.name for path in paths}) == 2 and max(len(path.name) for path in paths) < 200


# Names and encodings


def test_names_that_are_not_utf8_are_written_so_that_tables_can_hold_them(folder, cache):
    spec, place = catalog.find_dataset(f"folder:{folder}")
    made = pack.prepare(spec, (8, 8), data_dir=place)
    assert sorted(made.names) == [rf"stra\xdfe{number}" for number in range(10)]
    assert "".join(made.names).isascii()


def test_other_names_are_left_as_they_are():
    for name in ("stra\xdfe", "\N{CJK UNIFIED IDEOGRAPH-8239}", "a\\xdf", "\U0001f600"):
        assert files.printable(name) == name


def test_a_results_folder_whose_name_is_not_utf8_is_refused_before_training(tmp_path):
    with pytest.raises(BenchError, match=r"'.*/r\\xe4s' has a name that isn't UTF-8.*--results"):
        check_writable(Path(f"{tmp_path}/r\udce4s"))


HOSTILE = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "PYTHONWARNINGS": "error",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}


def test_names_and_classes_are_shown_whatever_the_encoding_and_warnings(folder, cache):
    said, code = bench("prepare", f"folder:{folder}", "--check", cwd=folder.parent, **HOSTILE)
    assert code == 0 and "Schiff ?" in said, said


def test_a_report_is_drawn_whatever_matplotlibs_settings_are(tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: nonsense\n")
    results = tmp_path / "results"
    (results / "trials").mkdir(parents=True)
    write_json(results / MARKER, {"schema_version": 1})
    said, code = bench("report", results, cwd=tmp_path, program=("-W", "error", "-m", "bench"), **HOSTILE)
    assert code == 0, said


def test_plots_have_our_style_where_a_program_has_set_another(tmp_path):
    def drawn(name):
        with figures.our_style():
            figure = Figure(layout="constrained")
            figure.subplots().plot([1, 2], label="a_b")
            return figures.save(figure, "title", tmp_path, name).files[0].read_bytes()

    usual = drawn("usual")
    with mpl.rc_context({"text.usetex": True, "lines.linewidth": 9, "axes.prop_cycle": "cycler('color', ['red'])"}):
        assert drawn("other") == usual


def test_children_print_whatever_characters_there_are_and_no_warning_ends_them(monkeypatch):
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    code = "import warnings; warnings.warn('w'); print('\\u8239 \\udcdf')"
    done = subprocess.run([sys.executable, "-c", code], env=surroundings.environment(None), capture_output=True)
    assert done.stdout.decode() == "\N{CJK UNIFIED IDEOGRAPH-8239} ?\n"


# Files that people write


def test_files_that_people_write_may_begin_with_a_byte_order_mark(tmp_path):
    grid, limits, marker = tmp_path / "grid.toml", tmp_path / "limits.toml", tmp_path / MARKER
    grid.write_text('arch = "unet"\n', encoding="utf-8-sig")
    limits.write_text("[mean_iou]\nlimit = 0.5\n", encoding="utf-8-sig")
    marker.write_text('{"schema_version": 1}\n', encoding="utf-8-sig")
    assert read_toml(grid).grid == {"arch": "unet"}
    assert read_limits(limits) != read_limits()
    check_writable(tmp_path)


# Keras's settings


def test_a_model_is_built_with_our_settings_and_the_program_keeps_its_own():
    config = keras.config
    config.set_floatx("float16")
    config.set_image_data_format("channels_first")
    config.set_dtype_policy("float16")
    try:
        model = api.build_model("unet", input_shape=(16, 32, 3), num_classes=2, filters=[2, 4])
        assert (config.floatx(), config.image_data_format()) == ("float16", "channels_first")
        assert config.dtype_policy().name == "float16"
        assert model.output_shape == (None, 16, 32, 2) and model.compute_dtype == "float32"
        assert model(np.zeros((1, 16, 32, 3), "float32")).shape == (1, 16, 32, 2)
        config.set_dtype_policy("mixed_float16")  # chosen on purpose
        model = api.build_model("unet", input_shape=(16, 32, 3), num_classes=2, filters=[2, 4])
        assert {layer.compute_dtype for layer in model.layers} >= {"float16"}
        assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    finally:
        config.set_floatx("float32")
        config.set_image_data_format("channels_last")
        config.set_dtype_policy("float32")


def test_a_long_name_of_a_data_set_is_cut_in_the_name_of_a_trial():
    names = [trial_identity(TrialConfig("unet", f"folder:{'x' * 250}{end}"), end * 12, "cpu") for end in "ab"]
    assert len(set(names)) == 2 and max(map(len, names)) < 200
