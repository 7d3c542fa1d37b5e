"""The rows of `bench deploy`: stored, shown in the report and chosen from; measured rows are made up here."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from browser import needs_browser, told
from fake_results import CLASSES, fake_config, fake_record, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.surroundings import usable_cores
from bench.deployment.deploy import _Bench
from bench.deployment.processes import check_threads, cores
from bench.deployment.variants import read_views
from bench.evaluation.averaging.mean_predictor import MeanPredictor, mirrored_views
from bench.evaluation.averaging.probabilities import over_flips
from bench.evaluation.predictor import Predictor
from bench.report.findings.deployment_choice import choose_forms
from bench.report.findings.deployment_tables import deployment_boards
from bench.report.plots.deployment_plot import deployment_plot
from bench.report.render import write_report
from bench.results.analysis.bootstrap import bootstrap
from bench.results.deployed.deployment_rows import Deployment, read_deployments, store_deployments
from bench.results.loading import load
from bench.results.quantities import MISSING
from bench.results.trial_files import DEPLOYMENTS

FORMS = (("keras", "float32", 0.70, 40.0), ("onnx", "float32", 0.70, 20.0), ("onnx", "int8", 0.62, 8.0))


def row(run: str, form: str = "onnx", precision: str = "float32", iou: float = 0.7, ms: float = 20.0, **changes):
    found = Deployment(
        run=run,
        format=form,
        precision=precision,
        threads=1,
        device="a CPU, 1 of 2 cores",
        finished="2026-11-30T20:00:00+00:00",
        computes=precision,
        metrics={"mean_iou": iou, "iou": dict.fromkeys(CLASSES, iou)},
        images=12,
        drift=iou - 0.7,
        drift_low=iou - 0.71,
        drift_high=iou - 0.69,
        agreement=0.99,
        latency_ms_p50=ms,
        latency_ms_p95=1.2 * ms,
        latency_ms_p99=1.3 * ms,
        images_per_second=1000 / ms,
        load_seconds=0.1,
        first_call_ms=2 * ms,
        size_mib=9.5,
        process_peak_mib=100.0,
    )
    return replace(found, **changes)


def write_results(folder, configs):
    for config in configs:
        write_trial(folder, *fake_record(config), samples=0)


@pytest.fixture
def results(tmp_path):
    """Two trials, of which three forms each were measured; and one form that doesn't exist."""
    folder = tmp_path / "results"
    write_results(folder, [fake_config("unet"), fake_config("deeplab", "resnet50")])
    for trial in load([folder]).trials:
        better = 0.1 if trial.record.config["arch"] == "deeplab" else 0.0
        rows = [row(trial.folder.name, form, kind, iou + better, ms) for form, kind, iou, ms in FORMS]
        lacking = row(trial.folder.name, "torch", "int8", empty="PyTorch has no int8", metrics={}, device="")
        store_deployments(trial.folder, [*rows, replace(lacking, latency_ms_p50=None, drift=None)])
    return folder


def boards(folder):
    return deployment_boards(load([folder]).trials)


def test_rows_are_read_as_they_were_stored_and_replaced_by_newer_ones_of_the_same_form(tmp_path):
    rows = [row("a"), row("a", "litert")]
    store_deployments(tmp_path, rows)
    assert read_deployments(tmp_path) == rows
    newer = row("a", iou=0.1)
    store_deployments(tmp_path, [newer, row("a", ms=3.0, threads=2)])
    assert [(r.format, r.threads, r.mean_iou) for r in read_deployments(tmp_path)] == [
        ("onnx", 1, 0.1),
        ("litert", 1, 0.7),
        ("onnx", 2, 0.7),
    ]


ADDING = """
import sys
from pathlib import Path
from bench.results.deployed.deployment_rows import Deployment, store_deployments
folder, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for threads in range(1, 26):
    row = Deployment(run="a", format=name, precision="float32", threads=threads, device="", finished="")
    store_deployments(folder, [row])
"""


