"""Mix Transformers: the formula of their attention, keras-hub's values, their cost, and the families on top of them."""

import keras
import numpy as np
import pytest
from architecture_contract import zero_initializers

from bench.api import build_model
from bench.architectures.backbones import feature_pyramid
from bench.architectures.mit import TAPS, EfficientAttention, mix_transformer, mix_transformer_of
from bench.core.errors import BenchError
from bench.profiling.flops import forward_flops, layer_costs

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
SMALL = ((8, 8, 10, 16), (1, 1, 1, 1))  # channels that the heads divide


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _draw_weights(layer, scale=0.3):
    rng = np.random.default_rng(0)
    layer.set_weights([value + rng.normal(0, scale, value.shape) for value in layer.get_weights()])


def _network(filters, blocks, shape):
    with zero_initializers():
        return mix_transformer_of(filters, blocks, input_shape=(*shape, 3))


def _images(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


# === Attention ===


def by_hand(x, layer):
    """Attention of one image (h, w, C), written in loops over heads and queries."""
    weights = {
        weight.path.removeprefix(layer.path + "/"): _numpy(weight).astype(np.float64) for weight in layer.weights
    }

    def linear(name, values):
        return values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    height, width, channels = x.shape
    ratio, keys = layer.reduction, x.reshape(-1, channels)
    if ratio > 1:
        patches = [
            x[i : i + ratio, j : j + ratio].reshape(-1) for i in range(0, height, ratio) for j in range(0, width, ratio)
        ]
        reduced = np.array(patches) @ weights["reduce/kernel"].reshape(-1, channels) + weights["reduce/bias"]
        deviation = np.sqrt(reduced.var(axis=1, keepdims=True) + 1e-5)
        keys = (reduced - reduced.mean(axis=1, keepdims=True)) / deviation * weights["norm/gamma"] + weights[
            "norm/beta"
        ]
    q, k, v = linear("query", x.reshape(-1, channels)), linear("key", keys), linear("value", keys)
    out, size = np.zeros_like(q), channels // layer.heads
    for head in range(layer.heads):
        of_head = slice(head * size, (head + 1) * size)
        for token in range(height * width):
            scores = k[:, of_head] @ q[token, of_head] / np.sqrt(size)
            shares = np.exp(scores - scores.max())
            out[token, of_head] = shares / shares.sum() @ v[:, of_head]
    return linear("project", out).reshape(height, width, channels)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_attention_is_the_formula_on_reduced_keys_and_values(reduction, heads):
    layer = EfficientAttention(6, heads, reduction, name="attention")
    layer.build((None, 4, 8, 6))
    _draw_weights(layer)
    images = _images(2, 4, 8, 6)
    wanted = np.stack([by_hand(image.astype(np.float64), layer) for image in images])
    np.testing.assert_allclose(_numpy(layer(images)), wanted, atol=2e-5 * np.abs(wanted).max())


def test_the_cost_of_attention_by_hand():
    inputs = keras.Input((8, 16, 6))
    (cost,) = layer_costs(keras.Model(inputs, EfficientAttention(6, 2, 4, name="attention")(inputs)))
    tokens, keys = 8 * 16, 2 * 4
    linear = 2 * tokens * 6 * 6 + 2 * keys * 6 * 6  # query and result; key and value
    reduction = keys * 4 * 4 * 6 * 6
    assert cost.flops == 2 * (linear + reduction + 2 * tokens * keys * 6)
    assert cost.params == 4 * (36 + 6) + (16 * 36 + 6) + 2 * 6


# === The network ===


@pytest.mark.parametrize("shape", [(32, 32), (64, 96)])
def test_the_stages_have_the_strides_of_any_size_of_image(shape):
    model = _network(*SMALL, shape)
    for stride, tap in TAPS.items():
        assert model.get_layer(tap).output.shape[1:3] == (shape[0] // stride, shape[1] // stride)


@pytest.mark.needs("keras_hub")
@pytest.mark.slow  # keras-hub imports TensorFlow
def test_values_are_those_of_keras_hub_whose_weights_have_the_same_order():
    from keras_hub.models import MiTBackbone

    filters, blocks, size = (8, 8, 10, 16), (2, 1, 2, 1), 96
    theirs = MiTBackbone(
        layerwise_depths=blocks,
        num_layers=4,
        layerwise_num_heads=[1, 2, 5, 8],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
        image_shape=(size, size, 3),
        hidden_dims=filters,
    )
    _draw_weights(theirs)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.LayerNormalization):  # those at a stage's end
            layer.epsilon = 1e-6  # as in the authors' code; theirs 1e-5
    ours = _network(filters, blocks, (size, size))
    ours.set_weights(theirs.get_weights())
    for layer in ours.layers:
        if layer.name.endswith("_gelu"):
            layer.activation = keras.ops.gelu  # by a hyperbolic tangent, as theirs; the authors' is exact
    images = _images(2, size, size, 3)
    found = keras.Model(ours.input, [ours.get_layer(tap).output for tap in TAPS.values()])(images)
    wanted = keras.Model(theirs.input, list(theirs.pyramid_outputs.values()))(images)
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), atol=1e-4 * np.abs(_numpy(y)).max())


