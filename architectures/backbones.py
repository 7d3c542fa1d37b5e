"""The networks of networks.py, most of them of keras.applications, as feature pyramids {stride: tensor}.

The network is cloned from edited layer configurations to replace strides by dilations, so that its weights stay valid:
the strided layer keeps its dilation and loses its stride, and the layers behind it are dilated by the lost stride (the
"a trous" algorithm, Chen 2017, arXiv:1706.05587, section 3.1). At the grid points that the strided network computes,
the dilated one has the same values.

Departures when dilated: MobileNets and EfficientNets pad evenly where the strided network pads on the right and below
only, which moves the grid points by one pixel; the squeeze-and-excitation of EfficientNets and MobileNetV3 averages
over the finer grid, which changes the values slightly; VGG16's last pooling isn't dilated at output stride 8 (Keras has
no dilated pooling), so it pools nearer neighbours there. ConvNeXt isn't dilated: its strides are patches that don't
overlap; nor are DenseNet, Xception and MiT.

Images of other than three bands: the first convolution is adapted, see `adapted`.

To add a backbone, add its entry to `NETWORKS` in networks.py and its spec to __init__.py. Vision transformers, whose
features all have one stride, are in vits.py.
"""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import keras
import numpy as np

from bench.architectures import BACKBONES
from bench.architectures.networks import NETWORKS, Network, normalize
from bench.architectures.resnet_vd import DilatedMean
from bench.architectures.weights_file import line, load_file
from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message

PREFIX = "backbone_"  # prefix of a backbone's layer names in a model


_OUTPUT_STRIDES = {spec.name: spec.output_strides for spec in BACKBONES}


def feature_pyramid(
    inputs: keras.KerasTensor,
    backbone: str,
    *,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 32,
) -> dict[int, keras.KerasTensor]:
    """Return the backbone's features by stride, for images (B, H, W, C) float32 in [0, 1].

    Args:
        inputs: the tensor from `keras.Input`; the result includes the normalisation that the weights need.
        backbone: a name of `BACKBONES`.
        weights: None (random), "imagenet" (downloaded; not of MiT) or the path of the network's weights file.
        output_stride: 32, 16 or 8, the stride of the deepest features; the backbone's spec lists the possible ones.

    Returns:
        {stride: tensor (B, H/stride, W/stride, C)}, finest first, for H and W that output_stride divides.
    """
    stages = feature_stages(inputs, backbone, weights=weights, output_stride=output_stride)
    # Of two stages at one stride, the deeper one comes last and is kept.
    return {min(stride, output_stride): features for stride, features in stages.items()}


def feature_stages(
    inputs: keras.KerasTensor,
    backbone: str,
    *,
    weights: str | PathLike[str] | None = None,
    output_stride: int = 32,
    taps: Mapping[int, str] | None = None,
) -> dict[int, keras.KerasTensor]:
    """Return the backbone's features by the stride that each stage has in the original network.

    With an output stride of 8, the stages 8, 16 and 32 are all at stride 8.

    Args:
        inputs, backbone, weights, output_stride: see `feature_pyramid`.
        taps: {stride: layer of the network}; None for the taps of the table above.
    """
    if backbone not in NETWORKS:
        raise BenchError(unknown_name_message("backbone", str(backbone), list(NETWORKS), list(NETWORKS)))
    network = NETWORKS[backbone]
    accepted = _OUTPUT_STRIDES[backbone]
    if output_stride not in accepted:
        strides = ", ".join(map(str, accepted))
        raise BenchError(f"The backbone {backbone} can't have the output stride {output_stride}. Accepted: {strides}.")
    original = _load(backbone, network, weights)
    if network.begins:
        original = keras.Model(original.get_layer(network.begins).input, original.output)
    images = normalize(inputs, network.mode)
    configs = _dilated_configs(original, network, output_stride)
    clone = keras.models.clone_model(
        original,
        input_tensors=inputs,
        clone_function=lambda layer: _cloned(layer, configs.get(layer.name) or _config(layer)),
        call_function=lambda layer, *args, **kwargs: layer(*(images if a is inputs else a for a in args), **kwargs),
    )
    for variable, value in zip(clone.weights, original.weights, strict=True):
        if variable.shape == value.shape:
            variable.assign(value)
        elif weights is not None:  # the first kernel, of other bands; without weights it stays random
            kernel = keras.ops.convert_to_numpy(value)
            kernel = kernel[:, :, ::-1] if network.mode == "caffe" else kernel  # of B, G, R
            variable.assign(adapted(kernel, inputs.shape[-1]))
    return {stride: _tapped(clone, tap) for stride, tap in (taps or network.taps).items()}