def test_a_form_with_views_of_each_image_is_a_row_of_its_own(results):
    (trial, _) = load([results]).trials
    store_deployments(trial.folder, [row(trial.folder.name, "keras", iou=0.95, ms=80.0, tta="flips")])
    (board,) = boards(results)
    assert [r.cells["format"] for r in board.rows if r.label == board.labels[0]] == [
        *("keras", "keras, flips", "onnx", "onnx", "torch"),
    ]
    assert choose_forms(board, "any", {}).advice.startswith(f"Take {board.labels[0]} as keras, flips in float32")


def test_of_forms_with_the_same_score_to_three_decimals_the_fastest_is_taken(tmp_path):
    write_results(tmp_path, [fake_config("unet")])
    (trial,) = load([tmp_path]).trials
    forms = (("keras", 0.70120, 40.0), ("onnx", 0.70123, 20.0), ("litert", 0.70062, 8.0), ("openvino", 0.69940, 4.0))
    store_deployments(trial.folder, [row(trial.folder.name, name, iou=iou, ms=ms) for name, iou, ms in forms])
    (board,) = boards(tmp_path)
    choice = choose_forms(board, "any", {})
    assert [r.deployment.format for r in choice.kept] == ["litert", "onnx", "keras", "openvino"]
    assert choice.advice.startswith("Take unet as litert in float32")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (fake_config("unet", image_size=(32, 32), params={"filters": [4, 8]}), ""),
        (fake_config("unet", image_size=(16, 16)), "--tta scales needs a smaller size than 16x16"),
        (fake_config("unet", image_size=(128, 128), crop=(32, 32)), "A model of crops is timed on one tile"),
    ],
)
def test_scales_that_a_model_does_not_take_are_an_empty_row_with_the_reason(config, reason, tmp_path):
    bench = _Bench(None, config, [1], ["flips", "scales"], tmp_path, print)
    assert bench._no_views("flips") == ""
    assert bench._no_views("scales").startswith(reason) and bool(bench._no_views("scales")) == bool(reason)


def test_views_are_read_with_commas_and_others_are_one_line():
    assert read_views(None) == [] and read_views("scales,flips") == ["scales", "flips"]
    with pytest.raises(BenchError, match=r"Unknown --tta 'flip'\. Did you mean 'flips'"):
        read_views("flip")


def test_flips_of_a_file_are_those_of_keras():
    class Sloped:
        model = SimpleNamespace(input_shape=(None, 4, 6, 3), output_shape=(None, 4, 6, 2))

        def logits(self, images):
            left = images[..., :2].astype(np.float32) / 64
            return left * np.arange(6, dtype=np.float32)[:, None]

    images = np.random.default_rng(0).integers(0, 255, (2, 4, 6, 3), np.uint8)
    views = mirrored_views(Predictor(Sloped(), (4, 6), batch_size=2))
    ours = over_flips(Sloped().logits, images)
    np.testing.assert_allclose(ours, MeanPredictor(views).logits(images), rtol=1e-6)
    np.testing.assert_allclose(ours, over_flips(Sloped().logits, images[:, :, ::-1])[:, :, ::-1], rtol=1e-6)


def test_processes_that_add_rows_at_once_lose_none(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    adding = [
        subprocess.Popen([sys.executable, "-c", ADDING, str(tmp_path), name], **pipes) for name in ("onnx", "litert")
    ]
    for process in adding:
        assert process.stdout.readline() == "ready\n"
    for process in adding:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=120)[0] for process in adding] == ["", ""]
    found = {(row.format, row.threads) for row in read_deployments(tmp_path)}
    assert found == {(name, threads) for name in ("onnx", "litert") for threads in range(1, 26)}


