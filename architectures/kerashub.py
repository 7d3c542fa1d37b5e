"""keras-hub's own DeepLabV3+ and SegFormer, as outside references: `pip install 'segbench[keras-hub]'`.

DeepLabV3 and V3+: Chen and others 2017, arXiv:1706.05587; 2018, arXiv:1802.02611. SegFormer: Xie, Wang, Yu, Anandkumar,
Alvarez, Luo 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
arXiv:2105.15203.

The models are keras-hub's, built from explicit configurations (those of its presets deeplab_v3_plus_resnet50_pascalvoc
and segformer_b0), since the presets need a download. Its preprocessors scale images outside the models, which accept
any range.

Departures from keras-hub: the head is rebuilt: logits at stride 4, then resized, in float32, with a bias. keras-hub's
DeepLabV3 enlarges 256 channels to the image's size before it classifies; its SegFormer resizes in the model's
precision.

keras-hub's departures from the papers: DeepLabV3 pools at stride 32 (no dilation in the backbone), has one 1x1
convolution where the paper's decoder has two 3x3 ones, and plain convolutions. SegFormer's transformer takes only
square images of 64 pixels or more (it computes the side as a square root, and one pixel at stride 32 breaks it).

| stride | kerashub_deeplab_v3 | kerashub_segformer |
| --- | --- | --- |
| 4 | ResNet-50, 256 -> 48 | MiT-B0, 32 |
| 8 | 512 | 64 |
| 16 | 1024 | 160 |
| 32 | 2048, pooled to 256 | 256 |
| 4 | 304 -> 256 -> classes (V3: 256 -> 256 -> classes) | 4 x 256 -> 256 -> classes |
| 1 | logits, bilinear | logits, bilinear |

On TensorFlow, DeepLabV3 runs without XLA under mixed precision; outside.py explains why.
"""

from collections.abc import Sequence

import keras
from keras import layers

from bench.architectures.layers import head
from bench.architectures.outside import (
    RESNET_BLOCKS,
    RESNET_FILTERS,
    SEGFORMER_DEPTHS,
    SEGFORMER_HEADS,
    SEGFORMER_HIDDEN_DIMS,
    make_resizes_trainable,
    outside_package,
    resnet_architecture,
    segformer_architecture,
)


@resnet_architecture(
    name="kerashub_deeplab_v3",
    summary="keras-hub's DeepLabV3+ on a ResNet-50, as an outside reference",
    paper="Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587; 2018, arXiv:1802.02611",
    package="keras_hub",
    help={"decoder": "join features of stride 4 (V3+), else V3"},
)
def build_deeplab_v3(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: Sequence[int] = RESNET_FILTERS,
    blocks: Sequence[int] = RESNET_BLOCKS,
    decoder: bool = True,
) -> keras.Model:
    """Build keras-hub's DeepLabV3+: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); multiples of 32.
        filters, blocks: filters and blocks of the ResNet's four stages (a bottleneck's output has four times as many
            channels); the first stage has 64 filters.
        decoder: whether features of stride 4 are joined (V3+, as in keras-hub's preset); if not, it is V3.
    """
    keras_hub = outside_package("kerashub_deeplab_v3", "keras_hub")

    # === Encoder ===
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=list(filters),
        stackwise_num_blocks=list(blocks),
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=tuple(input_shape),
    )

    # === Decoder ===
    network = make_resizes_trainable(
        keras_hub.models.DeepLabV3Backbone(
            image_encoder=encoder,
            spatial_pyramid_pooling_key="P5",
            upsampling_size=8,
            dilation_rates=[6, 12, 18],
            low_level_feature_key="P2" if decoder else None,
            projection_filters=48,
            image_shape=tuple(input_shape),
        )
    )
    x = network.get_layer("segmentation_head_relu").output  # (B, H/4, W/4, 256)

    # === Head ===
    return keras.Model(network.input, head(x, num_classes, stride=4), name="kerashub_deeplab_v3")


@segformer_architecture(
    name="kerashub_segformer",
    summary="keras-hub's SegFormer-B0, as an outside reference; square images only",
    package="keras_hub",
)
def build_segformer(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    hidden_dims: Sequence[int] = SEGFORMER_HIDDEN_DIMS,
    depths: Sequence[int] = SEGFORMER_DEPTHS,
    projection_filters: int = 256,
) -> keras.Model:
    """Build keras-hub's SegFormer: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C) with H = W, multiples of 32 from 64 on.
        hidden_dims, depths: channels and transformer blocks of the four stages (MiT-B0: table 6 of the paper). The
            channels must be multiples of the stages' 1, 2, 5 and 8 attention heads.
        projection_filters: channels of the decoder (256 for B0 and B1, else 768).
    """
    keras_hub = outside_package("kerashub_segformer", "keras_hub")

    # === Encoder ===
    encoder = keras_hub.models.MiTBackbone(
        image_shape=tuple(input_shape),
        num_layers=4,
        hidden_dims=list(hidden_dims),
        layerwise_depths=list(depths),
        layerwise_num_heads=list(SEGFORMER_HEADS),
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
    )

    # === Decoder ===
    network = make_resizes_trainable(
        keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=projection_filters)
    )
    x = layers.Dropout(0.1, name="dropout")(network.output)  # (B, H/4, W/4, 256), as in keras-hub's segmenter

    # === Head ===
    return keras.Model(network.input, head(x, num_classes, stride=4), name="kerashub_segformer")
