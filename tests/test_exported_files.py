"""Exported files of a real trial: made by one process per backend, compared with each other, run by their examples."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from running import CONFIG, run

from bench.core.child_process import ask
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.deployment.deploy import deploy
from bench.deployment.export_run import Variant, export
from bench.deployment.format import LIMITS, PRECISIONS
from bench.deployment.formats import FORMATS
from bench.deployment.model_json import EXAMPLE, MANIFEST
from bench.deployment.others.contract import contract_of
from bench.deployment.others.evaluate_other import data_config, evaluate_other
from bench.evaluation.image_table import read_table
from bench.report.findings.deployment_tables import deployment_boards
from bench.results.deployed.deployment_rows import deployment, store_deployments
from bench.results.loading import load
from bench.results.trial_files import IMAGES
from bench.trials.plan import prepare_pack
from bench.trials.saved.stored_trials import trained_config

pytestmark = pytest.mark.needs("tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai_edge_litert", "openvino", "nncf")

FOLDING = """
import keras
from keras import ops
from bench.plugin import architecture


class Inverse(keras.layers.Layer):
    def call(self, x):
        return ops.erfinv(ops.tanh(x))


@architecture(name="fold_net")
def build_fold_net(input_shape, num_classes, *, filters=4):
    inputs = keras.Input(input_shape)
    x = Inverse(name="inverse_error")(keras.layers.Conv2D(filters, 3, padding="same")(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, dtype="float32")(x))