def test_a_folder_that_takes_no_rows_is_one_line(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(BenchError, match=r"deployments.json' can't be written \("):
        store_deployments(tmp_path / "a file", [row("a")])


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[1, null]", '[{"run": "a"}]', '[{"run": 1, "format": "onnx"}]', "[" * 10000]
)
def test_a_damaged_file_has_no_rows(tmp_path, text):
    (tmp_path / DEPLOYMENTS).write_text(text)
    assert read_deployments(tmp_path) == []


def test_an_odd_row_is_left_out_and_the_others_stay(tmp_path):
    store_deployments(tmp_path, [row("a"), row("b", "litert")])
    values = json.loads((tmp_path / DEPLOYMENTS).read_text())
    values[0]["latency_ms_p50"] = "fast"
    values[1]["of a newer version"] = 1
    (tmp_path / DEPLOYMENTS).write_text(json.dumps(values))
    assert [r.run for r in read_deployments(tmp_path)] == ["b"]


def test_a_table_has_the_best_model_first_and_keras_before_its_files(results):
    (board,) = boards(results)
    assert board.labels == ["deeplab:resnet50", "unet"]
    shown = [(r.label, r.cells["format"], r.cells["precision"]) for r in board.rows]
    assert shown[:3] == [("deeplab:resnet50", form, kind) for form, kind, *_ in FORMS]
    assert "1 thread" in board.title and "pets" in board.title
    assert board.rows[1].cells["drift"] == "+0.1000 [+0.0900, +0.1100]"
    assert board.rows[3].cells["note"] == "PyTorch has no int8"
    assert board.rows[3].cells["mean_iou"] == board.rows[3].cells["drift"] == MISSING
    assert [name for name in board.columns if name.startswith("iou ")] == [f"iou {name}" for name in CLASSES]


def test_times_of_a_busy_machine_are_marked_and_those_of_a_quiet_one_are_not(results):
    trial = load([results]).trials[0]
    name = trial.folder.name
    store_deployments(trial.folder, [row(name, others_share=0.4), row(name, "litert", others_share=0.05)])
    (board,) = boards(results)
    times = {r.cells["format"]: r.cells["latency_ms_p50"] for r in board.rows if r.deployment.others_share}
    assert times == {"onnx": "~20.0", "litert": "20.0"}
    assert board.notes == ["~: timed while other processes took up to 40% of its cores."]
    assert board.notes[0] in " ".join(board.markdown()).replace("\\", "")


def test_other_threads_and_devices_have_tables_of_their_own(results):
    trial = load([results]).trials[0]
    store_deployments(trial.folder, [row(trial.folder.name, threads=2, device="a CPU, 2 of 2 cores")])
    assert [board.title.rpartition(", ")[2] for board in boards(results)] == ["1 thread", "2 threads"]


def test_the_report_has_the_table_and_the_plot(results):
    report = write_report([results])
    page = (results / "report" / "index.html").read_text()
    assert 'id="deployed"' in page and "Quality against latency in each form" in page
    assert "PyTorch has no int8" in page
    assert "## Deployed: pets" in (results / "report" / "LEADERBOARD.md").read_text()
    assert {path.name for path in report.files} >= {"1-forms-deployed.svg", "1-forms-deployed.png"}


def test_in_a_terminal_the_reasons_stand_below_the_table(results):
    (board,) = boards(results)
    assert "unet as torch in int8: PyTorch has no int8" in str(board.terminal_table().caption)


def test_a_report_without_measured_forms_has_no_section(tmp_path):
    write_results(tmp_path / "r", [fake_config("unet")])
    write_report([tmp_path / "r"])
    assert 'id="deployed"' not in (tmp_path / "r" / "report" / "index.html").read_text()


def test_rows_without_times_make_no_plot(tmp_path):
    write_results(tmp_path / "r", [fake_config("unet")])
    (trial,) = load([tmp_path / "r"]).trials
    store_deployments(trial.folder, [row("a", latency_ms_p50=None)])
    (board,) = boards(tmp_path / "r")
    assert deployment_plot(board, tmp_path, "1-forms") is None


def test_the_best_form_within_the_limits_is_recommended(results):
    (board,) = boards(results)
    found = choose_forms(board, "any", {"max_latency_ms": 30})
    assert [(r.label, r.deployment.precision) for r in found.kept] == [
        ("deeplab:resnet50", "float32"),
        ("deeplab:resnet50", "int8"),
        ("unet", "float32"),
        ("unet", "int8"),
    ]
    assert found.advice.startswith("Take deeplab:resnet50 as onnx in float32: 4 of 6 forms")
    assert not choose_forms(board, "keras", {"max_latency_ms": 30}).kept
    with pytest.raises(BenchError, match="--max-params is no limit for a form"):
        choose_forms(board, "any", {"max_params": 3})


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--format", "any", "--max-latency-ms", "10"], 0, "Take deeplab:resnet50 as onnx in int8"),
        (["--format", "any", "--max-latency-ms", "1"], 1, "None of 6 forms is within the limits"),
        (["--format", "onx"], 2, "Did you mean 'onnx'"),
        (["--format", "any", "--dataset", "cars"], 2, "on the data set 'cars' has been measured"),
    ],
)
def test_the_command_recommends_forms(results, arguments, code, text):
    done = CliRunner().invoke(app, ["recommend", str(results), *arguments])
    assert done.exit_code == code
    assert text in done.output.replace("\n", " ")


