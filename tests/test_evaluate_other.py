"""Others' models from file to record and report; the graphs are made by hand and their answers are known."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from fake_results import CLASSES, fake_config, fake_record, write_trial
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.deployment.others.adapter import Adapted
from bench.deployment.others.contract import Contract
from bench.deployment.others.evaluate_other import data_config, evaluate_other
from bench.deployment.others.kinds import KINDS
from bench.evaluation.image_table import read_table
from bench.report.findings.other_models_board import MAY_HAVE_SEEN
from bench.report.render import write_report
from bench.results.deployed import other_models
from bench.results.deployed.other_models import NOT_TRAINED_HERE, other_model, read_others, store_other
from bench.results.loading import load
from bench.results.merged.merging import merge
from bench.results.trial_files import IMAGES

SIDE = 16
SCALED = {"scale": 1 / 255, "output": "logits"}
ONE_CHANNEL = {"weights": ((4, 0, 0),), "bias": (-2,)}  # above 0 where red is above 0.5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images that are red where their class is 1: what a graph that looks at red gets right."""
    folder = tmp_path_factory.mktemp("red")
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for number in range(20):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        top, left = rng.integers(1, SIDE // 2, 2)
        mask[top : top + 6, left : left + 6] = 1
        image = np.stack([np.where(mask, 220, 30), np.full_like(mask, 90), np.full_like(mask, 10)], axis=-1)
        Image.fromarray(image.astype(np.uint8)).save(folder / "images" / f"s{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"s{number}.png")
    return folder


def red_net(
    path, *, side=SIDE, kind="FLOAT", layout="NCHW", weights=((-1, 0, 0), (1, 0, 0)), bias=(0.5, -0.5), tail=()
):
    """Write a graph whose logits are linear in the channels: by default class 1 where red is above 0.5.

    Args:
        tail: further operations, each with its attributes, on the logits (1, C, H, W).
    """
    from onnx import TensorProto, helper, numpy_helper, save

    sides = {"NCHW": [1, 3, side, side], "NHWC": [1, side, side, 3]}[layout]
    nodes, name = [], "x"
    if kind != "FLOAT":
        nodes.append(helper.make_node("Cast", [name], ["cast"], to=TensorProto.FLOAT))
        name = "cast"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [name], ["moved"], perm=[0, 3, 1, 2]))
        name = "moved"
    nodes.append(helper.make_node("Conv", [name, "w", "b"], ["y0"]))
    for number, (operation, attributes) in enumerate(tail):
        nodes.append(helper.make_node(operation, [f"y{number}"], [f"y{number + 1}"], **attributes))
    last, whole = f"y{len(tail)}", any(operation == "ArgMax" for operation, _ in tail)
    given = {
        "w": np.array(weights, np.float32).reshape(len(weights), 3, 1, 1),
        "b": np.array(bias, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("x", getattr(TensorProto, kind), sides)],
        [helper.make_tensor_value_info(last, TensorProto.INT64 if whole else TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, key) for key, values in given.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def evaluate(model, data, results, *, said=None, **terms):
    options = {name: terms.pop(name) for name in ("split", "timeout", "unseen", "backend") if name in terms}
    contract = Contract(**terms)
    config = data_config(f"folder:{data}", None, {}, contract)
    return evaluate_other(model, contract, said or {}, config, results, **{"timeout": 300.0, **options})


@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_a_graph_with_a_known_answer_has_its_score_time_and_hash(data, tmp_path):
    model = red_net(tmp_path / "net.onnx")
    record, path = evaluate(model, data, tmp_path / "r", **SCALED)
    assert record.kind == NOT_TRAINED_HERE and record.metrics["mean_iou"] == 1
    assert record.latency_ms_p50 > 0 and record.process_peak_mib > 0 and record.load_seconds > 0
    assert record.size_mib == pytest.approx(model.stat().st_size / 2**20)
    assert record.unseen == "" and record.input["layout"] == "NCHW"
    table = read_table(path.with_name(json.loads(path.read_text(encoding="utf-8"))["table"]))
    assert len(table.names) == record.dataset["images"] and table.counts.sum() > 0
    again, same = evaluate(model, data, tmp_path / "r", **SCALED, unseen=True)
    assert same == path and again.sha256 == record.sha256 and again.unseen == "the user says so"
    ((stored, where),) = read_others([tmp_path / "r"])[0]
    assert [where] == [*path.parent.glob("*.parquet")] and stored.unseen == again.unseen
    assert not list((tmp_path / "r").rglob(".*part*"))


@pytest.mark.needs("onnx", "onnxruntime")
@pytest.mark.parametrize(
    ("net", "terms"),
    [
        ({"kind": "UINT8", "bias": (127, -127)}, {"output": "logits"}),
        ({"layout": "NHWC"}, SCALED),
        ({"tail": [("Softmax", {"axis": 1})]}, {"scale": 1 / 255, "output": "probabilities"}),
        ({"tail": [("ArgMax", {"axis": 1, "keepdims": 0})]}, {"scale": 1 / 255}),
        ({"tail": [("ArgMax", {"axis": 1, "keepdims": 1})]}, {"scale": 1 / 255}),
        ({**ONE_CHANNEL, "tail": [("Sigmoid", {})]}, {"scale": 1 / 255, "output": "probabilities"}),
        (ONE_CHANNEL, SCALED),
        ({"weights": ((1, 0, 0), (-1, 0, 0)), "bias": (-0.5, 0.5)}, {**SCALED, "classes": ("red", "not")}),
        ({"weights": ((0, 0, -1), (0, 0, 1))}, {**SCALED, "channels": "BGR"}),
        ({"bias": (0, 0)}, {"scale": 1 / 255, "mean": (0.5,), "std": (0.25,), "output": "logits"}),
    ],
)
def test_every_way_of_input_and_output_gives_the_known_answer(net, terms, data, tmp_path):
    loaded = KINDS["onnx"].open(red_net(tmp_path / "net.onnx", **net))
    model = Adapted(loaded, Contract(**terms), ("not", "red"))
    for number in range(3):
        image, mask = (np.asarray(Image.open(data / part / f"s{number}.png")) for part in ("images", "masks"))
        np.testing.assert_array_equal(model.logits(image[None]).argmax(-1)[0], mask)


@pytest.mark.slow
@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_native_size_thresholds_and_tiles_give_the_known_answer(data, tmp_path):
    halves = {"image_size": (SIDE, SIDE), "tile": (SIDE // 2, SIDE // 2)}
    for side, terms in ((SIDE, {"eval_size": "native", "threshold": 0.4}), (SIDE // 2, halves)):
        record, _ = evaluate(red_net(tmp_path / "net.onnx", side=side), data, tmp_path / "r", **SCALED, **terms)
        assert record.metrics["mean_iou"] == 1
        assert "threshold" not in terms or record.metrics["tuned"]["threshold"] == 0.4


@pytest.mark.slow
@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_a_smaller_output_is_resized_and_loses_at_borders_only(data, tmp_path):
    half = red_net(tmp_path / "net.onnx", tail=[("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]})])
    record, _ = evaluate(half, data, tmp_path / "r", **SCALED)
    assert record.output["shape"] == [1, 2, SIDE // 2, SIDE // 2] and 0.7 < record.metrics["mean_iou"] < 1


@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_what_fails_stores_nothing(data, tmp_path):
    model = red_net(tmp_path / "net.onnx", weights=((1, 0, 0),) * 3, bias=(0, 0, 0))
    for terms, reason in (
        (SCALED, "1 x 3 x 16 x 16, but the data set has 2 classes"),
        ({**SCALED, "image_size": (8, 8)}, "but --image-size is 8x8"),
        ({**SCALED, "timeout": 0.01}, "no answer within 0.01 s"),
    ):
        with pytest.raises(BenchError, match=reason):
            evaluate(model, data, tmp_path / "r", **terms)
    assert not (tmp_path / "r").exists()


@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_a_process_that_takes_too_much_memory_is_ended(data, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.deployment.others.evaluate_other.free_memory", lambda: 2**20)
    with pytest.raises(BenchError, match=r"it held .* GiB, and 0\.0 GiB are its limit\. Nothing was stored"):
        evaluate(red_net(tmp_path / "net.onnx"), data, tmp_path / "r", **SCALED)


@pytest.mark.slow
@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_corrupt_custom_and_reaching_files_are_one_line(data, tmp_path):
    from onnx import TensorProto, helper, load, save

    whole = red_net(tmp_path / "net.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.onnx").write_bytes(b"hello")
    model = load(str(tmp_path / "net.onnx"))
    model.graph.node.append(helper.make_node("Magic", ["y0"], ["z"], domain="of.somebody"))
    save(model, str(tmp_path / "custom.onnx"))
    model = load(str(tmp_path / "net.onnx"))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    save(model, str(tmp_path / "reaching.onnx"))
    reasons = {
        "cut": "no whole ONNX",
        "text": "no whole ONNX",
        "custom": "'Magic' of 'of.somebody'",
        "reaching": "beside",
    }
    for name, reason in reasons.items():
        with pytest.raises(BenchError, match=reason) as error:
            evaluate(tmp_path / f"{name}.onnx", data, tmp_path / "r", **SCALED)
        assert "\n" not in str(error.value)


@pytest.mark.needs("onnx", "onnxruntime", "jax")
def test_the_command_says_what_it_took_and_warns(data, tmp_path):
    model = red_net(tmp_path / "net.onnx")
    line = ["evaluate", "--model", str(model), "--dataset", f"folder:{data}", "--results", str(tmp_path / "r")]
    done = CliRunner().invoke(app, [*line, "--scale", "1/255", "--output", "logits"])
    text = " ".join(done.output.split())
    assert done.exit_code == 0 and "Input: float32 NCHW, RGB, images resized to 16x16" in text
    assert "may have seen the test images" in text and "(the data set's order)" in text
    refused = CliRunner().invoke(app, [*line, "--output", "logits"])
    assert refused.exit_code == 2 and "nothing says of which range" in refused.output


@pytest.mark.slow
@pytest.mark.needs("jax")
def test_a_keras_file_is_opened_on_a_backend_and_a_lambda_is_refused(data, tmp_path):
    script = (
        "import keras, numpy as np\n"
        "i = keras.Input((16, 16, 3)); d = keras.layers.Conv2D(2, 1); m = keras.Model(i, d(i))\n"
        "d.set_weights([np.array([[[[-1., 1.], [0, 0], [0, 0]]]]), np.array([.5, -.5])]); m.save('net.keras')\n"
        "keras.Model(i, keras.layers.Lambda(lambda x: x)(m(i))).save('lambda.keras')\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONWARNINGS": ""}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, timeout=300)
    record, _ = evaluate(tmp_path / "net.keras", data, tmp_path / "r", **SCALED, backend="jax")
    assert record.metrics["mean_iou"] == 1 and record.format == "keras" and record.input["layout"] == "NHWC"
    with pytest.raises(BenchError, match="has a layer Lambda, which runs code"):
        evaluate(tmp_path / "lambda.keras", data, tmp_path / "r", **SCALED)
    with pytest.raises(BenchError, match=r"--backend is for \.keras files"):
        (tmp_path / "x.onnx").write_bytes(b"x")
        evaluate(tmp_path / "x.onnx", data, tmp_path / "r", **SCALED, backend="jax")


@pytest.fixture
def results(tmp_path):
    """A results folder with a run of two seeds, and a model of somebody else on the same images with its numbers."""
    folder = tmp_path / "results"
    for seed in (0, 1):
        write_trial(folder, *fake_record(fake_config("unet", seed=seed)), samples=0)
    trial = load([folder]).trials[0]
    record = made_up(trial)
    store_other(folder, record, trial.folder / IMAGES)
    return folder


def made_up(trial, **changes):
    record = trial.record
    config = record.config
    values = {
        "kind": NOT_TRAINED_HERE, "model": "theirs.onnx", "sha256": "ab" * 32, "format": "onnx", "split": "test",
        "dataset": {
            "name": config["dataset"], "fingerprint": record.dataset["fingerprint"], "images": 12,
            "classes": list(CLASSES), "notes": [],
        },
        "eval_size": "train", "image_size": list(config["image_size"]), "protocol_version": record.protocol_version,
        "metrics": dict(record.metrics), "contract": {"resize": "stretch"}, "input": {}, "output": {}, "unseen": "",
        "size_mib": 1.0, "threads": 1, "device": "a CPU", "finished": "2026-11-30T20:00:00+00:00", "segbench": "0",
        "latency_ms_p50": 12.5, "computes": "float32",
    }  # fmt: skip
    return replace(other_model(values), **changes)


def test_the_report_has_them_apart_compared_with_the_best_run_and_in_no_ranking(results):
    report = write_report([results])
    page = (results / "report" / "index.html").read_text(encoding="utf-8")
    text = (results / "report" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert 'id="others"' in page and MAY_HAVE_SEEN in page and "theirs.onnx" in page
    part = text[text.index("## Not trained here: pets") :]
    assert "theirs.onnx" in part and "Difference from unet" in part
    assert "theirs" not in text[: text.index("## Not trained here")]
    assert all("theirs" not in row.label for group in report.groups for row in group.rows)
    assert "theirs" not in (results / "report" / "leaderboard.csv").read_text(encoding="utf-8")


def test_the_difference_is_from_a_run_of_the_same_images_only(results):
    trial = load([results]).trials[0]
    other = made_up(trial, dataset={**made_up(trial).dataset, "fingerprint": "another"}, model="b.onnx")
    store_other(results, other, trial.folder / IMAGES)
    write_report([results])
    text = (results / "report" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert text.count("Difference from unet") == 1 and text.count("## Not trained here") == 2


def test_letterboxed_images_are_another_size():
    record = made_up(type("T", (), {"record": fake_record(fake_config("unet"))[0]}))
    assert record.evaluation_size.count(" ") == 0
    assert replace(record, contract={"resize": "letterbox"}).evaluation_size.endswith(" letterbox")
    assert replace(record, eval_size="native").evaluation_size == "native"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "trial"}, {"metrics": 3}, {"sha256": None}, {"dataset": {}}, {"image_size": "64"},
        {"table": "../images.parquet"}, {"latency_ms_p50": "fast"},
        {"dataset": {"name": "a", "fingerprint": "b", "images": "c", "classes": []}},
    ],
)  # fmt: skip
def test_an_odd_record_is_named_and_the_others_stay(results, change):
    (path,) = (results / "others").rglob("*.json")
    bad = path.with_name("bad.json")
    bad.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    for number, text in enumerate(("", "[", "[]", "[" * 5000)):
        bad.with_name(f"bad{number}.json").write_text(text, encoding="utf-8")
    found, problems = read_others([results])
    assert [record.model for record, _ in found] == ["theirs.onnx"] and len(problems) == 5
    write_report([results])
    assert "bad.json can" in (results / "report" / "LEADERBOARD.md").read_text(encoding="utf-8").replace("\\", "")


def test_a_crash_before_the_record_leaves_the_former_one_with_its_own_table(results, monkeypatch):
    ((record, table),) = read_others([results])[0]
    names, trial = read_table(table).names, load([results]).trials[1]

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(other_models, "write_json", crash)
        with pytest.raises(KeyboardInterrupt):
            store_other(results, replace(record, finished="2031"), trial.folder / IMAGES)
    ((now, same),) = read_others([results])[0]
    assert (now, same) == (record, table) and read_table(same).names == names
    store_other(results, replace(record, finished="2031"), trial.folder / IMAGES)
    ((now, new),) = read_others([results])[0]
    assert now.finished == "2031" and [*table.parent.glob("*.parquet")] == [new] != [table]


def test_a_record_of_an_older_version_has_its_table_under_its_own_name(results):
    ((record, table),) = read_others([results])[0]
    (path,) = (results / "others").rglob("*.json")
    values = json.loads(path.read_text(encoding="utf-8"))
    table.rename(path.with_suffix(".parquet"))
    del values["table"]
    path.write_text(json.dumps(values), encoding="utf-8")
    ((_, found),) = read_others([results])[0]
    assert found == path.with_suffix(".parquet") and read_table(found).names
    store_other(results, record, found)
    assert not found.exists() and len([*path.parent.glob("*.parquet")]) == 1


def test_a_table_that_is_gone_leaves_the_score(results):
    (path,) = (results / "others").rglob("*.parquet")
    path.unlink()
    write_report([results])
    text = (results / "report" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert "theirs.onnx" in text and "is no readable" in text  # a long path leaves no room for the rest


def test_a_merge_writes_nowhere_else_and_follows_no_link(results, tmp_path):
    ((record, table),) = read_others([results])[0]
    odd = store_other(results, replace(record, sha256="../../../up", model="../x"), table)
    assert odd.resolve().is_relative_to((results / "others").resolve())
    secret = tmp_path / "secret"
    secret.write_text("secret")
    table.unlink()
    table.symlink_to(secret)
    merged = merge([results], tmp_path / "merged")
    assert any("it has no file" in problem for problem in merged.problems)
    assert all(path.read_bytes() != b"secret" for path in (tmp_path / "merged").rglob("*.parquet"))


def test_a_merge_brings_them_and_keeps_the_latest(results, tmp_path):
    out = tmp_path / "merged"
    assert not merge([results], out).problems
    ((record, table),) = read_others([out])[0]
    assert record.model == "theirs.onnx" and read_table(table).names
    store_other(results, replace(record, finished="2020-01-01T00:00:00+00:00"), table)
    merge([results], out)
    assert read_others([out])[0][0][0].finished == record.finished
    store_other(results, replace(record, finished="2030-01-01T00:00:00+00:00"), table)
    merge([results], out)
    assert read_others([out])[0][0][0].finished.startswith("2030")