def test_every_weight_gets_a_gradient_but_the_biases_of_keys():
    """A key's bias adds the same to all scores of a query, and the softmax takes it out."""
    network = _network(*SMALL, (64, 64))
    pooled = [keras.layers.GlobalMaxPooling2D()(network.get_layer(tap).output) for tap in TAPS.values()]
    model = keras.Model(network.input, keras.layers.Dense(1)(keras.layers.Concatenate()(pooled)))
    for layer in network.layers:
        if "drop" in layer.name:
            layer.rate = 0.0
    _draw_weights(network, 0.1)
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
    before = [_numpy(weight).copy() for weight in network.weights]
    model.train_on_batch(_images(4, 64, 64, 3), np.arange(4.0)[:, None])
    changes = {w.path: np.abs(_numpy(w) - b).max() for w, b in zip(network.weights, before, strict=True)}
    assert [path for path, change in changes.items() if change < 1e-6 and not path.endswith("key/bias")] == []
    assert np.isfinite(list(changes.values())).all()


def test_dropped_paths_grow_from_none_to_a_tenth_and_whole_branches_drop():
    model = _network(SMALL[0], (2, 2, 2, 2), (32, 32))
    drops = [layer for layer in model.layers if layer.name.endswith("_drop")]
    assert [layer.rate for layer in drops[::2]] == pytest.approx([0.1 * block / 7 for block in range(8)])
    assert [layer.rate for layer in drops[1::2]] == [layer.rate for layer in drops[::2]]
    branch = drops[-1](np.ones((64, 1, 1, 16), np.float32), training=True)
    assert set(_numpy(branch).std(axis=(1, 2, 3)).tolist()) == {0.0}


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_attention_is_computed_in_half_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = _network(*SMALL, (32, 32))
    finally:
        keras.config.set_dtype_policy(before)
    attention = model.get_layer("stage1_block0_attention")
    assert keras.backend.standardize_dtype(attention.output.dtype) == policy.removeprefix("mixed_")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert np.isfinite(_numpy(model(_images(1, 32, 32, 3))).astype(np.float32)).all()


@pytest.mark.parametrize(
    ("backbone", "filters", "gmacs", "millions"),
    [
        ("mit_b0", 256, 8.4, 3.8),
        pytest.param("mit_b1", 256, 15.9, 13.7, marks=pytest.mark.slow),
        pytest.param("mit_b2", 768, 62.4, 27.5, marks=pytest.mark.slow),
    ],
)
def test_segformer_costs_what_the_paper_says(backbone, filters, gmacs, millions):
    """Table 1: with 150 classes at 512 x 512; its "Flops" are multiply-adds."""
    with zero_initializers():
        model = build_model("segformer", input_shape=(512, 512, 3), num_classes=150, backbone=backbone, filters=filters)
    assert forward_flops(model) / 2e9 == pytest.approx(gmacs, abs=0.06)
    assert model.count_params() / 1e6 == pytest.approx(millions, abs=0.06)


