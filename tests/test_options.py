"""The table of options: everything about an option is generated from its field."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest
import scripts
from fake_results import fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.commands.run import run
from bench.commands.speed import speed
from bench.config.given import NAMES
from bench.config.grid import AXES, SINGLE
from bench.config.reference import option_reference
from bench.core.errors import BenchError
from bench.core.option_kinds import text_of
from bench.core.trial_config import DEFAULTS, OPTIONS, POOLED, TrialConfig
from bench.profiling.environment import expected_device
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.trial_files import RECORD
from bench.trials.estimate import estimates

ROOT = Path(__file__).parents[1]
NEW_FIELD = """
    momentum_test: float = option(
        0.5, kind=NUMBER, panel=TRAINING, help="A new number.", accepts=_is_share, accepted="a share", of_speed=True
    )
"""
USE_IT = """
import sys, types
from importlib import util

spec = util.find_spec("bench.core.trial_config")
after = "\\n    @property\\n    def input_size"
source = open(spec.origin).read().replace(after, NEW_FIELD + after)
module = types.ModuleType(spec.name)
module.__file__, sys.modules[spec.name] = spec.origin, module
exec(compile(source, spec.origin, "exec"), module.__dict__)

from pathlib import Path
from typer.testing import CliRunner
from bench.cli import app
from bench.config import given, grid
from bench.config.reference import option_reference
from bench.core.errors import BenchError
from bench.results.analysis.configurations import SAME
from bench.results.dataframe import load_results
from bench.trials.identity import trial_key

for command in ("run", "speed"):
    assert "--momentum-test" in CliRunner().invoke(app, [command, "--help"]).output, command
base = {"arch": "unet", "dataset": "shapes", "backend": BACKEND}
two = grid.expand({**base, "momentum_test": "0.5,0.25"})
assert [config.momentum_test for config in two] == [0.5, 0.25]
file = Path("grid.toml")
file.write_text("momentum-test = 0.25\\n")
assert grid.configs(base, given.read_toml(file)) == two[1:]
assert trial_key(two[0], "data") == trial_key(grid.expand(base)[0], "data") != trial_key(two[1], "data")
for wrong in ("2", "much"):
    try:
        grid.expand({**base, "momentum_test": wrong})
        raise SystemExit(f"{wrong} is accepted")
    except BenchError as error:
        assert "--momentum-test is" in str(error) and "a share" in str(error), error
