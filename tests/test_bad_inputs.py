"""Odd values that a user gives, on the command line or in a file, end in one line."""

import json

import numpy as np
import pytest
from fake_results import fake_results
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli import app
from bench.config import grid
from bench.config.given import read_toml
from bench.config.loss_text import parse_class_weights
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.untrusted import safe_toml
from bench.datasets.classes_file import read_classes
from bench.datasets.rle import rle_decode
from bench.results.gate.baseline import read_baseline

USUAL = ("run", "--arch", "unet", "--dataset", "shapes", "--dry-run", "--budget", "5steps")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "9" * 400), "Unknown budget '9999"),
        (("--budget", "9" * 400 + "s"), "is more than 1,000,000,000,000 seconds"),
        (("--param", f"depth={'9' * 5000}"), "is of type int, but got"),
        (("--param", f"depth={'9' * 500}"), "is of type int, but got"),
        (("--param", "depth=1000000"), "is 1000000. Accepted: whole numbers up to 12"),
        (("--param", "convs_per_block=1000000"), "is 1000000. Accepted: whole numbers up to 32"),
        (("--param", "convs_per_decoder_block=33"), "is 33. Accepted: whole numbers up to 32"),
        (("--param", "kernel_size=65"), "is 65. Accepted: whole numbers up to 63"),
        (
            ("--param", "filters=[8,1000000]"),
            "is [8, 1000000]. Accepted: lists of up to 1000 values, of whole numbers up to 16,384",
        ),
        (("--arch", "segnet", "--param", "convs=[1,1,1000000,1,1]"), "of whole numbers up to 32"),
        (("--arch", "fcn8", "--param", "fc_filters=1000000000"), "Accepted: whole numbers up to 16,384"),
        (("--dataset-param", f"balance={10**15}"), "Accepted: whole numbers up to 2,147,483,648"),
        (("--batch-size", "1000000000"), "Accepted: a whole number from 1 to 65536"),
        (("--param", "filters=[8,16],[" + "8," * 2000 + "8]"), "lists of up to 1000 values"),
        (("--param", "filters=" + "[" * 5000), "is of type list, but got"),
        (("--param", "filters=[" + "8," * 20 + "8]"), "depth of 20. Accepted: 1 to 12"),
        (("--param", "dropout=nan"), "Accepted: finite numbers"),
        (("--weights", "w" * 300), "There is no weights file 'www"),
        (("--plugin", "p" * 300 + ".py"), "There is no plug-in 'ppp"),
        (("--config", "c" * 300), "There is no file 'ccc"),
        (("--config", "c" * 300 + ".toml"), "can't be read (File name too long)"),
        (("--seeds", "100000000"), "--seeds is 100,000,000. A run has at most 10,000 trials"),
        (("--repeat", "3000000"), "--repeat is 3,000,000. A run has at most 10,000 trials"),
        (("--lr", ",".join(f"{n}e-9" for n in range(1, 20_001))), "20,000 values of lr among it"),
        (("--seeds", "200", "--batch-size", ",".join(map(str, range(1, 101)))), "The grid has 20,000 trials"),
        (("--class-weights", "[" * 3000), "--class-weights is '[[["),
        (("--image-size", "9" * 5000), "--image-size is '999"),
        (("--seed", "9" * 5000), "--seed is '999"),
        (("--results", "r" * 300), "File name too long"),
    ],
)
def test_one_line_names_what_was_given(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [word for word in USUAL if not (words[0] == "--budget" and word in ("--budget", "5steps"))]
    answer = CliRunner().invoke(app, [*options, *words])
    line = " ".join(answer.output.split())
    assert answer.exit_code == 2 and isinstance(answer.exception, SystemExit), (answer.exception, line[:500])
    assert said in line and len(line) < 1500, line[:1500]


@pytest.mark.parametrize("folder", ["d" * 300, "folder:" + "d" * 300])
def test_a_path_that_is_too_long_is_one_line(folder):
    answer = CliRunner().invoke(app, ["run", "--arch", "unet", "--dataset", folder, "--dry-run"])
    assert answer.exit_code == 2 and answer.output.count("Error:") == 1, answer.exception


@pytest.mark.parametrize("name", ["weights", "plugin", "init_from", "data_dir", "dataset", "arch", "loss"])
def test_a_nul_in_a_name_is_one_line(name):
    with pytest.raises(BenchError):
        grid.configs({"arch": "unet", "dataset": "shapes", name: "a\0b"})


@pytest.mark.parametrize(
    "text", ["x = " + "[" * 3000, "x" + ".x" * 3000 + " = 1", f"x = {'1' * 30}", f"x = {'1' * 5000}", "x = ['\\ud800'"]
)
def test_toml_is_bounded(text, tmp_path):
    with pytest.raises(ValueError):
        safe_toml.loads(text)
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(BenchError):
        read_toml(tmp_path / "x.toml")


@pytest.mark.parametrize("text", ["[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000, "[" * 100_000, "[1e999]"])
def test_classes_files_that_are_nested_or_worse(text, tmp_path):
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(BenchError):
        read_classes(tmp_path / "classes.json")


@pytest.mark.parametrize("text", ["1 2\x85", "\xa01 2", "1\u20032", "\x1c", "1 2\x0b3 4", "\u0661 2"])
def test_run_length_text_with_other_separators(text):
    with pytest.raises(BenchError, match="is not a whole number"):
        rle_decode(text, (4, 4))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": float("inf")},
        {"changes": 5},
        {"configurations": 5},
        {"configurations": [5]},
        {"configurations": [{"protocol": float("inf")}]},
        {"schema_version": 2},
        {"schema_version": 2, "classes": 5},
        {"schema_version": 2, "classes": [5]},
        {"schema_version": 2, "classes": [{"device": "d", "backend": "jax", "precision": "float32"}]},
        {"schema_version": 2, "classes": [{"device": "d", "backend": "jax", "precision": "float32", "changes": [5]}]},
    ],
)
def test_a_baseline_with_odd_values(change, tmp_path):
    file = tmp_path / "baseline.json"
    file.write_text(json.dumps({"schema_version": 1, "changes": [], "configurations": [], **change}))
    with pytest.raises(BenchError, match="baseline"):
        read_baseline(file)


def test_a_stored_baseline_with_infinity(tmp_path):
    results = fake_results(tmp_path / "results", nets=1, failures=False, samples=0)
    file = tmp_path / "baseline.json"
    words = ["check", str(results), "--baseline", str(file)]
    assert CliRunner().invoke(app, [*words, "--update", "--reason", "first"]).exit_code == 0
    values = json.loads(file.read_text())
    values["classes"][0]["configurations"][0]["trials"][0]["values"]["mean_iou"] = float("inf")
    file.write_text(json.dumps(values))
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 2 and "a value is not finite" in answer.output


@given(st.text(max_size=30))
def test_a_budget_is_read_or_refused(text):
    try:
        budget = Budget.parse(text)
    except BenchError:
        return
    assert Budget.parse(str(budget)) == budget


@given(st.text(alphabet="[]0123456789.,eE-+ null", max_size=30))
def test_class_weights_are_read_or_refused(text):
    try:
        weights = parse_class_weights(text, 0)
    except BenchError:
        return
    assert isinstance(weights, str) or np.isfinite(weights).all()


def test_the_largest_grid_is_planned():
    configs = grid.configs(
        {"arch": "unet", "dataset": "shapes", "lr": [n / 1e6 for n in range(1, grid.MOST_TRIALS + 1)]}
    )
    assert len(configs) == grid.MOST_TRIALS