def _cloned(layer: keras.Operation, config: dict[str, Any]) -> keras.Operation:
    """Make a layer of an edited configuration; an average pooling that lost its stride becomes a dilated mean."""
    if isinstance(layer, keras.layers.AveragePooling2D) and config["strides"] != layer.strides:
        return DilatedMean(config["dilation"], name=config["name"])
    return layer.__class__.from_config(config)


def _tapped(model: keras.Model, tap: str) -> keras.KerasTensor:
    """Return the tensor that a tap (see `Network`) names in the clone."""
    if tap == "output":
        return model.output
    if tap.startswith("before "):
        return model.get_layer(PREFIX + tap.removeprefix("before ")).input
    return model.get_layer(PREFIX + tap).output


def adapted(kernel: np.ndarray, bands: int) -> np.ndarray:
    """Adapt a first convolution's kernel (h, w, 3, filters) to other bands: (h, w, bands, filters).

    One band gets the sum of the three; of more, band i gets the kernel of i mod 3, times 3 / bands, so that features
    keep their size. As timm's `adapt_input_conv` and segmentation_models.pytorch's `patch_first_conv` do.
    """
    if bands == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(bands) % 3] * np.float32(3 / bands)


def _dilated_configs(model: keras.Model, network: Network, output_stride: int) -> dict[str, dict[str, Any]]:
    """Map layer names to configurations with prefixed names, in which no layer goes beyond `output_stride`."""
    configs = {}
    remaining = dict(network.taps)
    stride, dilation = min(remaining), 1
    for layer in model.layers:  # in topological order
        config = _config(layer) | network.edits.get(layer.name, {})
        if f"before {layer.name}" == remaining.get(stride):
            del remaining[stride]
            stride = min(remaining, default=stride)
        if stride > output_stride:
            if config.get("strides", (1, 1)) != (1, 1):
                dilation = stride // output_stride
                config |= {"strides": (1, 1), "padding": "same"} | _dilated(config, dilation // 2)
                if isinstance(layer, keras.layers.AveragePooling2D):
                    config["dilation"] = dilation // 2
            elif isinstance(layer, keras.layers.ZeroPadding2D):
                config["padding"] = 0  # the layer behind it, once strided, now pads by itself
            else:
                config |= _dilated(config, dilation)
        configs[layer.name] = config
        if layer.name == remaining.get(stride):
            del remaining[stride]
            stride = min(remaining, default=stride)
    return configs


def _config(layer: keras.Operation) -> dict[str, Any]:
    """Return the configuration of a layer or operation (ConvNeXt's additions) with a prefixed name.

    It does not contain the image size for which the network was built.
    """
    config = layer.get_config() | {"name": PREFIX + layer.name}
    if isinstance(layer, keras.Sequential):  # ConvNeXt's stem and downsampling
        del config["build_input_shape"]
        config["layers"] = [inner for inner in config["layers"] if inner["class_name"] != "InputLayer"]
    return config


def _dilated(config: Mapping[str, object], rate: int) -> dict[str, tuple[int, int]]:
    """Return the change of configuration that dilates a layer; empty if it has no kernel to dilate."""
    has_kernel = "dilation_rate" in config and config["kernel_size"] != (1, 1)
    return {"dilation_rate": (rate, rate)} if has_kernel else {}


def _load(backbone: str, network: Network, weights: str | PathLike[str] | None) -> keras.Model:
    """Build the network with its weights; raise BenchError in one line if they can't be used."""
    advice = (
        "Give the path of a weights file of this network (of keras.applications: include_top=False), or train without: "
        "weights none."
    )
    # keras.applications accepts 224 px without a warning; the clone takes any size.
    options = {"include_top": False, "input_shape": (224, 224, 3)}
    if weights == "imagenet":
        try:
            return network.build(weights="imagenet", **options)
        except Exception as error:  # keras raises a bare Exception when a download fails
            raise BenchError(f"The ImageNet weights of {backbone} can't be had ({line(error)}). {advice}") from error
    model = network.build(weights=None, **options)
    if weights is not None:
        load_file(model, weights, backbone, advice)
    return model
