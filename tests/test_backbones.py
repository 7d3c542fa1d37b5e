"""Feature pyramids: the values, weights and normalisation of keras.applications, with strides turned into dilations."""

import functools

import keras
import numpy as np
import pytest

from bench.architectures import BACKBONES
from bench.architectures.backbones import PREFIX, feature_pyramid, feature_stages
from bench.architectures.networks import NETWORKS, normalize
from bench.architectures.resnet_vd import resnet50_vd
from bench.core.errors import BenchError

pytestmark = pytest.mark.filterwarnings(
    # Keras 3.15's variables and torch's tensors have no copy keyword in __array__ yet
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

APPLICATIONS = keras.applications
MODULES = {
    "vgg16": APPLICATIONS.vgg16,
    "mobilenet": APPLICATIONS.mobilenet,
    "mobilenet_v2": APPLICATIONS.mobilenet_v2,
    "resnet50": APPLICATIONS.resnet50,
    "resnet101": APPLICATIONS.resnet,
    "resnet50_vd": APPLICATIONS.imagenet_utils,  # for keras-hub's, which scales images outside its networks
    "efficientnet_v2_b0": APPLICATIONS.efficientnet_v2,
    "efficientnet_v2_s": APPLICATIONS.efficientnet_v2,
    "efficientnet_b0": APPLICATIONS.efficientnet,
    "efficientnet_b4": APPLICATIONS.efficientnet,
    "convnext_tiny": APPLICATIONS.convnext,
    "convnext_small": APPLICATIONS.convnext,
    "mobilenet_v3_small": APPLICATIONS.mobilenet_v3,
    "mobilenet_v3_large": APPLICATIONS.mobilenet_v3,
    "densenet121": APPLICATIONS.densenet,
    "xception": APPLICATIONS.xception,
}
BUILDERS = {
    "vgg16": APPLICATIONS.VGG16,
    "mobilenet": APPLICATIONS.MobileNet,
    "mobilenet_v2": APPLICATIONS.MobileNetV2,
    "resnet50": APPLICATIONS.ResNet50,
    "resnet101": APPLICATIONS.ResNet101,
    "resnet50_vd": resnet50_vd,
    "densenet121": APPLICATIONS.DenseNet121,
    "xception": APPLICATIONS.Xception,
    "efficientnet_v2_b0": APPLICATIONS.EfficientNetV2B0,  # from here on with their own preprocessing inside,
    "efficientnet_v2_s": APPLICATIONS.EfficientNetV2S,  # which our normalisation replaces
    "efficientnet_b0": APPLICATIONS.EfficientNetB0,
    "efficientnet_b4": APPLICATIONS.EfficientNetB4,
    "convnext_tiny": APPLICATIONS.ConvNeXtTiny,
    "convnext_small": APPLICATIONS.ConvNeXtSmall,
    "mobilenet_v3_small": APPLICATIONS.MobileNetV3Small,
    "mobilenet_v3_large": APPLICATIONS.MobileNetV3Large,
}
# They average over the whole map, which is finer when dilated.
SQUEEZING = {name for name in BUILDERS if name.startswith(("efficientnet", "mobilenet_v3"))}
# Where the strided network's grid starts: these pad right and below only.
LOST_PIXEL = {"mobilenet": 1, "mobilenet_v2": 1}
OPTIONS = {"resnet50_vd": {"mode": "torch"}}
QUICK = ("mobilenet_v2", "resnet50")


def _named(names):
    packages = {spec.name: spec.package for spec in BACKBONES if spec.package}
    needs = {name: [pytest.mark.needs(package)] for name, package in packages.items()}
    return [
        pytest.param(name, marks=needs.get(name, []) + ([] if name in QUICK else [pytest.mark.slow])) for name in names
    ]


every_backbone = pytest.mark.parametrize("name", _named(BUILDERS))
every_dilated_backbone = pytest.mark.parametrize("name", _named(b.name for b in BACKBONES if 8 in b.output_strides))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Name -> (path of a weights file of the original network, that network)."""
    return functools.cache(lambda name: _store(name, tmp_path_factory.mktemp(name) / f"{name}.weights.h5"))


def _store(name, path):
    keras.utils.set_random_seed(0)
    model = BUILDERS[name](weights=None, include_top=False, input_shape=(64, 96, 3))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # statistics that are not the initial ones
            layer.beta.assign(rng.normal(0, 0.3, layer.beta.shape))
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.0, layer.moving_variance.shape))
        if isinstance(layer, keras.layers.Normalization):  # as the file of ImageNet weights has it
            layer.adapt_mean.assign([0.485, 0.456, 0.406])
            layer.adapt_variance.assign(np.square([0.229, 0.224, 0.225]))
            layer.finalize_state()
        if name.startswith("convnext") and layer.name.endswith("layer_scale"):
            layer.gamma.assign(np.full(layer.gamma.shape, 0.5))  # from 1e-6, at which blocks change nothing
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


@pytest.mark.parametrize("name", BUILDERS)
def test_normalize_is_the_preprocess_input_of_keras_applications(name):
    inputs = keras.Input((64, 96, 3))
    mode = NETWORKS[name].mode
    model = keras.Model(inputs, normalize(inputs, mode))
    images = _images()
    if name == "efficientnet_v2_s":
        wanted = 255.0 * images / 128.0 - 1.0  # a Rescaling in the network
    elif name.startswith("mobilenet_v3"):
        wanted = 255.0 * images / 127.5 - 1.0
    elif name != "densenet121" and mode == "torch":  # done by a layer of the network
        wanted = keras.applications.imagenet_utils.preprocess_input(255.0 * images, mode="torch")
    else:
        wanted = MODULES[name].preprocess_input(255.0 * images)
    np.testing.assert_allclose(_numpy(model(images)), wanted, atol=2e-5 * np.abs(wanted).max())


@every_backbone
def test_features_at_stride_32_are_those_of_keras_applications(name, stored):
    if NETWORKS[name].edits:
        pytest.skip("its first convolutions are padded here")
    path, original = stored(name)
    found = _pyramid_model(name, path)(_images())
    taps = NETWORKS[name].taps
    wanted = keras.Model(original.input, [_tapped(original, tap) for tap in taps.values()])(
        MODULES[name].preprocess_input(255.0 * _images(), **OPTIONS.get(name, {}))
    )
    assert list(found) == list(next(b for b in BACKBONES if b.name == name).strides)
    for stride, features in zip(found, wanted, strict=True):
        assert tuple(found[stride].shape[1:3]) == (64 // stride, 96 // stride)
        scale = np.abs(_numpy(features)).max()
        # Untrained, EfficientNet's features grow to thousands and the rounding of its input with them (3e-4 was seen).
        np.testing.assert_allclose(_numpy(found[stride]), _numpy(features), atol=1e-3 * scale)


def _tapped(model, tap):
    """Return the tensor that a tap names in the original network, as `backbones._tapped` does in the clone."""
    if tap == "output":
        return model.output
    is_input = tap.startswith("before ")
    layer = model.get_layer(tap.removeprefix("before "))
    return layer.input if is_input else layer.output


@pytest.mark.slow
def test_padded_xception_has_the_strided_sizes_and_the_original_values_inside():
    """Before its first pooling a padded map is the original one with a border."""
    keras.utils.set_random_seed(0)
    original = keras.applications.Xception(weights=None, include_top=False, input_shape=(96, 128, 3))
    inputs = keras.Input((96, 128, 3))
    pyramid = feature_pyramid(inputs, "xception")
    model = keras.Model(inputs, pyramid)
    for layer in [layer for layer in original.layers if layer.name.startswith("block1_")]:
        for weight, ours in zip(layer.weights, model.get_layer(PREFIX + layer.name).weights, strict=True):
            ours.assign(weight)
    found = model(_images(height=96, width=128))
    assert [tuple(x.shape[1:3]) for x in found.values()] == [(96 // s, 128 // s) for s in (2, 4, 8, 16, 32)]
    wanted = keras.Model(original.input, original.get_layer("block1_conv2_act").output)(
        keras.applications.xception.preprocess_input(255.0 * _images(height=96, width=128))
    )
    inside = _numpy(found[2])[:, 1:-2, 1:-2]
    np.testing.assert_allclose(inside, _numpy(wanted), atol=1e-4 * np.abs(inside).max())


@every_dilated_backbone
@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilation_keeps_the_weights(name, output_stride, stored):
    path, original = stored(name)
    dilated = _pyramid_model(name, path, output_stride)
    found = dilated(_images())[output_stride]
    assert tuple(found.shape[1:3]) == (64 // output_stride, 96 // output_stride)
    for layer in original.layers:
        # the last ones belong to the classifiers of MobileNetV2 and the EfficientNets
        left_out = isinstance(layer, keras.layers.Normalization) or layer.name.startswith(("Conv_1", "top_"))
        if layer.weights and not left_out:
            cloned = dilated.get_layer(PREFIX + layer.name)
            for kept, weight in zip(cloned.weights, layer.weights, strict=True):
                np.testing.assert_array_equal(_numpy(kept.value), _numpy(weight.value))


@every_dilated_backbone
@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_features_are_the_strided_ones_on_their_grid(name, output_stride, stored):
    if name in SQUEEZING:
        pytest.skip("squeeze-and-excitation takes its mean over the finer grid")
    # VGG16's last pooling isn't dilated: at output stride 8 the stage in front of it is compared
    deepest = 16 if (name, output_stride) == ("vgg16", 8) else 32
    path, _ = stored(name)
    inputs = keras.Input((64, 96, 3))
    strided, dilated = (
        keras.Model(inputs, feature_stages(inputs, name, weights=path, output_stride=stride)[deepest])
        for stride in (32, output_stride)
    )
    wanted, found = _numpy(strided(_images())), _numpy(dilated(_images()))
    step = deepest // output_stride
    start = LOST_PIXEL.get(name, 0) * (step - 1)  # a pixel at each lost stride: 1, then 1 + 2
    np.testing.assert_allclose(found[:, start::step, start::step], wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", _named(spec.name for spec in BACKBONES if spec.weights_file))
def test_the_weights_file_of_the_spec_is_the_one_that_keras_fetches(name, monkeypatch):
    class Fetched(Exception):
        pass

    def get_file(fname, *args, **kwargs):
        raise Fetched(fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(Fetched) as caught:
        NETWORKS[name].build(weights="imagenet", include_top=False, input_shape=(224, 224, 3))
    assert str(caught.value) == next(b for b in BACKBONES if b.name == name).weights_file


@pytest.mark.parametrize("name", [b.name for b in BACKBONES if b.output_strides == (32,)])
def test_a_backbone_that_is_not_dilated_says_so(name):
    with pytest.raises(BenchError, match=f"The backbone {name} can't have the output stride 16. Accepted: 32"):
        feature_pyramid(keras.Input((64, 64, 3)), name, output_stride=16)


def test_an_output_stride_that_no_backbone_has():
    with pytest.raises(BenchError, match="Accepted: 32, 16, 8"):
        feature_pyramid(keras.Input((64, 64, 3)), "mobilenet_v2", output_stride=4)


def test_an_unknown_backbone_names_what_is_near():
    with pytest.raises(BenchError, match="Did you mean 'resnet50'"):
        feature_pyramid(keras.Input((64, 64, 3)), "resnet5")


def test_weights_of_another_network_are_one_line(stored):
    path, _ = stored("mobilenet_v2")
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

    network = NETWORKS["resnet50"]
    monkeypatch.setitem(NETWORKS, "resnet50", type(network)(offline, network.mode, network.taps))
    with pytest.raises(BenchError, match=r"ImageNet weights of resnet50 .*no route.* Give the path"):
        feature_pyramid(keras.Input((64, 64, 3)), "resnet50", weights="imagenet")
