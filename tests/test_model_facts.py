"""The facts of models that a child process finds: sizes, stages, and whether weights and layers fit."""

import h5py
import pytest

from bench.config import catalog, grid
from bench.core.errors import BenchError
from bench.results.store import ResultsFolder
from bench.trials import preflight
from bench.trials.plan import plan


def one(**options):
    (config,) = grid.expand({"arch": "unet", "dataset": "shapes", "image_size": 64, **options})
    return config


@pytest.fixture
def no_child(monkeypatch):
    """Answers must come from the cache."""
    monkeypatch.setattr("bench.trials.preflight._ask", None)


@pytest.fixture(scope="module")
def small():
    config = one(param=["filters=[4,8]", "batch_norm=false"])
    return config, preflight.diagram(config)


def test_the_diagram_goes_from_the_image_to_the_logits(small):
    _, facts = small
    stages = {s["stage"]: (s["stride"], s["channels"], s["params"]) for s in facts["stages"]}
    assert list(stages) == ["images", "encoder0", "encoder1", "decoder1", "logits"]
    assert stages["encoder0"] == (1, 4, 9 * 3 * 4 + 4 + 9 * 4 * 4 + 4)
    assert stages["encoder1"] == (2, 8, 9 * 4 * 8 + 8 + 9 * 8 * 8 + 8)
    assert stages["logits"] == (1, 3, 4 * 3 + 3)
    assert facts["params"] == sum(stage["params"] for stage in facts["stages"])
    assert facts["gflops"] > 0


def test_the_second_time_nothing_is_built(small, no_child):
    config, facts = small
    assert preflight.diagram(config) == facts


def test_what_is_asked_for_nothing_is_built(no_child):
    preflight.check_models(
        [one(backbone="mobilenet_v2", freeze_encoder=0.5), one(backbone="mobilenet_v2", weights="imagenet")]
    )


def test_a_drawing_without_pydot_or_graphviz_is_one_line(monkeypatch, tmp_path, no_child):
    config = one()
    monkeypatch.setattr("bench.trials.preflight.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("bench.trials.preflight.shutil.which", lambda name: None)
    with pytest.raises(
        BenchError, match=r"needs pydot and graphviz \(the program dot\). Install pydot with pip install pydot"
    ):
        preflight.plot(config, tmp_path / "unet.png")


def refusal(tmp_path, **options):
    """Plan a trial that must be refused before any trial is prepared, and return the message."""
    with pytest.raises(BenchError) as error:
        plan([one(backbone="mobilenet_v2", **options)], ResultsFolder(tmp_path / "results"), ["a CPU"])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_layer_is_refused_before_the_first_trial(tmp_path):
    message = refusal(tmp_path, freeze_encoder=0.5, unfreeze_from="blok_1_expand")
    assert "Unknown layer of the backbone 'blok_1_expand'. Did you mean 'block_1_expand'" in message


def test_weights_of_another_shape_are_refused_before_the_first_trial(tmp_path):
    import keras

    inputs = keras.Input((8, 8, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    file = tmp_path / "other.weights.h5"
    other.save_weights(file)
    message = refusal(tmp_path, weights=str(file))
    assert f"The weights file '{file}' doesn't fit mobilenet_v2" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "deeplab", "backbone": "vgg16"}, "Unknown backbone for deeplab 'vgg16'"),
        ({"arch": "segnet", "backbone": "convnext_tiny"}, "Unknown backbone for segnet 'convnext_tiny'"),
        ({"arch": "deeplab", "param": ["output_stride=12"]}, "'output_stride' of deeplab is 12. Accepted: 16, 8"),
        ({"arch": "pspnet", "param": ["output_stride=4"]}, "'output_stride' of pspnet is 4. Accepted: 8, 16, 32"),
        (
            {"param": ["filterz=3"]},
            "Did you mean 'filters'? It has: filters (list, (64, 128, 256, 512, 1024)), depth (int",
        ),
        ({"param": ["kernel_size=big"]}, "The parameter 'kernel_size' of unet is of type int, but got 'big'"),
    ],
)
def test_what_an_architecture_can_t_have_is_one_line(options, message):
    with pytest.raises(BenchError) as error:
        one(**options)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_every_architecture_can_be_listed_by_name():
    assert {"unet", "fcn8", "segnet", "pspnet", "deeplab_v3", "deeplab"} <= set(catalog.architectures().names())


@pytest.mark.parametrize("content", [b"#!/bin/sh\necho weights\n", b"", b"\x89HDF\r\n\x1a\n", "cut off"])
def test_a_dry_run_names_a_weights_file_that_is_no_whole_hdf5_file(tmp_path, content, no_child):
    file = tmp_path / "given.h5"
    if content == "cut off":
        with h5py.File(file, "w") as whole:
            whole["kernel"] = [0.0] * 10_000
        content = file.read_bytes()[:-5_000]
    file.write_bytes(content)
    with pytest.raises(BenchError, match=r"weights file '.*given\.h5' can't be read .*Accepted: none, imagenet or"):
        preflight.check_weights_files([one(arch="deeplab", weights=str(file))])


def test_whole_weights_files_and_the_words_for_none_pass_a_dry_run(tmp_path, no_child):
    with h5py.File(tmp_path / "given.h5", "w") as whole:
        whole["kernel"] = [0.0]
    named = ("none", "imagenet", str(tmp_path / "given.h5"))
    preflight.check_weights_files([one(arch="deeplab", weights=weights) for weights in named])