# === As a backbone ===


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The path of a weights file of mit_b0, and that network."""
    with zero_initializers():
        network = mix_transformer("mit_b0", input_shape=(64, 64, 3))
    _draw_weights(network, 0.05)
    path = tmp_path_factory.mktemp("mit") / "mit_b0.weights.h5"
    network.save_weights(path)
    return path, network


def test_a_weights_file_gives_its_features_at_every_size_of_image(stored):
    path, network = stored
    inputs = keras.Input((64, 96, 3))
    with zero_initializers():
        model = keras.Model(inputs, feature_pyramid(inputs, "mit_b0", weights=path))
    with zero_initializers():
        larger = mix_transformer("mit_b0", input_shape=(64, 96, 3))
    larger.set_weights(network.get_weights())
    images = _images(1, 64, 96, 3)
    mean, deviation = np.float32((0.485, 0.456, 0.406)), np.float32((0.229, 0.224, 0.225))
    found, wanted = model(images), larger((images - mean) / deviation)
    assert list(found) == [4, 8, 16, 32]
    np.testing.assert_allclose(_numpy(found[32]), _numpy(wanted), atol=1e-4 * np.abs(_numpy(wanted)).max())


def test_weights_of_another_size_are_one_line(stored):
    with (
        zero_initializers(),
        pytest.raises(BenchError, match=r"mit_b0.weights.h5' doesn't fit mit_b1 .* train without") as caught,
    ):
        feature_pyramid(keras.Input((64, 64, 3)), "mit_b1", weights=stored[0])
    assert "\n" not in str(caught.value)


def test_imagenet_weights_that_nobody_offers_are_one_line():
    with pytest.raises(BenchError, match=r"ImageNet weights of mit_b0 can't be had .* Give the path") as caught:
        feature_pyramid(keras.Input((64, 64, 3)), "mit_b0", weights="imagenet")
    assert "\n" not in str(caught.value)


def test_other_bands_get_an_adapted_embedding(stored):
    inputs = keras.Input((32, 32, 5))
    with zero_initializers():
        model = keras.Model(inputs, feature_pyramid(inputs, "mit_b0", weights=stored[0]))
    kernel = _numpy(stored[1].get_layer("stage1_embed_conv").kernel)
    found = _numpy(model.get_layer("backbone_stage1_embed_conv").kernel)
    np.testing.assert_allclose(found, kernel[:, :, [0, 1, 2, 0, 1]] * 3 / 5, rtol=1e-6)


def test_a_dilated_mit_is_refused():
    with pytest.raises(BenchError, match=r"The backbone mit_b0 can't have the output stride 16. Accepted: 32"):
        feature_pyramid(keras.Input((64, 64, 3)), "mit_b0", output_stride=16)


def test_a_unet_goes_from_stride_4_to_1_without_a_skip():
    """MiT has nothing at stride 2, where segmentation_models.pytorch has an empty tensor."""
    with zero_initializers():
        model = build_model("unet", input_shape=(64, 64, 3), num_classes=2, backbone="mit_b0")
    joined = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    assert joined == ["decoder1_concat", "decoder2_concat", "decoder3_concat"]
    assert model.output.shape == (None, 64, 64, 2)


def test_a_saved_segformer_gives_equal_logits(tmp_path, monkeypatch):
    from bench.architectures import networks

    monkeypatch.setitem(networks.NETWORKS, "mit_b0", networks.Network(_small, "torch", TAPS))
    model = build_model("segformer", input_shape=(32, 64, 3), num_classes=2, filters=16)
    _draw_weights(model)
    model.save(tmp_path / "model.keras")
    images = _images(2, 32, 64, 3)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(_numpy(loaded(images)), _numpy(model(images)))


def _small(*, include_top, input_shape, weights):
    return _network(*SMALL, input_shape[:2])
