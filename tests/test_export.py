"""What `bench export` promises without a conversion: variants, limits, places, leftovers, maps."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bench.core.child_process import ChildEnded
from bench.core.errors import BenchError
from bench.core.files import MARK
from bench.deployment import export_run
from bench.deployment.class_maps import agreement, packed, write_maps
from bench.deployment.conversion_errors import layer_in, reason_in
from bench.deployment.export_run import Exported, Variant, export
from bench.deployment.format import LIMITS, PRECISIONS, check_drift, shares
from bench.deployment.formats import FORMATS
from bench.deployment.model_json import MANIFEST
from bench.deployment.variants import read_variants


@pytest.fixture(autouse=True)
def _everything_installed(monkeypatch):
    monkeypatch.setattr("bench.deployment.format.installed", lambda package: True)


def names(variants):
    return [variant.name for variant in variants]


def test_formats_and_precisions_are_multiplied_each_once():
    found, left_out = read_variants("onnx,litert,onnx", "float32, int8")
    assert names(found) == ["onnx-float32", "onnx-int8", "litert-float32", "litert-int8"] and not left_out
    assert len(read_variants("all", "all")[0]) == len(FORMATS) * len(PRECISIONS)


@pytest.mark.parametrize(
    ("formats", "precisions", "message"),
    [
        ("onx", "float32", "Unknown --format 'onx'. Did you mean 'onnx'?"),
        ("onnx", "int4", "Unknown --precision 'int4'."),
        ("", "float32", "Unknown --format ''."),
    ],
)
def test_an_unknown_name_is_named_with_those_that_there_are(formats, precisions, message):
    with pytest.raises(BenchError) as error:
        read_variants(formats, precisions)
    assert message in str(error.value)


def test_a_package_that_is_missing_is_named_with_its_pip_line(monkeypatch):
    monkeypatch.setattr("bench.deployment.format.installed", lambda package: package not in ("onnxruntime", "nncf"))
    with pytest.raises(BenchError, match=r"ONNX needs onnxruntime: pip install 'segbench\[onnx\]'"):
        read_variants("onnx,litert", "float32")
    found, left_out = read_variants("all", "float32")
    assert names(found) == ["litert-float32", "saved_model-float32", "torch-float32"]
    assert [line.split(" needs ")[0] for line in left_out] == ["Left out: ONNX", "Left out: OpenVINO"]


def test_without_a_backend_that_converts_the_line_names_it(monkeypatch):
    monkeypatch.setattr("bench.deployment.format.installed", lambda package: False)
    with pytest.raises(BenchError, match="through TensorFlow, which is not installed: pip install"):
        read_variants("all", "float32")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_each_format_can_do_float32_and_says_why_it_lacks_a_precision(form):
    assert not form.why_not("float32", dynamic_batch=False)
    assert set(form.missing) <= set(PRECISIONS) and all(form.missing.values())
    assert len([line for line in form.example.splitlines() if line]) <= 16
    compile(form.example, "example.py", "exec")


@pytest.mark.parametrize(("precision", "limit"), LIMITS.items())
def test_a_file_that_drifts_beyond_its_limit_is_refused_with_the_figure(precision, limit):
    check_drift("ONNX", precision, limit)
    with pytest.raises(BenchError, match=f"differ by .* of the largest, and the limit is {limit:g}"):
        check_drift("ONNX", precision, 1.1 * limit)
    for broken in (float("nan"), float("inf")):
        with pytest.raises(BenchError, match="other logits than Keras"):
            check_drift("ONNX", precision, broken)


def test_int8_that_destroys_the_result_is_written_with_a_flag(tmp_path):
    check_drift("ONNX", "int8", 0.9)
    int8 = Variant(FORMATS["onnx"], "int8")
    assert "bench deploy" in Exported(int8, tmp_path, {"check": {"drift": 0.9}}).flag
    assert not Exported(int8, tmp_path, {"check": {"drift": 0.05}}).flag


def answering(answers):
    """Stand in for the child process: write a file, or answer as given."""

    def ask(target, requests, backend, timeout):
        for request in requests:
            with open(f"{request['into']}/{FORMATS[request['form']].file}", "wb") as file:
                file.write(b"a model")
        return [answers for _ in requests]

    return ask


MADE = {
    "input_shape": [1, 8, 8, 3],
    "dtype": "uint8",
    "drift": 1e-6,
    "checked": 8,
    "calibration": 0,
    "computes": "float32",
    "input": "images",
    "output": "logits",
    "opset": 17,
}


@pytest.fixture
def trial(tmp_path):
    record = SimpleNamespace(
        metrics={"tuned": {"threshold": 0.4, "min_area": 16}},
        dataset={"classes": ["sea", "ship"], "fingerprint": "f"},
        config={"arch": "unet", "backbone": None, "dataset": "pets", "seed": 0, "backend": "jax"},
    )
    return SimpleNamespace(folder=tmp_path / "unet_pets_s0", record=record, weights=None)


@pytest.fixture
def config():
    from bench.core.trial_config import TrialConfig

    return replace(TrialConfig("unet", "pets"), image_size=(16, 16))


ONNX = Variant(FORMATS["onnx"], "float32")


def test_the_description_says_all_that_a_program_needs(tmp_path, monkeypatch, trial, config):
    monkeypatch.setattr(export_run, "ask", answering(MADE))
    (one,) = export(trial, config, [ONNX], tmp_path / "out")
    facts = json.loads((one.folder / MANIFEST).read_text())
    assert facts == one.facts
    assert facts["input"]["shape"] == [1, 8, 8, 3] and facts["input"]["dtype"] == "uint8"
    assert facts["tiles"] == {"size": [8, 8], "overlap": 0.25}  # the images are larger than the model
    assert (facts["classes"], facts["threshold"], facts["min_area"]) == (["sea", "ship"], 0.4, 16)
    assert facts["files"]["model.onnx"]["bytes"] == len(b"a model") and facts["opset"] == 17
    assert facts["source"]["run"] == "unet_pets_s0"
    assert not list((tmp_path / "out").glob(".*"))


def test_a_variant_that_fails_leaves_nothing_and_the_older_file_stays(tmp_path, monkeypatch, trial, config):
    out = tmp_path / "out"
    monkeypatch.setattr(export_run, "ask", answering(MADE))
    export(trial, config, [ONNX], out)
    monkeypatch.setattr(export_run, "ask", answering({"error": "ONNX can't express the layer 'fold'"}))
    (one,) = export(trial, config, [ONNX], out)
    assert one.failed == "ONNX can't express the layer 'fold'" and one.folder is None
    assert [path.name for path in out.iterdir()] == ["onnx-float32"]
    assert (out / "onnx-float32" / MANIFEST).is_file()


def test_a_variant_that_does_not_exist_is_an_empty_cell(tmp_path, monkeypatch, trial, config):
    monkeypatch.setattr(export_run, "ask", answering(MADE))
    lacking = Variant(FORMATS["saved_model"], "int8")
    one, other = export(trial, config, [lacking, ONNX], tmp_path / "out")
    assert one.empty == FORMATS["saved_model"].missing["int8"] and not one.failed and other.folder
    fixed, free = export(trial, config, [replace(ONNX, form=FORMATS["litert"]), ONNX], tmp_path, dynamic_batch=True)
    assert fixed.empty == FORMATS["litert"].fixed_batch and free.folder


def test_if_no_variant_exists_that_is_an_error_and_no_folder_is_made(tmp_path, trial, config):
    with pytest.raises(BenchError, match="None of these variants exists: a SavedModel keeps"):
        export(trial, config, [Variant(FORMATS["saved_model"], "int8")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_no_export_made_is_not_replaced(tmp_path, monkeypatch, trial, config):
    monkeypatch.setattr(export_run, "ask", None)
    (tmp_path / "out" / ONNX.name).mkdir(parents=True)
    with pytest.raises(BenchError, match=r"no export made it\. Move it, or give another --out"):
        export(trial, config, [ONNX], tmp_path / "out")


def test_an_out_that_is_a_file_is_one_line(tmp_path, trial, config):
    (tmp_path / "out").write_text("")
    with pytest.raises(BenchError, match="can't be written"):
        export(trial, config, [ONNX], tmp_path / "out")


def test_what_a_killed_export_left_is_removed_but_not_that_of_one_that_runs(tmp_path, monkeypatch, trial, config):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    out = tmp_path / "out"
    left, running = (out / f".{pid}{MARK}litert-int8" for pid in (ended.pid, os.getppid()))
    for folder in (left, running):
        folder.mkdir(parents=True)
    monkeypatch.setattr(export_run, "ask", answering(MADE))
    export(trial, config, [ONNX], out)
    assert not left.exists() and running.exists()


def test_an_interrupted_export_leaves_no_folder(tmp_path, monkeypatch, trial, config):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_run, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(trial, config, [ONNX], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_agreement_counts_pixels_of_images_of_any_size(tmp_path):
    ones = [np.zeros((2, 3), np.uint8), np.ones((4, 4), np.uint8)]
    others = [ones[0].copy(), ones[1].copy()]
    others[1][0, :2] = 2  # 2 of 22 pixels
    for name, maps in (("one.npz", ones), ("other.npz", others)):
        write_maps(tmp_path / name, [packed(classes) for classes in maps])
    assert agreement(tmp_path / "one.npz", tmp_path / "other.npz") == pytest.approx(20 / 22)
    assert agreement(tmp_path / "one.npz", tmp_path / "one.npz") == 1


def test_the_precision_of_most_convolutions_comes_first():
    assert shares(["int8", "int8"]) == "int8"
    assert shares(["float32", "int8", "int8"]) == "int8 (2 of 3 convolutions), float32 (1)"
    assert shares([]) == "float32"


def test_a_conversion_that_is_killed_is_the_reason_of_its_variants_and_those_of_other_backends_follow(
    tmp_path, monkeypatch, trial, config
):
    def ask(target, requests, backend, timeout):
        if backend == "tensorflow":
            raise ChildEnded("killed by SIGKILL")
        return answering(MADE)(target, requests, backend, timeout)

    monkeypatch.setattr(export_run, "ask", ask)
    torch = Variant(FORMATS["torch"], "float32")
    one, other = export(trial, config, [ONNX, torch], tmp_path / "out")
    assert one.failed == "the process that converts ended: killed by SIGKILL" and other.folder
    assert [path.name for path in (tmp_path / "out").iterdir()] == [torch.name]


NAMES = ("images", "encoder1_conv", "inverse", "decoder2_0_inverse")
LITERT = (
    'Could not translate MLIR to FlatBuffer.<unknown>:0: error: loc(callsite(fused["Erfinv:", '
    '"deployed_1/fold_net_1/decoder2_0_inverse_1/erfinv/Erfinv@__inference_function_177"] at '
    'fused["StatefulPartitionedCall:", "StatefulPartitionedCall_1"]))): '
    "'tf.Erfinv' op is neither a custom op nor a flex op\n"
    '<unknown>:0: note: {tf_saved_model.index_path = ["images"]} encoder1_conv'
)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        (LITERT, "decoder2_0_inverse"),
        (
            "Bad node spec for node. Name: deployed_1/fold_net_1/decoder2_0_inverse_1/erfinv/Erfinv",
            "decoder2_0_inverse",
        ),
        ("failed:\nat encoder1_conv/BiasAdd", "encoder1_conv"),
        ("decoder2_0_inverses are unknown", ""),
        ("out of memory", ""),
        ("", ""),
    ],
)
def test_the_layer_is_the_one_at_which_the_converter_failed(text, layer):
    assert layer_in(text, NAMES) == layer


def test_a_reason_has_no_locations_and_fits_a_few_lines():
    assert reason_in(LITERT) == (
        "Could not translate MLIR to FlatBuffer. 'tf.Erfinv' op is neither a custom op nor a flex op"
    )
    assert len(reason_in("x" * 5000)) < 320 and reason_in("") == ""
