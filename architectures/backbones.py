"""Pretrained feature networks of keras.applications as pyramids {stride: tensor}.

A stride is turned into dilations by cloning the network from edited layer configurations, so that its weights stay
valid: the strided layer keeps its dilation and loses its stride, the layers behind it are dilated by the stride that
was lost (the "a trous" algorithm, Chen 2017, arXiv:1706.05587, section 3.1). On the grid points that the strided
network computes the dilated one has the same values.

| backbone | stride 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- |
| mobilenet_v2 | 96 | 144 | 192 | 576 | 320 |
| resnet50 | 64 | 256 | 512 | 1024 | 2048 |

MobileNetV2's taps are the expanded features in front of each strided convolution and the last bottleneck, as in
TensorFlow's segmentation tutorial; its last 1x1 convolution to 1280 channels belongs to the classifier and is left
out.
Departure: a dilated MobileNetV2 pads evenly where the strided one pads on the right and below only, which moves the
grid points by one pixel; no value on them changes.

To add a backbone, add its entry to `_NETWORKS` and its spec to __init__.py.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import keras

from bench.errors import BenchError
from bench.registry import unknown

PREFIX = "backbone_"  # of the names of a backbone's layers in a model


@dataclass(frozen=True)
class _Network:
    """A network of keras.applications: its builder, what its weights want as input, the layer to tap at each stride."""

    build: Callable[..., keras.Model]
    mode: str  # of keras.applications.imagenet_utils.preprocess_input: "tf" or "caffe"
    taps: Mapping[int, str]


_NETWORKS = {
    "mobilenet_v2": _Network(
        keras.applications.MobileNetV2,
        "tf",
        {
            2: "block_1_expand_relu",
            4: "block_3_expand_relu",
            8: "block_6_expand_relu",
            16: "block_13_expand_relu",
            32: "block_16_project_BN",
        },
    ),
    "resnet50": _Network(
        keras.applications.ResNet50,
        "caffe",
        {
            2: "conv1_relu",
            4: "conv2_block3_out",
            8: "conv3_block4_out",
            16: "conv4_block6_out",
            32: "conv5_block3_out",
        },
    ),
}


def feature_pyramid(
    inputs: keras.KerasTensor,
    backbone: str,
    *,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 32,
) -> dict[int, keras.KerasTensor]:
    """The backbone's features by stride, for images (B, H, W, 3) float32 in [0, 1].

    Args:
        inputs: of `keras.Input`; the normalisation that the weights want is part of the result.
        backbone: a name of `BACKBONES`.
        weights: None (random), "imagenet" (downloaded) or the path of a weights file made by the keras.applications
            network with include_top=False.
        output_stride: 32, 16 or 8, the coarsest stride. The deepest features are at this stride.

    Returns:
        {stride: tensor (B, H/stride, W/stride, C)}, finest first, for H and W that output_stride divides.
    """
    if backbone not in _NETWORKS:
        raise BenchError(unknown("backbone", str(backbone), list(_NETWORKS), list(_NETWORKS)))
    network = _NETWORKS[backbone]
    if output_stride not in (8, 16, 32):
        raise BenchError(f"A backbone can't have the output stride {output_stride}. Accepted: 8, 16, 32.")
    original = _load(backbone, network, weights)
    images = normalize(inputs, network.mode)
    configs = _dilated_configs(original, network.taps, output_stride)
    clone = keras.models.clone_model(
        original,
        input_tensors=inputs,
        clone_function=lambda layer: layer.__class__.from_config(configs[layer.name]),
        call_function=lambda layer, *args, **kwargs: layer(*(images if a is inputs else a for a in args), **kwargs),
    )
    for variable, value in zip(clone.weights, original.weights, strict=True):
        variable.assign(value)
    # The deeper of two taps at one stride comes last and stays.
    return {min(stride, output_stride): clone.get_layer(PREFIX + tap).output for stride, tap in network.taps.items()}


def normalize(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """Images in [0, 1] as keras.applications' `preprocess_input` gives them for [0, 255]; float32.

    "tf": [-1, 1]. "caffe": BGR in [0, 255] less ImageNet's mean.
    """
    if mode == "tf":
        return keras.layers.Rescaling(2.0, -1.0, dtype="float32", name="normalize")(images)
    bgr_mean = [103.939, 116.779, 123.68]
    bgr = keras.ops.flip(images, axis=-1)
    return keras.layers.Rescaling(255.0, [-m for m in bgr_mean], dtype="float32", name="normalize")(bgr)


def _dilated_configs(model: keras.Model, taps: Mapping[int, str], output_stride: int) -> dict[str, dict]:
    """Layer name -> configuration with a prefixed name, where no layer goes beyond `output_stride`."""
    configs = {}
    remaining = dict(taps)
    stride, dilation = min(remaining), 1
    for layer in model.layers:  # in topological order
        config = layer.get_config() | {"name": PREFIX + layer.name}
        if stride > output_stride:
            if config.get("strides", (1, 1)) != (1, 1):
                dilation = stride // output_stride
                config |= {"strides": (1, 1), "padding": "same"} | _dilated(config, dilation // 2)
            elif isinstance(layer, keras.layers.ZeroPadding2D):
                config["padding"] = 0  # the strided layer behind it pads by itself now
            else:
                config |= _dilated(config, dilation)
        configs[layer.name] = config
        if layer.name == remaining.get(stride):
            del remaining[stride]
            stride = min(remaining, default=stride)
    return configs


def _dilated(config: Mapping[str, object], rate: int) -> dict[str, tuple[int, int]]:
    """The change that dilates a layer, if it has a kernel to dilate."""
    has_kernel = "dilation_rate" in config and config["kernel_size"] != (1, 1)
    return {"dilation_rate": (rate, rate)} if has_kernel else {}


def _load(backbone: str, network: _Network, weights: str | PathLike[str] | None) -> keras.Model:
    """The keras.applications network with its weights, or BenchError in one line."""
    advice = "Give the path of a keras.applications weights file (include_top=False), or train without: weights none."
    # At 224 px keras.applications neither warns nor refuses; the clone takes the size that is wanted.
    options = {"include_top": False, "input_shape": (224, 224, 3)}
    if weights == "imagenet":
        try:
            return network.build(weights="imagenet", **options)
        except Exception as error:  # keras raises a bare Exception when a download fails
            raise BenchError(f"The ImageNet weights of {backbone} can't be had ({_line(error)}). {advice}") from error
    model = network.build(weights=None, **options)
    if weights is None:
        return model
    path = Path(fspath(weights))
    if not path.is_file():
        raise BenchError(f"There is no weights file '{path}' for {backbone}. {advice}")
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file lacks some layers' weights, and leaves those random
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise BenchError(f"The weights file '{path}' doesn't fit {backbone} ({_line(error)}). {advice}") from error
    return model


def _line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
