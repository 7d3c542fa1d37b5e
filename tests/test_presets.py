"""The presets: published recipes as `--config` files, and the sizes of their models."""

import math
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.config import catalog, given, grid, presets
from bench.core.errors import BenchError
from bench.training.models.heads import build_with_head


def planned(name, **options):
    """Return the preset's trials; on `shapes` if its data set isn't there."""
    file = given.read_toml(presets.find(Path(name)))
    if name == "gpu-speed":
        return grid.configs({"measure": "speed", **options}, file)
    named = file.grid.get("dataset")
    return grid.configs(options if named in catalog.datasets() else {"dataset": "shapes", **options}, file)


def built(config, num_classes):
    """Build a trial's model with random weights."""
    builder, shape = catalog.load_builder(catalog.architecture(config)), (*config.image_size, 3)
    return build_with_head(
        builder, shape, num_classes, config.head, backbone=config.backbone, weights=None, **config.params
    )


def params(config, num_classes):
    """Count the parameters of a trial's model, all and trainable."""
    model = built(config, num_classes)
    return model.count_params(), sum(math.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_resolves_and_its_head_says_what_was_published(name):
    assert planned(name)
    text = presets.find(Path(name)).read_text()
    assert text.startswith("# ") and "# Published" in text
    assert presets.summary(name).endswith(".")


def test_the_carvana_unet_has_the_notebook_s_parameters_and_both_divisions():
    configs = planned("carvana-unet-128")
    assert [c.dataset_params.get("split", "group") for c in configs] == ["random", "group"]
    (config, _) = configs
    assert (config.image_size, config.params["upsampling"], config.augment) == ((128, 128), "nearest", "flip+rotate8")
    assert params(config, 2) == (34_540_737, 34_527_041)


def test_the_airbus_unet_is_small_and_trained_at_two_sizes():
    configs = planned("airbus-unet-small")
    assert [c.image_size for c in configs] == [(768, 768), (256, 256)]
    assert {(c.batch_size, c.loss, c.schedule, c.eval_size) for c in configs} == {
        (5, "dice", "steps@0.5,0.8", "native")
    }
    assert [c.dataset_params for c in configs] == [{"balance_ships": 200, "sample_splits": "train"}] * 2
    levels = [3, 16, 32, 64, 128, 256]
    down = sum(9 * a * b + b + 9 * b * b + b for a, b in pairwise(levels))
    # Up: 2x2 transposed convolution, then two 3x3 convolutions, the first over the skip as well.
    up = sum(4 * 2 * b * b + b + 9 * 2 * b * b + b + 9 * b * b + b for b in levels[1:-1])
    assert params(configs[1], 2) == (down + up + 2 * 16 + 2,) * 2


def test_the_pets_presets_freeze_imagenet_encoders():
    configs = planned("pets-mobilenets")
    assert [c.pair for c in configs] == [
        "unet:mobilenet_v2", "fcn8:mobilenet", "segnet:mobilenet", "pspnet:mobilenet", "deeplab:mobilenet",
    ]  # fmt: skip
    assert {(c.weights, c.freeze_encoder, c.fine_tune_lr_factor) for c in configs} == {("imagenet", 0.5, 0.1)}
    assert {c.eval_size for c in configs} == {"native"}  # so that both image sizes stand in one table


def test_the_tutorial_s_unet_has_its_parameters():
    (config,) = planned("carvana-mobilenet-pix2pix")
    model = built(replace(config, head="softmax"), 3)
    # 3x3 transposed convolutions with batch norm over features and skips of 320, 576, 192 and 144 channels, then 96.
    up = 9 * (320 * 512 + (512 + 576) * 256 + (256 + 192) * 128 + (128 + 144) * 64) + 2 * (512 + 256 + 128 + 64)
    trainable = up + 9 * (64 + 96) * 3 + 3
    decoder = [v for layer in model.layers if "backbone_" not in layer.name for v in layer.trainable_variables]
    assert sum(math.prod(v.shape) for v in decoder) == trainable == 4_660_323
    assert model.count_params() == 6_504_227 + 4 * 320  # a batch norm that the tutorial's encoder ends in front of
    assert model.output_shape == (None, 128, 128, 3)


def test_the_two_presets_of_carvana_differ_by_the_encoder_and_the_decoder_alone():
    (one,), (other,) = planned("carvana-mobilenet-pix2pix"), planned("carvana-resnet50")
    assert (one.freeze_encoder, one.augment, one.class_weights, one.trace) == (0.5, "flip", "balanced", True)
    assert replace(one, backbone=other.backbone, params=other.params) == other


def test_the_trials_of_the_unet_are_all_16_and_the_first_six_change_one_thing_at_a_time():
    configs = planned("unet-trials")
    values = [(c.lr, c.batch_size, c.params.get("kernel_size", 3)) for c in configs]
    assert sorted(values) == sorted(product([1e-5, 1e-4, 1e-3, 1e-2], [8, 16], [3, 5]))
    changes = [(lr != 1e-3) + (batch != 16) + (kernel != 3) for lr, batch, kernel in values]
    assert sorted(changes[:6]) == [0, 1, 1, 1, 1, 1]
    assert {(c.dataset, str(c.budget)) for c in configs} == {("pets", "10epochs")}


@pytest.mark.parametrize(("old", "new"), [("unet-six-trials", "unet-trials"), ("pets-unet-encoders", "carvana-mobil")])
def test_an_old_name_says_the_new_one(old, new):
    with pytest.raises(BenchError, match=f"'{old}' is replaced by '{new}"):
        presets.find(Path(old))


def test_the_gpu_s_presets_go_over_every_architecture_the_most_useful_first():
    speeds, trainings = planned("gpu-speed"), planned("gpu-train")
    kinds = [(c.backend, c.precision, c.image_size[0], c.batch_size) for c in speeds]
    assert list(dict.fromkeys(kinds)) == [
        ("jax", "mixed_bfloat16", 256, 64),
        ("jax", "float32", 256, 64),
        ("torch", "mixed_bfloat16", 256, 64),
        ("jax", "mixed_bfloat16", 512, 16),
    ]
    every = {
        spec.name
        for spec in catalog.architectures()
        if "jax" in spec.backends and not spec.package and 256 % spec.divisor(spec.default_backbone) == 0
    }
    assert every <= {c.arch for c in speeds if c.image_size == (512, 512)} and every <= {c.arch for c in trainings}
    assert {(c.measure, c.sweep_seconds) for c in speeds} == {("speed", 15.0)}
    assert {(str(c.budget), c.keep_weights) for c in trainings} == {("40epochs", "none")}


def test_options_win_over_a_preset():
    assert {c.lr for c in planned("airbus-unet-small", lr="0.01")} == {0.01}


def test_a_file_of_the_user_goes_before_a_preset_and_an_unknown_name_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pets-mobilenets").write_text("arch = 'unet'")
    assert presets.find(Path("pets-mobilenets")) == Path("pets-mobilenets")
    with pytest.raises(
        BenchError, match=r"There is no file 'pets-mobilenet'. Unknown preset .* Did you mean 'pets-mob"
    ):
        presets.find(Path("pets-mobilenet"))
    assert presets.find(Path("grid.toml")) == Path("grid.toml")


@pytest.mark.parametrize("name", ["carvana-unet-128", "airbus-unet-small"])
def test_a_preset_whose_data_set_is_not_there_says_so(name):
    file = given.read_toml(presets.find(Path(name)))
    if file.grid["dataset"] in catalog.datasets():
        pytest.skip("the data set is there")
    with pytest.raises(BenchError, match="Unknown data set"):
        grid.configs({}, file)


def test_a_speed_preset_given_to_run_names_the_command_for_it(tmp_path):
    result = CliRunner().invoke(app, ["run", "--config", "gpu-speed", "--results", str(tmp_path / "r"), "--dry-run"])
    assert result.exit_code == 2
    assert "No data set is named in 'gpu-speed'" in result.stderr and "bench speed --config gpu-speed" in result.stderr


def test_a_training_file_given_to_speed_says_what_is_not_used(tmp_path, quick_backend):
    file = tmp_path / "own.toml"
    values = f"arch = 'unet'\ndataset = 'shapes'\nbackend = '{quick_backend}'\nseeds = 2\n"
    file.write_text(f"{values}[[trials]]\ntrain-fraction = 0.5\n")
    result = CliRunner().invoke(app, ["speed", "--config", str(file), "--results", str(tmp_path / "r"), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"Of '{file}', speed-only trials don't use: dataset, train-fraction." in result.stderr
