"""keras-cv's own DeepLabV3+ and SegFormer, as outside references: `pip install 'segbench[keras-cv]'`.

DeepLabV3+: Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611. SegFormer: Xie, Wang, Yu, Anandkumar, Alvarez,
Luo 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", arXiv:2105.15203.

The models are keras-cv's (0.9, frozen upstream), built from explicit configurations, since its presets need a download.
Its `include_rescaling` scales images from [0, 255] to [0, 1]; ours are in [0, 1] already, so it stays off.

Departures from keras-cv: both of its models end in a softmax, DeepLabV3+ behind 256 channels at the image's size and
SegFormer in front of the last resize. Here the head is rebuilt: logits at stride 4, then resized, in float32, with a
bias.

keras-cv's departures from the papers: DeepLabV3+ pools at stride 32 (no dilation in the backbone), has one 1x1
convolution where the paper's decoder has two 3x3 ones, and plain convolutions. SegFormer's transformer takes only
square images of 64 pixels or more (it computes the side as a square root, and one pixel at stride 32 breaks it).

| stride | kerascv_deeplab_v3_plus | kerascv_segformer |
| --- | --- | --- |
| 4 | ResNet-50, 256 -> 48 | MiT-B0, 32 |
| 8 | 512 | 64 |
| 16 | 1024 | 160 |
| 32 | 2048, pooled to 256 | 256 |
| 4 | 304 -> 256 -> classes | 4 x 256 -> 256 -> classes |
| 1 | logits, bilinear | logits, bilinear |

The models run on TensorFlow only. Under mixed precision DeepLabV3+ runs without XLA; outside.py explains why.
"""

from collections.abc import Sequence

import keras
from keras import layers

from bench.architectures.layers import head
from bench.architectures.outside import (
    RESNET_BLOCKS,
    RESNET_FILTERS,
    SEGFORMER_DEPTHS,
    SEGFORMER_HIDDEN_DIMS,
    make_resizes_trainable,
    outside_package,
    resnet_architecture,
    segformer_architecture,
)


@resnet_architecture(
    name="kerascv_deeplab_v3_plus",
    summary="keras-cv's DeepLabV3+ on a ResNet-50, as an outside reference",
    paper="Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611",
    backends=("tensorflow",),
    package="keras_cv",
)
def build_deeplab_v3_plus(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: Sequence[int] = RESNET_FILTERS,
    blocks: Sequence[int] = RESNET_BLOCKS,
) -> keras.Model:
    """Build keras-cv's DeepLabV3+: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of 32.
        filters, blocks: filters and blocks of the ResNet's four stages (a bottleneck's output has four times as many
            channels).
    """
    keras_cv = outside_package("kerascv_deeplab_v3_plus", "keras_cv")

    # === Encoder ===
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=list(filters),
        stackwise_blocks=list(blocks),
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=tuple(input_shape),
    )

    # === Decoder ===
    decoder = [layers.Conv2D(256, 1, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    network = make_resizes_trainable(
        keras_cv.models.DeepLabV3Plus(
            backbone=backbone,
            num_classes=num_classes,
            segmentation_head=keras.Sequential(decoder, name="segmentation_head"),  # its own without two layers
        )
    )

    # === Head ===
    logits = head(network.output, num_classes, stride=4)  # from (B, H/4, W/4, 256)
    return keras.Model(network.input, logits, name="kerascv_deeplab_v3_plus")


@segformer_architecture(
    name="kerascv_segformer",
    summary="keras-cv's SegFormer-B0, as an outside reference; square images only",
    backends=("tensorflow",),
    package="keras_cv",
)
def build_segformer(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    hidden_dims: Sequence[int] = SEGFORMER_HIDDEN_DIMS,
    depths: Sequence[int] = SEGFORMER_DEPTHS,
    projection_filters: int = 256,
) -> keras.Model:
    """Build keras-cv's SegFormer: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C) with H = W, multiples of 32 from 64 on.
        hidden_dims, depths: channels and transformer blocks of the four stages (MiT-B0: table 6 of the paper). The
            channels must be multiples of the stages' 1, 2, 5 and 8 attention heads.
        projection_filters: channels of the decoder (256 for B0 and B1, else 768).
    """
    keras_cv = outside_package("kerascv_segformer", "keras_cv")

    # === Encoder ===
    backbone = keras_cv.models.MiTBackbone(
        include_rescaling=False,
        depths=list(depths),
        embedding_dims=list(hidden_dims),
        input_shape=tuple(input_shape),
    )

    # === Decoder ===
    network = make_resizes_trainable(
        keras_cv.models.SegFormer(backbone=backbone, num_classes=num_classes, projection_filters=projection_filters)
    )
    dropout = next(layer for layer in reversed(network.layers) if isinstance(layer, layers.Dropout))

    # === Head ===
    logits = head(dropout.output, num_classes, stride=4)  # from (B, H/4, W/4, 256)
    return keras.Model(network.input, logits, name="kerascv_segformer")
