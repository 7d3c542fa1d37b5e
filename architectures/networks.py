"""The networks that are backbones: how each is built, and where its features are taken.

They are those of keras.applications, keras-hub's resnet50_vd, and the Mix Transformers of mit.py.

| backbone | stride 2 | 4 | 8 | 16 | 32 |
| --- | --- | --- | --- | --- | --- |
| vgg16 | 128 | 256 | 512 | 512 | 512 |
| mobilenet | 64 | 128 | 256 | 512 | 1024 |
| mobilenet_v2 | 96 | 144 | 192 | 576 | 320 |
| mobilenet_v3_small | 16 | 16 | 24 | 48 | 576 |
| mobilenet_v3_large | 16 | 24 | 40 | 112 | 960 |
| resnet50, resnet101, resnet50_vd | 64 | 256 | 512 | 1024 | 2048 |
| efficientnet_b0 | 16 | 24 | 40 | 112 | 320 |
| efficientnet_b4 | 24 | 32 | 56 | 160 | 448 |
| efficientnet_v2_b0 | 16 | 32 | 48 | 112 | 192 |
| efficientnet_v2_s | 24 | 48 | 64 | 160 | 256 |
| convnext_tiny, convnext_small | | 96 | 192 | 384 | 768 |
| densenet121 | 64 | 256 | 512 | 1024 | 1024 |
| xception | 64 | 128 | 256 | 728 | 2048 |
| mit_b0 | | 32 | 64 | 160 | 256 |
| mit_b1, mit_b2 | | 64 | 128 | 320 | 512 |

The taps are the last features at a stride, in front of the layer that halves it. Exceptions: MobileNetV2's taps are the
expanded features in front of each strided convolution and the last bottleneck, as in TensorFlow's segmentation
tutorial; its last 1x1 convolution to 1280 channels belongs to the classifier and is left out, as are those of the
EfficientNets; VGG16's deepest features are those behind its last pooling. ConvNeXt begins at stride 4 and ends in a
layer norm; so do all stages of MiT. MobileNetV3's last 1x1 convolution comes before its pooling and is kept, as in
torchvision's LR-ASPP. Xception's first two convolutions are padded, so that its maps have the image's size divided by
the stride.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras

from bench.architectures import mit
from bench.architectures.resnet_vd import TAPS as RESNET_VD_TAPS
from bench.architectures.resnet_vd import resnet50_vd


@dataclass(frozen=True)
class Network:
    """A network: its builder, the input scale of its weights, and its tap at each stride."""

    build: Callable[..., keras.Model]  # called as those of keras.applications
    mode: str  # of `normalize`: keras.applications.imagenet_utils.preprocess_input's, or "efficientnet_v2"
    taps: Mapping[int, str]  # a layer's name (its output), "before LAYER" (its input), or "output" (the network's)
    edits: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # of layers' configurations
    begins: str = ""  # the layer behind the network's own preprocessing, which `normalize` replaces


_RESNET_TAPS = {2: "conv1_relu", 4: "conv2_block3_out", 8: "conv3_block4_out"}
NETWORKS = {
    "vgg16": Network(
        keras.applications.VGG16,
        "caffe",
        {2: "block2_conv2", 4: "block3_conv3", 8: "block4_conv3", 16: "block5_conv3", 32: "block5_pool"},
    ),
    "mobilenet": Network(
        keras.applications.MobileNet,
        "tf",
        {2: "conv_pw_1_relu", 4: "conv_pw_3_relu", 8: "conv_pw_5_relu", 16: "conv_pw_11_relu", 32: "conv_pw_13_relu"},
    ),
    "mobilenet_v2": Network(
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
    "resnet50": Network(
        keras.applications.ResNet50, "caffe", {**_RESNET_TAPS, 16: "conv4_block6_out", 32: "conv5_block3_out"}
    ),
    "resnet101": Network(
        keras.applications.ResNet101, "caffe", {**_RESNET_TAPS, 16: "conv4_block23_out", 32: "conv5_block3_out"}
    ),
    "resnet50_vd": Network(resnet50_vd, "torch", RESNET_VD_TAPS),
    "efficientnet_v2_b0": Network(
        partial(keras.applications.EfficientNetV2B0, include_preprocessing=False),
        "torch",
        {2: "block1a_project_activation", 4: "block2b_add", 8: "block3b_add", 16: "block5e_add", 32: "block6h_add"},
    ),
    "convnext_tiny": Network(
        partial(keras.applications.ConvNeXtTiny, include_preprocessing=False),
        "torch",
        {
            4: "before convnext_tiny_downsampling_block_0",
            8: "before convnext_tiny_downsampling_block_1",
            16: "before convnext_tiny_downsampling_block_2",
            32: "output",
        },
    ),
    "convnext_small": Network(
        partial(keras.applications.ConvNeXtSmall, include_preprocessing=False),
        "torch",
        {
            4: "before convnext_small_downsampling_block_0",
            8: "before convnext_small_downsampling_block_1",
            16: "before convnext_small_downsampling_block_2",
            32: "output",
        },
    ),
    "mobilenet_v3_small": Network(
        partial(keras.applications.MobileNetV3Small, include_preprocessing=False),
        "tf",
        {
            2: "before expanded_conv_depthwise_pad",
            4: "expanded_conv_project_bn",
            8: "expanded_conv_2_add",
            16: "expanded_conv_7_add",
            32: "output",
        },
    ),
    "mobilenet_v3_large": Network(
        partial(keras.applications.MobileNetV3Large, include_preprocessing=False),
        "tf",
        {
            2: "expanded_conv_add",
            4: "expanded_conv_2_add",
            8: "expanded_conv_5_add",
            16: "expanded_conv_11_add",
            32: "output",
        },
    ),
    "efficientnet_b0": Network(
        keras.applications.EfficientNetB0,
        "torch",
        {2: "block1a_project_bn", 4: "block2b_add", 8: "block3b_add", 16: "block5c_add", 32: "block7a_project_bn"},
        begins="stem_conv_pad",
    ),
    "efficientnet_b4": Network(
        keras.applications.EfficientNetB4,
        "torch",
        {2: "block1b_add", 4: "block2d_add", 8: "block3d_add", 16: "block5f_add", 32: "block7b_add"},
        begins="stem_conv_pad",
    ),
    "efficientnet_v2_s": Network(
        partial(keras.applications.EfficientNetV2S, include_preprocessing=False),
        "efficientnet_v2",
        {2: "block1b_add", 4: "block2d_add", 8: "block3d_add", 16: "block5i_add", 32: "block6o_add"},
    ),
    "densenet121": Network(
        keras.applications.DenseNet121,
        "torch",
        {2: "conv1_relu", 4: "pool2_relu", 8: "pool3_relu", 16: "pool4_relu", 32: "relu"},
    ),
    "xception": Network(
        keras.applications.Xception,
        "tf",
        {
            2: "block1_conv2_act",
            4: "before block3_sepconv1_act",
            8: "before block4_sepconv1_act",
            16: "block13_sepconv1_act",
            32: "output",
        },
        edits={"block1_conv1": {"padding": "same"}, "block1_conv2": {"padding": "same"}},
    ),
    **{size: Network(partial(mit.mix_transformer, size), "torch", mit.TAPS) for size in mit.SIZES},
}


def normalize(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """Normalize images in [0, 1] as keras.applications' `preprocess_input` does for [0, 255]; float32.

    "tf" scales to [-1, 1]; "caffe" makes BGR in [0, 255] minus ImageNet's mean; "torch" subtracts ImageNet's mean and
    divides by its standard deviation; "efficientnet_v2" divides by 128 and subtracts 1. Of other than three bands, band
    i is normalized as i mod 3 of R, G, B, and one band by the means.
    """
    if mode == "tf":
        return keras.layers.Rescaling(2.0, -1.0, dtype="float32", name="normalize")(images)
    if mode == "efficientnet_v2":
        return keras.layers.Rescaling(255.0 / 128.0, -1.0, dtype="float32", name="normalize")(images)
    bands = images.shape[-1]
    if mode == "torch":
        mean, deviation = _of_bands((0.485, 0.456, 0.406), bands), _of_bands((0.229, 0.224, 0.225), bands)
        offset = [-m / d for m, d in zip(mean, deviation, strict=True)]
        return keras.layers.Rescaling([1 / d for d in deviation], offset, dtype="float32", name="normalize")(images)
    bgr_mean = [103.939, 116.779, 123.68]
    if bands != 3:  # `feature_stages` turns the kernels to R, G, B
        offset = [-m for m in _of_bands(tuple(bgr_mean[::-1]), bands)]
        return keras.layers.Rescaling(255.0, offset, dtype="float32", name="normalize")(images)
    bgr = keras.ops.flip(images, axis=-1)
    return keras.layers.Rescaling(255.0, [-m for m in bgr_mean], dtype="float32", name="normalize")(bgr)


def _of_bands(values: tuple[float, ...], bands: int) -> list[float]:
    """Repeat ImageNet's values of three bands as the kernels are repeated; one band gets their mean."""
    return [sum(values) / 3] if bands == 1 else [values[band % 3] for band in range(bands)]