def test_the_drift_is_paired_over_the_images():
    rng = np.random.default_rng(0)
    hard = rng.integers(0, 100, (50, 1, 3))  # images differ a lot, the two forms hardly
    one, other = (hard + np.array(added) for added in ((10, 0, 0), (9, 1, 0)))
    groups = [str(n) for n in range(50)]
    drawn = bootstrap([[x.reshape(50, -1)] for x in (one, other)], groups, lambda sums: sums[..., 0] / sums.sum(-1))
    drift = drawn[0].drift_from(drawn[1])
    assert drift.mean == pytest.approx(50 / (one.sum()), rel=1e-6)
    assert 0 < drift.low < drift.high and drift.high - drift.low < 0.2 * drift.mean
    assert drawn[0].minus(drawn[1]) is None  # one seed each
    same = drawn[0].drift_from(drawn[0])
    assert same.mean == same.low == same.high == 0 and math.isfinite(same.high)


def test_threads_beyond_the_cores_are_refused():
    check_threads([1])
    with pytest.raises(BenchError, match=r"--threads is 0\. Accepted: 1 to"):
        check_threads([1, 0])
    with pytest.raises(BenchError, match="the cores of this process"):
        check_threads([len(usable_cores()) + 1])


def test_a_measurement_has_only_its_cores_and_the_process_gets_its_own_back():
    before = usable_cores()
    with cores(1) as device:
        assert len(usable_cores()) == 1
    assert usable_cores() == before
    assert device.endswith(f"1 of {len(before)} cores")


@needs_browser
def test_the_page_keeps_the_rows_that_have_a_form_of_the_format_within_the_limits(results, tmp_path):
    page = write_report([results], tmp_path / "out").files[0]
    every, some, none, address, command = told(
        page,
        tmp_path,
        """
        const labels = () => Array.from(boards[0].tBodies[0].rows, (row) => row.dataset.label);
        const text = (id) => document.getElementById(id).textContent;
        type("format", "onnx"); told.push(labels());
        type("min_mean_iou", "0.75"); told.push(labels());
        type("max_latency_ms", "1"); type("max_params", "1"); told.push(document.querySelector(".choice").textContent);
        told.push(location.hash, text("command"))""",
    )
    assert sorted(every) == ["deeplab:resnet50", "unet"] and some == ["deeplab:resnet50"]
    assert none.startswith("No row is deployed as onnx and within the limits.")
    assert "format=onnx" in address
    assert command == (
        f"bench recommend {results} --format onnx --min-mean-iou 0.75 --max-latency-ms 1  # without the limits that "
        "forms don't have"
    )
