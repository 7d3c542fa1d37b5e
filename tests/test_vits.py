"""Vision transformers as backbones: keras-hub's values and weights at every size, and one line for what doesn't fit."""

import keras
import numpy as np
import pytest

from bench.architectures import VISION_TRANSFORMERS, vits
from bench.architectures.linear import build_linear
from bench.architectures.tokens import Tokens, cubic_matrix
from bench.architectures.vits import Transformer, patch_maps
from bench.config import catalog, checks
from bench.core.errors import BenchError
from bench.training.fine_tune import encoder_layers

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

SIZES = {"num_layers": 2, "hidden_dim": 16, "num_heads": 2, "intermediate_dim": 32, "patch_size": 4}
TINY = {
    "DINOV2Backbone": Transformer("DINOV2Backbone", "preset", SIZES, grid=4),
    "DINOV3Backbone": Transformer(
        "DINOV3Backbone", "preset", {**SIZES, "num_register_tokens": 2, "use_key_bias": False}
    ),
}
every_kind = pytest.mark.parametrize("kind", TINY)


@pytest.fixture
def tiny(kind, monkeypatch):
    monkeypatch.setitem(vits.VITS, "tiny", TINY[kind])
    return TINY[kind]


def stored(network, path, **options):
    """Store the weights of keras-hub's network with values of which none is the initial one, and return it."""
    keras_hub = pytest.importorskip("keras_hub")
    grid = {"position_embedding_shape": (16, 16)} if network.grid else {}
    model = getattr(keras_hub.models, network.kind)(**network.options, image_shape=(16, 16, 3), **grid, **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.2, weight.shape) + (weight.path.endswith(("gamma", "lambda1"))))
    if network.grid:
        model.embeddings.interpolated_position_embeddings.assign(model.embeddings.position_embeddings)
    model.save_weights(path)
    return model


def images(height, width, bands=3):
    return np.random.default_rng(1).uniform(0, 1, (2, height, width, bands)).astype(np.float32)


def maps_model(shape, weights=None, blocks=(1, 2)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, patch_maps(inputs, "tiny", blocks=blocks, weights=weights))


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.needs("keras_hub")
@every_kind
def test_the_maps_are_the_patch_tokens_of_keras_hub(kind, tiny, tmp_path):
    path = tmp_path / "tiny.weights.h5"
    original = stored(tiny, path, apply_layernorm=True)
    found = maps_model((16, 16, 3), path)(images(16, 16))
    normal = (images(16, 16) - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    features = keras.Model(original.inputs[0], original.pyramid_outputs)(normal.astype(np.float32))
    for block in (1, 2):
        wanted = numpy(features[f"stage{block}"])[:, -16:].reshape(2, 4, 4, 16)
        np.testing.assert_allclose(numpy(found[block]), wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.needs("keras_hub")
@every_kind
def test_one_weights_file_fits_other_sizes_rectangles_and_bands(kind, tiny, tmp_path):
    path = tmp_path / "tiny.weights.h5"
    stored(tiny, path)
    shapes = [(weight.path, tuple(weight.shape)) for weight in maps_model((16, 16, 3), path).weights]
    model = maps_model((8, 24, 3), path)
    assert [(weight.path, tuple(weight.shape)) for weight in model.weights] == shapes
    found = model(images(8, 24))
    assert [tuple(x.shape) for x in found.values()] == [(2, 2, 6, 16)] * 2
    grey = images(16, 16, 1)
    one, three = maps_model((16, 16, 1), path)(grey)[2], maps_model((16, 16, 3), path)(np.repeat(grey, 3, axis=-1))[2]
    assert np.isfinite(numpy(one)).all() and numpy(one).shape == numpy(three).shape


@pytest.mark.needs("keras_hub")
@pytest.mark.parametrize("kind", ["DINOV2Backbone"])
def test_weights_of_another_transformer_are_one_line(kind, tiny, tmp_path):
    path = tmp_path / "wide.weights.h5"
    stored(Transformer(kind, "preset", {**SIZES, "hidden_dim": 32}, grid=4), path)
    with pytest.raises(BenchError, match=r"doesn't fit tiny .*from_preset\('preset'\).*train without") as caught:
        maps_model((16, 16, 3), path)
    assert "\n" not in str(caught.value)
    with pytest.raises(BenchError, match=r"There is no weights file .*absent"):
        maps_model((16, 16, 3), tmp_path / "absent.weights.h5")


def test_imagenet_is_not_what_they_were_trained_on():
    with pytest.raises(BenchError, match=r"dinov2_small has no ImageNet weights.*Give the path of a weights file"):
        patch_maps(keras.Input((28, 28, 3)), "dinov2_small", blocks=[1], weights="imagenet")


@pytest.mark.needs("keras_hub")
@pytest.mark.parametrize("kind", ["DINOV2Backbone"])
def test_a_frozen_backbone_keeps_all_its_weights(kind, tiny):
    model = build_linear((16, 16, 3), 2, backbone="tiny")
    assert not any(layer.trainable for layer in encoder_layers(model) if layer.weights)
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {"norm", "logits"}
    trained = build_linear((16, 16, 3), 2, backbone="tiny", frozen=False)
    assert len(trained.trainable_weights) == len(model.weights) - 2  # batch norm's statistics


def test_positions_are_not_changed_at_the_size_that_they_were_learned_at():
    np.testing.assert_array_equal(cubic_matrix(5, 5), np.eye(5, dtype=np.float32))


def test_positions_are_resized_as_by_torch_bicubic():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    layer = Tokens(0, 5)
    layer.build((None, 3, 8, 2))
    layer.positions.assign(rng.normal(size=layer.positions.shape))
    grid = torch.tensor(numpy(layer.positions)[0, 1:].reshape(5, 5, 2)).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(grid, size=(3, 8), mode="bicubic").permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(numpy(layer._resized(3, 8)).reshape(1, 3, 8, 2), wanted, atol=1e-5)


# === Checks before a trial ===


@pytest.mark.parametrize("backbone", [spec.name for spec in VISION_TRANSFORMERS])
def test_a_backbone_of_one_stride_says_why_it_makes_no_pyramid(backbone):
    with pytest.raises(BenchError, match=rf"unet can't take {backbone}: it needs features of several strides"):
        checks.backbone(backbone, catalog.architectures().get("unet"), catalog.backbones())


def test_a_backbone_without_its_package_names_the_command(monkeypatch):
    monkeypatch.setattr("bench.architectures.outside.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"dinov2_small needs the package keras-hub.*pip install 'segbench\[keras-hub"):
        checks.backbone(None, catalog.architectures().get("linear"), catalog.backbones())


@pytest.mark.parametrize(("backbone", "fits"), [("dinov2_small", "70x70"), ("dinov3_small", "80x80")])
def test_a_size_that_the_patch_does_not_divide_names_the_next_that_fits(backbone, fits):
    with pytest.raises(
        BenchError, match=f"linear:{backbone} can't take images of 66x66 .* next size that fits is {fits}"
    ):
        catalog.check_image_size(catalog.architectures().get("linear"), (66, 66), backbone)


def test_every_transformer_has_the_patch_of_its_spec():
    for spec in VISION_TRANSFORMERS:
        assert spec.strides == (vits.VITS[spec.name].patch,)
