"""Models that segbench didn't train: their terms, inputs and outputs, and what is refused; no backend is needed."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.deployment.format import Port
from bench.deployment.others.checks import keras_archive, saved_model_graph
from bench.deployment.others.contract import Contract, contract_of
from bench.deployment.others.kinds import KINDS, find_kind
from bench.deployment.others.model_files import files_of, hash_of, inside
from bench.deployment.others.model_input import model_input
from bench.deployment.others.model_output import chosen_output, doubt_about, model_output

CLASSES = ("pet", "background", "border")
TWO = ("sea", "ship")


def taken(shape, **terms):
    return model_input([Port("x", shape, "float32")], Contract(**{"scale": 1.0, **terms}))


def given(raw, size=(2, 2), data=CLASSES, layout="NCHW", port=None, **terms):
    """The logits of what a graph gives."""
    port = port or Port("y", raw.shape, str(raw.dtype))
    return model_output(raw, port, Contract(**terms), data, layout).logits(raw, size)


@pytest.mark.parametrize(
    ("shape", "terms", "layout", "size"),
    [
        ((1, 3, 64, 96), {}, "NCHW", (64, 96)),
        ((1, 64, 96, 3), {}, "NHWC", (64, 96)),
        ((None, 3, None, None), {"image_size": (32, 48)}, "NCHW", (32, 48)),
        ((1, None, None, 3), {"image_size": (32, 48)}, "NHWC", (32, 48)),
        (None, {"image_size": (32, 48), "layout": "NHWC"}, "NHWC", (32, 48)),
        ((1, 3, 3, 3), {"layout": "NCHW"}, "NCHW", (3, 3)),
        ((1, 32, 32, 3), {"image_size": (64, 64), "tile": (32, 32)}, "NHWC", (32, 32)),
    ],
)
def test_layout_and_size_are_those_of_the_input(shape, terms, layout, size):
    found = taken(shape, **terms)
    assert (found.layout, found.size) == (layout, size)


@pytest.mark.parametrize(
    ("shape", "terms", "reason"),
    [
        ((1, 3, 64, 64), {"layout": "NHWC"}, "which is NCHW, but --layout is NHWC"),
        ((1, 3, 64, 3), {}, "[Gg]ive --layout NHWC or NCHW"),
        ((1, None, None, None), {"image_size": (8, 8)}, "[Gg]ive --layout NHWC or NCHW"),
        ((1, 1, 64, 64), {}, "no axis of 3 channels"),
        ((1, 3, None, None), {}, r"any size \(1 x 3 x \? x \?\)\. Give --image-size"),
        ((1, 3, 64, 64), {"image_size": (32, 32)}, r"1 x 3 x 64 x 64 \(NCHW\), but --image-size is 32x32"),
        ((4, 3, 64, 64), {}, "one picture at a time"),
        ((64, 64, 3), {}, "one picture at a time"),
    ],
)
def test_an_input_that_does_not_fit_is_one_line_with_both_sides(shape, terms, reason):
    with pytest.raises(BenchError, match=reason):
        taken(shape, **terms)


def test_several_inputs_are_refused():
    with pytest.raises(BenchError, match=r"2 inputs \(a, b\)"):
        model_input([Port("a", (1, 8, 8, 3), "float32"), Port("b", (1,), "float32")], Contract(scale=1.0))


def test_floats_need_a_range_and_stored_pictures_take_none():
    with pytest.raises(BenchError, match="takes float32, and nothing says of which range"):
        model_input([Port("x", (1, 8, 8, 3), "float32")], Contract())
    assert model_input([Port("x", (1, 8, 8, 3), "uint8")], Contract()).size == (8, 8)
    with pytest.raises(BenchError, match="takes uint8, pictures as they are stored"):
        model_input([Port("x", (1, 8, 8, 3), "uint8")], Contract(scale=1 / 255))
    with pytest.raises(BenchError, match="takes int64"):
        model_input([Port("x", (1, 8, 8, 3), "int64")], Contract(scale=1.0))


def test_pictures_are_scaled_then_centred_in_the_models_own_order_of_channels():
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    pictures[..., 0], pictures[..., 2] = 255, 51
    found = taken((1, 3, 2, 2), scale=1 / 255, mean=(0.5, 0, 0), std=(0.5, 1, 2), channels="BGR").of(pictures)
    assert found.shape == (1, 3, 2, 2) and found.dtype == np.float32 and found.flags.c_contiguous
    # blue 51 / 255 = 0.2, (0.2 - 0.5) / 0.5 = -0.6; green 0; red 1, 1 / 2 = 0.5
    np.testing.assert_allclose(found[0, :, 0, 0], [-0.6, 0, 0.5], rtol=1e-6)


def test_quantised_inputs_get_whole_numbers_and_quantised_outputs_become_real_ones():
    pictures = np.full((1, 1, 1, 3), 255, np.uint8)
    found = model_input([Port("x", (1, 1, 1, 3), "int8", 1 / 255, -128)], Contract(scale=1 / 255)).of(pictures)
    assert found.dtype == np.int8 and found.ravel().tolist() == [127, 127, 127]  # 1 / (1 / 255) - 128
    raw = np.array([10, 12, 14], np.int8).reshape(1, 1, 1, 3)
    logits = given(raw, (1, 1), layout="NHWC", output="logits", port=Port("y", raw.shape, "int8", 0.5, 12))
    assert logits.ravel().tolist() == [-1, 0, 1]


def test_channels_are_found_in_either_layout_and_put_into_the_data_sets_order():
    raw = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    assert given(raw, output="logits").shape == (1, 2, 2, 3)
    np.testing.assert_array_equal(given(raw, output="logits")[0, 0, 0], [0, 4, 8])
    named = given(raw, output="logits", classes=("border", "pet", "background"))
    np.testing.assert_array_equal(named[0, 0, 0], [4, 8, 0])
    other = given(raw.transpose(0, 2, 3, 1), layout="NHWC", output="logits")
    np.testing.assert_array_equal(other, given(raw, output="logits"))


def test_several_channels_of_one_class_count_together():
    raw = np.array([0.3, 0.3, 0.4], np.float32).reshape(1, 3, 1, 1)
    logits = given(raw, (1, 1), TWO, output="probabilities", classes=("ship", "ship", "sea"))
    sea, ship = np.exp(logits[0, 0, 0])
    assert ship / sea == pytest.approx(0.6 / 0.4, rel=1e-5)
    assert logits.argmax() == 1  # no single channel of ships is the greatest


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (1, 3, 4, 1), (1, 3, 4)])
@pytest.mark.parametrize("holds", ["probabilities", "logits"])
def test_one_channel_is_that_of_class_one(shape, holds):
    values = np.linspace(0.1, 0.9, 12, dtype=np.float32)
    raw = (values if holds == "probabilities" else np.log(values / (1 - values))).reshape(shape)
    logits = given(raw, (3, 4), data=TWO, output=holds)
    np.testing.assert_allclose(1 / (1 + np.exp(-(logits[..., 1] - logits[..., 0]))).ravel(), values, rtol=1e-4)
    assert logits.argmax(-1).ravel().tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 1, 2, 2), (1, 2, 2, 1)])
def test_a_map_of_whole_numbers_is_recognised_and_maps_of_floats_must_be_said(shape):
    raw = np.array([0, 1, 2, 1], np.int64).reshape(shape)
    assert given(raw).argmax(-1).ravel().tolist() == [0, 1, 2, 1]
    assert given(raw.astype(np.float32), output="classes").argmax(-1).ravel().tolist() == [0, 1, 2, 1]
    assert given(raw, classes=("border", "pet", "background")).shape == (1, 2, 2, 3)
    with pytest.raises(BenchError, match="has the value 2"):
        given(raw, data=TWO)
    with pytest.raises(BenchError, match=r"has the value 0\.5"):
        given(raw / 2, output="classes")


def test_smaller_outputs_are_scaled_as_the_evaluation_scales_and_maps_by_the_nearest():
    raw = np.zeros((1, 3, 1, 2), np.float32)
    raw[0, 1, 0] = [0, 4]
    np.testing.assert_allclose(given(raw, (1, 4), output="logits")[0, 0, :, 1], [0, 1, 3, 4])  # bilinear, pixel centres
    found = given(np.array([[[0, 2]]]), (2, 4)).argmax(-1)
    assert found.tolist() == [[[0, 0, 2, 2], [0, 0, 2, 2]]]


@pytest.mark.parametrize(
    ("raw", "terms", "reason"),
    [
        (np.zeros((1, 21, 4, 4), np.float32), {"output": "logits"}, r"1 x 21 x 4 x 4.*3 classes \(pet, background"),
        (np.zeros((1, 1, 4, 4), np.float32), {"output": "logits"}, "so 3 channels are accepted"),
        (np.zeros((1, 3, 4, 4), np.float32), {}, "doesn't tell what it holds"),
        (np.zeros((1, 3, 4, 4), np.int32), {"output": "logits"}, "give --output classes"),
        (np.zeros((1, 3, 4, 4), np.int32), {}, "a map of classes is 1 x height x width"),
        (np.full((1, 3, 4, 4), 2, np.float32), {"output": "probabilities"}, "which aren't probabilities"),
        (np.full((1, 3, 4, 4), np.nan, np.float32), {"output": "logits"}, "aren't finite"),
        (np.zeros((1, 2, 4, 4), np.float32), {"output": "logits", "classes": ("pet", "dog")}, "class 'dog' is none"),
        (np.zeros((1, 2, 4, 4), np.float32), {"output": "logits", "classes": ("pet", "border")}, "'background' of"),
    ],
)  # fmt: skip
def test_an_output_that_does_not_fit_is_one_line_with_both_sides(raw, terms, reason):
    with pytest.raises(BenchError, match=reason):
        given(raw, (4, 4), **terms)


def test_probabilities_that_are_called_logits_are_doubted():
    raw = np.full((1, 3, 2, 2), 1 / 3, np.float32)
    port = Port("y", raw.shape, "float32")
    said = model_output(raw, port, Contract(output="logits"), CLASSES, "NCHW")
    assert "probabilities" in doubt_about(raw, said)
    assert not doubt_about(raw - 0.5, said)


def test_one_of_several_outputs_must_be_named():
    ports = [Port("aux", (1,), "float32"), Port("out", (1,), "float32")]
    assert chosen_output(ports, Contract(output_name="out")) == 1
    with pytest.raises(BenchError, match=r"2 outputs\. Give one with --output-name: aux, out"):
        chosen_output(ports, Contract())
    with pytest.raises(BenchError, match="none is 'x'"):
        chosen_output(ports, Contract(output_name="x"))


def test_options_win_over_the_file_and_all_is_kept(tmp_path):
    file = tmp_path / "model.json"
    file.write_text(json.dumps({
        "input": {"layout": "NCHW", "scale": 0.5, "mean": [0.1, 0.2, 0.3]}, "output": {"values": "logits"},
        "classes": list(TWO), "image_size": [64, 32], "threshold": 0.4, "min_area": 5, "tiles": None,
    }))  # fmt: skip
    found, said = contract_of(file, {"scale": "1/255", "output": "Probabilities", "mean": None, "image_size": "48"})
    assert found.scale == 1 / 255 and found.mean == (0.1, 0.2, 0.3) and found.output == "probabilities"
    assert found.image_size == (48, 48) and found.layout == "NCHW" and found.threshold == 0.4
    assert said["min_area"] == found.min_area == 5
    assert Contract.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"scale": "0"}, "--scale is 0"),
        ({"scale": "1/0"}, "--scale is '1/0'"),
        ({"scale": "1,2"}, "one number above 0"),
        ({"scale": "nan"}, "--scale is 'nan'"),
        ({"mean": "1,2"}, "--mean has 2 numbers"),
        ({"std": "1,0,1"}, "--std has 0"),
        ({"layout": "HWC"}, "Unknown value of --layout 'HWC'"),
        ({"output": "softmax"}, "Available: logits, probabilities, classes"),
        ({"threshold": 1.5}, "--threshold is 1.5"),
        ({"min_area": -1, "threshold": 0.5}, "--min-area is -1"),
        ({"min_area": 5}, "--min-area needs --threshold"),
        ({"image_size": "big"}, "--image-size is 'big'"),
        ({"eval_size": "native", "resize": "crop"}, "needs whole images"),
    ],
)
def test_a_term_that_cannot_be_read_is_one_line(terms, reason):
    with pytest.raises(BenchError, match=reason):
        contract_of(None, terms)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "can't be read"),
        ("[]", "it holds no table"),
        ('{"classes": "pet"}', "'classes' in .* Accepted: a list of texts"),
        ('{"image_size": [1, 2, 3]}', "Accepted: height and width"),
        ('{"input": {"layout": "CHW"}}', "Unknown value of 'input.layout'"),
        ('{"image_size": [0, 8]}', "sides of 1 pixel or more"),
        ("[" * 1000, "can't be read"),
    ],
)
def test_an_odd_model_json_is_one_line(tmp_path, text, reason):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(BenchError, match=reason):
        contract_of(tmp_path / "model.json", {})


@pytest.mark.parametrize("name", ["n.pt", "n.pth", "n.PKL", "pytorch_model.bin", "n.ckpt", "n.pt2", "n.joblib"])
def test_files_that_may_hold_pickles_are_refused_and_onnx_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BenchError, match=r"may hold a pickle.* export it as ONNX"):
        find_kind(tmp_path / name)


def test_other_names_are_refused_with_what_is_accepted(tmp_path):
    for name, reason in (("net.h5", "no safe mode"), ("net.txt", "no file of a model"), ("net", "no file of a model")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(BenchError, match=rf"{reason}.*Accepted: \.onnx, \.tflite"):
            find_kind(tmp_path / name)
    with pytest.raises(BenchError, match="There is no model"):
        find_kind(tmp_path / "gone.onnx")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BenchError, match="no SavedModel"):
        find_kind(tmp_path / "folder")
    (tmp_path / "folder" / "net.onnx").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"It has 'net\.onnx': give that file"):
        find_kind(tmp_path / "folder")
    (tmp_path / "net.xml").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"put 'net\.bin' beside it"):
        find_kind(tmp_path / "net.xml")


def test_a_runtime_that_is_missing_is_named_with_its_pip_line(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.deployment.others.kinds.installed", lambda name: False)
    for name, line in (("net.onnx", r"segbench\[onnx\]"), ("net.tflite", r"segbench\[litert\]")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(BenchError, match=f"pip install '{line}'"):
            find_kind(tmp_path / name)
    (tmp_path / "sm").mkdir()
    (tmp_path / "sm" / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(BenchError, match="opened by TensorFlow: pip install"):
        find_kind(tmp_path / "sm")


def test_a_models_files_are_plain_and_the_hash_is_of_all_of_them(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    for name, text in (("saved_model.pb", "a"), ("variables/data", "b")):
        (folder / name).write_text(text)
    before = hash_of(files_of(folder))
    (folder / "variables" / "data").write_text("changed")
    assert hash_of(files_of(folder)) != before
    monkeypatch.setattr("bench.deployment.others.model_files.MOST_BYTES", 7)
    with pytest.raises(BenchError, match="MiB"):
        files_of(folder)
    monkeypatch.undo()
    os.symlink("/etc/passwd", folder / "assets")
    with pytest.raises(BenchError, match="it is a link"):
        files_of(folder)


@pytest.mark.parametrize(
    "location", ["../w.bin", "/w.bin", "a/../../w.bin", "link", "gone", "linked/w.bin", "", "a\0b"]
)
def test_external_data_lie_beside_the_file_only(tmp_path, location):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "w.bin").write_text("secret")
    os.symlink(tmp_path / "w.bin", home / "link")
    os.symlink(tmp_path, home / "linked")
    with pytest.raises(ValueError, match="it names"):
        inside(home, location)
    (home / "w.bin").write_text("x")
    assert inside(home, "w.bin") == home / "w.bin"


def archive(path, config, weights=b"", **others):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
        for name, content in others.items():
            file.writestr(name, content)
    return path


def layer(kind, module="keras.layers", **values):
    return {"module": module, "class_name": kind, "config": {}, "registered_name": None, **values}


def inside_model(*layers):
    return {**layer("Functional", "keras.src.models.functional"), "config": {"layers": list(layers)}}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (layer("Lambda"), "a layer Lambda, which runs code"),
        ({"class_name": "__lambda__", "config": {"value": "4wE="}}, "__lambda__, which runs code"),
        (layer("TFSMLayer"), "TFSMLayer"),
        (layer("Mine", None, registered_name="Custom>Mine"), "'Custom>Mine', which is none of Keras's own"),
        (layer("system", "os"), r"module os"),
        (layer("function", "keras.utils", config="get_file"), "none of Keras's own"),
        (layer("function", "builtins", config="eval"), "none of Keras's own"),
        (layer("Dense", "kerasx.layers"), "none of Keras's own"),
        (layer("Dense", "keras.layers/../evil"), "none of Keras's own"),
        ({"class_name": "Conv2D", "registered_name": "x"}, "none of Keras's own"),
    ],
)
def test_a_keras_file_that_names_code_is_refused(tmp_path, odd, reason):
    with pytest.raises(BenchError, match=reason):
        keras_archive.check(archive(tmp_path / "net.keras", inside_model(layer("Conv2D"), {"deep": [odd]})))


def test_a_bomb_and_names_outside_of_an_archive_are_refused(tmp_path):
    with pytest.raises(BenchError, match="which is too much"):
        keras_archive.check(archive(tmp_path / "bomb.keras", inside_model(), b"\0" * 50_000_000))
    for name in ("../up", "/root", "a\\b"):
        with pytest.raises(BenchError, match="outside of it"):
            keras_archive.check(archive(tmp_path / "net.keras", inside_model(), **{name: b"x"}))


def test_broken_archives_are_one_line(tmp_path):
    for number, content in enumerate((b"", b"PK", b"no archive" * 100)):
        (tmp_path / f"{number}.keras").write_bytes(content)
        with pytest.raises(BenchError, match=r"no whole \.keras file"):
            keras_archive.check(tmp_path / f"{number}.keras")
    with zipfile.ZipFile(tmp_path / "lacking.keras", "w") as file:
        file.writestr("metadata.json", "{}")
    with pytest.raises(BenchError, match=r"it has no config\.json"):
        keras_archive.check(tmp_path / "lacking.keras")
    with pytest.raises(BenchError, match=r"no whole \.keras file"):
        keras_archive.check(archive(tmp_path / "weights.keras", inside_model(), b"no HDF5"))


def test_weights_that_lie_elsewhere_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(3)
    for kind in ("link", "soft", "external"):
        with h5py.File(tmp_path / "w.h5", "w") as file:
            group = file.create_group("layers")
            if kind == "link":
                group["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
            elif kind == "soft":
                group["x"] = h5py.SoftLink("/elsewhere")
            else:
                group.create_dataset("x", (3,), "f8", external=[(str(tmp_path / "raw"), 0, 24)])
        with pytest.raises(BenchError, match=r"link to others|lie in another file"):
            keras_archive.check(archive(tmp_path / "net.keras", inside_model(), (tmp_path / "w.h5").read_bytes()))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Nothing to score"),
        (["run", "--model", "x.onnx"], "Both a run ('run') and --model"),
        (["--model", "x.onnx"], "--model needs the data set"),
        (["--model", "x.onnx", "--dataset", "shapes"], "There is no model 'x.onnx'"),
        (["--model", "x.onnx", "--dataset", "shapes", "--tta", "flips"], "--tta is for runs"),
        (["run", "--scale", "1"], "--scale is for --model"),
        (["run", "--unseen"], "--unseen is for --model"),
        (["--model", "x.onnx", "--dataset", "shapes", "--timeout", "soon"], "--timeout is 'soon'"),
    ],
)
def test_a_command_that_means_nothing_is_one_line(arguments, text):
    done = CliRunner().invoke(app, ["evaluate", *arguments])
    assert done.exit_code == 2 and text in done.output.replace("\n", " "), done.output


def test_every_kind_has_a_title_and_says_what_opens_it():
    assert set(KINDS) == {"onnx", "litert", "openvino", "saved_model", "keras"}
    for kind in KINDS.values():
        assert kind.title and (not kind.needs or kind.extra)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("hidden", ["top", "function", "restore"])
@pytest.mark.parametrize("kind", ["WriteFile", "SnapshotDatasetV2", "CSVDataset", "LMDBReader", "DebugIdentityV3"])
def test_a_saved_model_that_reads_or_writes_files_is_refused_wherever_the_operation_hides(tmp_path, kind, hidden):
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    if hidden == "top":
        graph.graph_def.node.add(name="odd", op=kind)
    else:
        function = graph.graph_def.library.function.add()
        function.signature.name = "inner"
        function.node_def.add(name="odd", op=kind)
        graph.graph_def.node.add(name="call", op="StatefulPartitionedCall").attr["f"].func.name = "inner"
        graph.saver_def.restore_op_name = "call" if hidden == "restore" else ""
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(BenchError, match=f"has the operation {kind}, which does more than compute"):
        saved_model_graph.check(tmp_path)


@pytest.mark.parametrize("odd", ["loop", "datatype"])
def test_weights_that_lie_in_themselves_or_are_no_numbers_end_the_check(odd):
    h5py = pytest.importorskip("h5py")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("layers")
        group["layers" if odd == "loop" else "kind"] = group if odd == "loop" else np.dtype("f4")
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr("model.weights.h5", buffer.getvalue())
    with zipfile.ZipFile(archived) as archive:
        if odd == "loop":
            keras_archive._check_weights(archive, "m.keras")
        else:
            with pytest.raises(BenchError, match="'kind' are no numbers"):
                keras_archive._check_weights(archive, "m.keras")