assert load_results("results")["momentum_test"].tolist() == [0.5]
assert "momentum_test" in SAME and "| `momentum_test` | `--momentum-test` |" in option_reference()
print("used")
"""


def test_a_new_option_is_one_field(tmp_path, quick_backend):
    """A child process adds a field to the table; commands, files, checks, key, columns and reference know it."""
    write_trial(tmp_path / "results", fake_record(fake_config())[0], samples=0)
    program = f"NEW_FIELD = {NEW_FIELD!r}\nBACKEND = {quick_backend!r}\n{USE_IT}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == "used", done.stderr


def test_no_long_list_of_options_stands_beside_the_table():
    """Find displays with eight or more names of options; fewer are the subject of a function or a table."""
    found = []
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
            names = {item.value for item in items if isinstance(item, ast.Constant)} & set(OPTIONS)
            if len(names) > 7 and path.name != "trial_config.py":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {sorted(names)}")
    assert not found


@pytest.mark.parametrize("name", OPTIONS)
def test_each_field_is_a_whole_option(name):
    option = OPTIONS[name]
    assert option.meaning and not option.meaning.endswith("."), "the reference puts the full stop"
    assert option.help.endswith(".") or option.choices
    assert not option.needs or option.needs in OPTIONS
    if option.default is not None and name not in ("arch", "dataset", *POOLED):
        option.check(option.default)
    if option.default is not None and isinstance(option.default, str | float | tuple) and option.default:
        assert option.read(text_of(option.default)) == option.default


def test_every_option_is_an_axis_or_takes_one_value():
    assert {o.field for o in (*AXES, *SINGLE)} | set(POOLED) == set(OPTIONS)
    assert {f.name for f in fields(TrialConfig)} == set(OPTIONS)
    assert [o.field for o in AXES][:3] == ["dataset", "dataset_params", "image_size"]  # the outermost loops
    assert [o.field for o in AXES][-4:] == ["arch", "backbone", "params", "head"]


def test_the_commands_take_what_concerns_them():
    training, measuring = (set(inspect.signature(command).parameters) for command in (run, speed))
    assert training - measuring >= {"dataset", "dataset_param", "lr", "budget", "weights", "keep_weights"}
    assert measuring - training == {"sweep_seconds", "find_batch_size", "largest_batch"}
    assert "measure" not in training | measuring | set(NAMES)


def test_the_help_shows_panels_and_defaults(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    shown = CliRunner().invoke(app, ["run", "--help"]).output
    for panel in ("Model (commas make a grid)", "Data (commas", "Training and testing", "Backend (", "The run"):
        assert panel in shown
    assert re.search(r"--optimizer +<text> +The optimizer: adam, adamw .*Default: adam", shown)
    assert re.search(r"--seeds +<int> +The number of seeds: 0 to N-1. Not together with --seed.", shown)


@pytest.mark.parametrize("option", ["--balance-ships", "--measure", "--dropout", "--lrr"])
def test_an_option_that_is_none_is_one_line_with_what_to_write(option):
    result = CliRunner().invoke(app, ["run", "--arch", "unet", "--dataset", "airbus", option, "5"])
    says = {
        "--balance-ships": "write --dataset-param balance_ships=VALUE.",
        "--measure": "bench speed",
        "--dropout": "write --param dropout=VALUE.",
        "--lrr": "No such option",
    }
    assert result.exit_code == 2
    assert says[option] in result.stderr
    assert option == "--lrr" or result.stderr.count("\n") == 1


def test_a_record_written_before_an_option_has_its_default(tmp_path):
    record, table = fake_record(fake_config())
    required = {"arch", "dataset", "backbone", "seed"}  # which records of every version name
    old = {name: value for name, value in record.config.items() if name in required}
    folder = write_trial(tmp_path, record, table, samples=0)
    (folder / RECORD).write_text(json.dumps(replace(record, config=old).to_dict()))
    (row,) = load_results(tmp_path).to_dict("records")
    for name, option in OPTIONS.items():
        if name not in {*required, "params", "image_size", "budget"} and option.default is not None:
            expected = float(option.default) if option.kind.is_number else text_of(option.default)
            assert row[option.column] == expected, name
    assert (row["image_size"], row["budget"], row["builder_params"]) == ("128x128", "10m", "")
    config = TrialConfig.from_dict(old)
    defaults = {f.name for f in fields(TrialConfig) if f.default is not MISSING} - required
    assert all(getattr(config, name) == getattr(DEFAULTS, name) for name in defaults)


@pytest.mark.parametrize("change", [{"loss": "dice"}, {"augment": "none"}, {"optimizer": "sgd"}, {"crop": (64, 64)}])
def test_the_time_of_a_trial_with_other_steps_is_unknown(tmp_path, change):
    record, _ = fake_record(fake_config())
    write_trial(tmp_path, replace(record, device=expected_device()), samples=0)
    config, stored = TrialConfig.from_dict(record.config), load([tmp_path]).trials
    same, alike, other = estimates([config, replace(config, seed=7, lr=0.1), replace(config, **change)], stored)
    assert same.train_seconds is not None and alike.train_seconds == same.train_seconds
    assert other.train_seconds is None


def test_the_reference_in_results_readme_is_written_from_the_table():
    docs = scripts.load(".ci/docs.py")
    text = (ROOT / "results" / "README.md").read_text()
    assert docs.written(text, "options", option_reference()) == text, "stale: run make docs"
    assert all(f"| `{option.column}`" in text for option in OPTIONS.values())


def test_what_is_out_of_range_says_the_option_and_what_is_accepted():
    for name, value, words in (
        ("lr", 0.0, "--lr is 0. Accepted: a number above 0, up to 1000, such as 0.001."),
        ("resize", "strech", "Unknown value of --resize 'strech'. Did you mean 'stretch'?"),
        ("image_size", (16, 5000), "--image-size is 16x5000. Accepted: pixels"),
    ):
        with pytest.raises(BenchError, match=re.escape(words)):
            OPTIONS[name].check(value)


@pytest.mark.parametrize("name", [o.field for o in OPTIONS.values() if o.kind.is_number and not o.internal])
def test_a_number_that_nobody_can_mean_is_refused(name):
    for value in (1e99, -1e99, float("inf"), float("nan")):
        with pytest.raises(BenchError, match=f"^{OPTIONS[name].flag} is "):
            OPTIONS[name].check(value)
