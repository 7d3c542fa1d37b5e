"""Feature pyramids: the values, weights and normalisation of keras.applications, with strides turned into dilations."""

import keras
import numpy as np
import pytest

from bench.architectures import BACKBONES, backbones
from bench.architectures.backbones import PREFIX, feature_pyramid, normalize
from bench.errors import BenchError

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

MODULES = {"mobilenet_v2": keras.applications.mobilenet_v2, "resnet50": keras.applications.resnet50}
BUILDERS = {"mobilenet_v2": keras.applications.MobileNetV2, "resnet50": keras.applications.ResNet50}
LOST_PIXEL = {"mobilenet_v2": 1, "resnet50": 0}  # where the strided network's grid starts: it pads right and below only

every_backbone = pytest.mark.parametrize("name", [backbone.name for backbone in BACKBONES])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Name -> (path of a weights file of the original network, that network)."""
    return {name: _store(name, tmp_path_factory.mktemp(name) / f"{name}.weights.h5") for name in BUILDERS}


def _store(name, path):
    keras.utils.set_random_seed(0)
    model = BUILDERS[name](weights=None, include_top=False, input_shape=(64, 96, 3))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # statistics that are not the initial ones
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.0, layer.moving_variance.shape))
    model.save_weights(path)
    return path, model


def _images(count=1, height=64, width=96):
    return np.random.default_rng(0).uniform(0, 1, (count, height, width, 3)).astype(np.float32)


def _pyramid_model(name, path, output_stride=32):
    inputs = keras.Input((64, 96, 3))
    pyramid = feature_pyramid(inputs, name, weights=path, output_stride=output_stride)
    return keras.Model(inputs, pyramid)


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@every_backbone
def test_normalize_is_the_preprocess_input_of_keras_applications(name):
    inputs = keras.Input((64, 96, 3))
    model = keras.Model(inputs, normalize(inputs, backbones._NETWORKS[name].mode))
    images = _images()
    wanted = MODULES[name].preprocess_input(255.0 * images)
    np.testing.assert_allclose(_numpy(model(images)), wanted, atol=2e-5 * np.abs(wanted).max())


@every_backbone
def test_features_at_stride_32_are_those_of_keras_applications(name, stored):
    path, original = stored[name]
    found = _pyramid_model(name, path)(_images())
    taps = backbones._NETWORKS[name].taps
    wanted = keras.Model(original.input, [original.get_layer(tap).output for tap in taps.values()])(
        MODULES[name].preprocess_input(255.0 * _images())
    )
    assert list(found) == [2, 4, 8, 16, 32] == list(next(b for b in BACKBONES if b.name == name).strides)
    for stride, features in zip(found, wanted, strict=True):
        assert tuple(found[stride].shape[1:3]) == (64 // stride, 96 // stride)
        scale = np.abs(_numpy(features)).max()
        np.testing.assert_allclose(_numpy(found[stride]), _numpy(features), atol=1e-4 * scale)


@every_backbone
@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_features_are_the_strided_ones_on_their_grid(name, output_stride, stored):
    path, original = stored[name]
    dilated = _pyramid_model(name, path, output_stride)
    wanted = _numpy(_pyramid_model(name, path)(_images())[32])
    found = _numpy(dilated(_images())[output_stride])
    step = 32 // output_stride
    start = LOST_PIXEL[name] * (step - 1)  # a pixel at each lost stride: 1, then 1 + 2
    assert found.shape[1:3] == (64 // output_stride, 96 // output_stride)
    np.testing.assert_allclose(found[:, start::step, start::step], wanted, atol=1e-4 * np.abs(wanted).max())
    for layer in original.layers:
        if layer.weights and layer.name not in ("Conv_1", "Conv_1_bn"):  # MobileNetV2's classifier layers
            cloned = dilated.get_layer(PREFIX + layer.name)
            for kept, weight in zip(cloned.weights, layer.weights, strict=True):
                np.testing.assert_array_equal(_numpy(kept.value), _numpy(weight.value))


def test_an_output_stride_that_no_backbone_has():
    with pytest.raises(BenchError, match="Accepted: 8, 16, 32"):
        feature_pyramid(keras.Input((64, 64, 3)), "mobilenet_v2", output_stride=4)


def test_an_unknown_backbone_names_what_is_near():
    with pytest.raises(BenchError, match="Did you mean 'resnet50'"):
        feature_pyramid(keras.Input((64, 64, 3)), "resnet5")


def test_weights_of_another_network_are_one_line(stored):
    path, _ = stored["mobilenet_v2"]
    with pytest.raises(BenchError, match=r"doesn't fit resnet50 .* train without") as caught:
        feature_pyramid(keras.Input((64, 64, 3)), "resnet50", weights=path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_one_line(tmp_path):
    path = tmp_path / "narrow.weights.h5"
    keras.applications.MobileNetV2(alpha=0.35, weights=None, include_top=False, input_shape=(32, 32, 3)).save_weights(
        path
    )
    with pytest.raises(BenchError, match=r"doesn't fit mobilenet_v2 .* train without"):
        feature_pyramid(keras.Input((64, 64, 3)), "mobilenet_v2", weights=path)


@pytest.mark.parametrize("name", ["text.weights.h5", "text.h5", "text.txt"])
def test_a_file_that_holds_no_weights_is_one_line(name, tmp_path):
    (tmp_path / name).write_text("no weights")
    with pytest.raises(BenchError, match="doesn't fit mobilenet_v2"):
        feature_pyramid(keras.Input((64, 64, 3)), "mobilenet_v2", weights=tmp_path / name)


def test_a_missing_file_says_how_to_go_on(tmp_path):
    with pytest.raises(BenchError, match=r"There is no weights file .*absent\.h5.* train without: weights none"):
        feature_pyramid(keras.Input((64, 64, 3)), "mobilenet_v2", weights=tmp_path / "absent.h5")


def test_weights_that_cannot_be_downloaded_say_how_to_go_on(monkeypatch):
    def offline(*args, **kwargs):
        raise Exception(
            "URL fetch failure on https://example.org: None -- no route"
        )  # what keras.utils.get_file raises

    network = backbones._NETWORKS["resnet50"]
    monkeypatch.setitem(backbones._NETWORKS, "resnet50", type(network)(offline, network.mode, network.taps))
    with pytest.raises(BenchError, match=r"ImageNet weights of resnet50 .*no route.* Give the path"):
        feature_pyramid(keras.Input((64, 64, 3)), "resnet50", weights="imagenet")
