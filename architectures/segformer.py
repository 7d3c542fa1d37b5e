"""SegFormer: a decoder of linear layers alone, which joins the features of four stages at stride 4.

Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with
Transformers", arXiv:2105.15203, section 3.2.

As in the paper: a linear layer brings each stage to the decoder's channels, bilinear to stride 4, a linear layer joins
them and another classifies. As in the authors' code: batch norm and ReLU behind the layer that joins, dropout 0.1.

Logits at stride 4 equal those of segmentation_models.pytorch for the same weights (1e-6 of the largest); behind them it
aligns corners, where the authors' code and ours don't.

Departures: the decoder has 256 channels on every backbone, as in segmentation_models.pytorch; the paper has 256 on
mit_b0 and mit_b1, 768 from mit_b2 on (table 6): filters=768. Any backbone is accepted, not MiT alone (mit.py).

| stride | features, mit_b0 | decoder |
| --- | --- | --- |
| 4, 8, 16, 32 | 32, 64, 160, 256 | 256 each |
| 4 | joined | 4 x 256 -> 256 |
| 1 | logits, bilinear | classes |

Trainable parameters, 21 classes: mit_b0 3,719,541, mit_b1 13,682,645, mit_b2 24,727,509, as Segformer of
segmentation_models.pytorch has.
"""

from os import PathLike

import keras
from keras import layers

from bench.architectures import BACKBONES
from bench.architectures.backbones import feature_pyramid
from bench.architectures.layers import conv_norm_relu, head, upsample
from bench.plugin import architecture


@architecture(
    name="segformer",
    summary="Linear layers alone join the features of four stages, by default those of a Mix Transformer",
    paper="Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, arXiv:2105.15203",
    backbones=tuple(backbone.name for backbone in BACKBONES),
    default_backbone="mit_b0",
    needs_backbone=True,
    size_divisor=32,
    help={"filters": "channels of the decoder", "dropout": "rate in front of the classifier"},
    tiny={"filters": 32},
)
def build_segformer(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: int = 256,
    dropout: float = 0.1,
) -> keras.Model:
    """Build SegFormer: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of 32.
        backbone: a name of `BACKBONES`; None is mit_b0.
        weights: the backbone's weights: None, "imagenet" (not of MiT) or the path of a file.
        filters: channels of the decoder (table 6: 256 for B0 and B1, 768 for B2).
        dropout: rate in front of the classifier (0.1 in the authors' code).
    """
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    pyramid = feature_pyramid(inputs, backbone or "mit_b0", weights=weights)

    # === Decoder ===
    levels = []
    for stride in (32, 16, 8, 4):
        x = layers.Dense(filters, name=f"level{stride}")(pyramid[stride])
        levels.append(x if stride == 4 else upsample(x, stride // 4, name=f"level{stride}_up"))
    x = layers.Concatenate(name="levels")(levels)  # (B, H/4, W/4, 4 x 256)
    x = conv_norm_relu(x, filters, 1, use_bias=False, name="fuse")  # (B, H/4, W/4, 256)
    x = layers.Dropout(dropout, name="dropout")(x)

    # === Head ===
    return keras.Model(inputs, head(x, num_classes, stride=4), name="segformer")