"""


def trained(folder, backend, config):
    (record,) = run([replace(config, backend=backend, keep_weights="all")], results=folder)
    assert record.status == "ok", record.reason
    (trial,) = load([folder]).trials
    return trial


@pytest.fixture(scope="module")
def trial(tmp_path_factory, quick_backend):
    return trained(tmp_path_factory.mktemp("export") / "r", quick_backend, CONFIG)


@pytest.fixture(scope="module")
def exported(trial, tmp_path_factory):
    """Every variant that TensorFlow makes, in one process, by its name."""
    forms = [form for form in FORMATS.values() if form.backend == "tensorflow"]
    variants = [Variant(form, precision) for form in forms for precision in PRECISIONS]
    found = export(trial, trained_config(trial), variants, tmp_path_factory.mktemp("files"), calibration=5)
    return {one.variant.name: one for one in found}


def test_every_variant_is_written_or_says_why_it_does_not_exist(exported):
    assert {name: one.failed for name, one in exported.items() if one.failed} == {}
    for name, one in exported.items():
        assert bool(one.folder) != bool(one.empty), name
    assert len([one for one in exported.values() if one.folder]) == 10


def test_files_give_keras_logits_within_the_limit_of_their_precision(exported):
    for one in (one for one in exported.values() if one.facts):
        check = one.facts["check"]
        assert check["drift"] <= LIMITS.get(one.variant.precision, 0.3), one.variant.name
        assert check["images"] == 8


def test_the_graph_takes_pictures_as_they_are_stored(exported):
    for one in (one for one in exported.values() if one.facts):
        assert one.facts["input"]["shape"] == [1, 32, 32, 3] and one.facts["input"]["dtype"] == "uint8"


def test_int8_is_calibrated_on_training_images_and_computes_in_it(exported):
    for form in ("onnx", "litert", "openvino"):
        facts = exported[f"{form}-int8"].facts
        assert facts["calibration"] == {"split": "train", "images": 5}
        assert facts["check"]["computed_in"].startswith("int8"), form
        assert exported[f"{form}-float32"].facts["calibration"] is None


def example(one, image, folder):
    """Run the example beside a file, where nothing of segbench is on the path; return its counts of pixels."""
    np.save(folder / "image.npy", image)
    environment = {**os.environ, "PYTHONWARNINGS": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-P", str(one.folder / EXAMPLE), str(folder / "image.npy")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["onnx-float32", "onnx-int8", "litert-float32", "litert-int8", "openvino-float32"])
def test_the_example_predicts_the_classes_of_keras(name, exported, trial, tmp_path):
    pack = prepare_pack(trained_config(trial))
    image = pack.images[pack.indexes("test")[0]]
    counts = example(exported[name], image, tmp_path)
    assert list(counts) == list(pack.classes) and sum(counts.values()) == 32 * 32
    reference = example(exported["onnx-float32"], image, tmp_path)
    most = 0 if name.endswith("float32") and "openvino" not in name else 32 * 32 // 10
    assert sum(abs(counts[c] - reference[c]) for c in counts) <= 2 * most


@pytest.mark.slow
def test_the_example_of_a_saved_model_runs(exported, trial, tmp_path):
    image = prepare_pack(trained_config(trial)).images[0]
    assert example(exported["saved_model-float32"], image, tmp_path) == example(
        exported["onnx-float32"], image, tmp_path
    )


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_a_program_of_pytorch_is_made_checked_and_run(trial, tmp_path):
    variants = [Variant(FORMATS["torch"], "float32")]
    for dynamic in (False, True):
        (one,) = export(trial, trained_config(trial), variants, tmp_path / "out", dynamic_batch=dynamic)
        assert one.facts["check"]["drift"] <= LIMITS["float32"]
        assert one.facts["input"]["shape"][0] is (None if dynamic else 1) or one.facts["input"]["shape"][0] == 1
    image = prepare_pack(trained_config(trial)).images[0]
    assert sum(example(one, image, tmp_path).values()) == 32 * 32


@pytest.mark.slow
def test_files_of_any_batch_give_the_logits_of_eight_images_at_once(trial, tmp_path):
    forms = [form for form in FORMATS.values() if form.backend == "tensorflow" and not form.fixed_batch]
    variants = [Variant(form, "float32") for form in forms]
    for one in export(trial, trained_config(trial), variants, tmp_path / "out", dynamic_batch=True):
        assert not one.failed
        assert one.facts["input"]["shape"] == [None, 32, 32, 3]


@pytest.mark.slow
def test_a_layer_that_a_format_lacks_is_named_and_the_other_formats_are_written(tmp_path, quick_backend):
    (tmp_path / "fold_net.py").write_text(FOLDING)
    config = TrialConfig("fold_net", "shapes", image_size=(32, 32), plugin=str(tmp_path / "fold_net.py"))
    trial = trained(tmp_path / "r", quick_backend, replace(config, budget=Budget(2, "steps")))
    config = trained_config(trial, plugin=tmp_path / "fold_net.py")
    variants = [Variant(FORMATS[name], "float32") for name in ("litert", "onnx", "openvino", "saved_model")]
    *lacking, saved = export(trial, config, variants, tmp_path / "out")
    for one in lacking:
        assert one.failed.startswith(f"{one.variant.form.title} can't express the layer 'inverse_error'"), one.failed
        assert "Erfinv" in one.failed
    assert saved.folder and not saved.failed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["saved_model-float32"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx-float32", "litert-float32", "saved_model-float32", "openvino-float32"])
def test_a_file_of_ones_own_has_the_score_of_its_run_as_a_model_from_elsewhere(name, exported, trial, tmp_path):
    one = exported[name]
    contract, said = contract_of(one.folder / MANIFEST, {})
    config = data_config(trial.record.config["dataset"], None, {}, contract)
    results = trial.folder.parents[1]
    model = one.folder / one.facts["file"]
    record, path = evaluate_other(model, contract, said, config, results, timeout=600.0)
    most = 1e-2 if "openvino" in name else 1e-4  # it computes in bfloat16 here
    for metric in ("mean_iou", "pixel_accuracy"):
        assert record.metrics[metric] == pytest.approx(trial.record.metrics[metric], abs=most)
    assert record.dataset["fingerprint"] == trial.record.dataset["fingerprint"] and "trained it" in record.unseen
    assert read_table(path.with_suffix(".parquet")).names == read_table(trial.folder / IMAGES).names


@pytest.mark.slow
def test_a_corrupt_file_is_one_line(exported, trial, tmp_path):
    for name in ("onnx-float32", "litert-float32", "openvino-float32"):
        one = exported[name]
        broken = tmp_path / one.facts["file"]
        broken.write_bytes(b"no model")
        np.save(tmp_path / "images.npy", np.zeros((1, 32, 32, 3), np.uint8))
        request = {"form": one.variant.form.name, "file": str(broken), "threads": 1}
        request["images"] = str(tmp_path / "images.npy")
        (answer,) = ask("bench.deployment.measure:measure_file", [request], None, 300)
        assert "can't be opened" in answer["error"] and "unexpected" not in answer, answer


@pytest.mark.slow
def test_deployed_forms_are_scored_timed_and_compared_with_the_trial(trial):
    variants = [Variant(FORMATS["onnx"], kind) for kind in ("float32", "int8")]
    variants.append(Variant(FORMATS["saved_model"], "int8"))
    rows = list(deploy(trial, trained_config(trial), variants, [1], views=["flips", "scales"], calibration=5))
    store_deployments(trial.folder, map(deployment, rows))
    by_views = {view: [row for row in rows if row["tta"] == view] for view in ("", "flips", "scales")}
    keras, whole, small, lacking = by_views[""]
    mirrored, whole_mirrored, small_mirrored = by_views["flips"]
    (scaled,) = by_views["scales"]
    assert mirrored["metrics"]["mean_iou"] == pytest.approx(whole_mirrored["metrics"]["mean_iou"], abs=1e-3)
    assert mirrored["agreement"] < 1
    for row in (keras, whole, small, mirrored, whole_mirrored, small_mirrored, scaled):
        assert row["latency_ms_p50"] > 0 and row["load_seconds"] > 0 and row["process_peak_mib"] > 0
        assert row["drift_low"] <= row["drift"] <= row["drift_high"]
        assert set(row["metrics"]["iou"]) == set(trial.record.dataset["classes"])
    assert keras["metrics"]["mean_iou"] == pytest.approx(trial.record.metrics["mean_iou"], abs=1e-4)
    assert keras["agreement"] == 1 and whole["agreement"] > 0.999 and abs(whole["drift"]) < 1e-3
    assert small["computes"].startswith("int8") and small["size_mib"] > 0
    assert lacking["empty"] and "metrics" not in lacking
    (board,) = deployment_boards([trial])
    assert len(board.rows) == 8
    assert [row.cells["format"] for row in board.rows[:3]] == ["keras", "keras, flips", "keras, scales"]


@pytest.mark.slow
def test_weights_that_are_gone_are_one_line(tmp_path, quick_backend):
    trial = trained(tmp_path / "r", quick_backend, replace(CONFIG, seed=1))
    config = trained_config(trial)
    trial.weights.unlink()
    (one,) = export(trial, config, [Variant(FORMATS["onnx"], "float32")], tmp_path / "out")
    assert "are gone" in one.failed
    with pytest.raises(BenchError, match="gone"):
        next(deploy(trial, config, [Variant(FORMATS["onnx"], "float32")], [1]))
