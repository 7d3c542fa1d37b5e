"""DPT: tokens of four blocks of a vision transformer become a pyramid of features, fused from coarse to fine.

Ranftl, Bochkovskiy, Koltun 2021, "Vision Transformers for Dense Prediction", arXiv:2103.13413, section 3.

As in the paper: tokens behind each quarter of the blocks, projected to a map and resampled to 4, 2, 1 and 1/2 times the
grid of patches (transposed convolutions, nothing, a strided 3x3 convolution); 3x3 convolutions to 256 channels; fusion
by residual units of two 3x3 convolutions with batch norm, doubled bilinearly, and a 1x1 convolution; the head is a 3x3
convolution with batch norm, ReLU, dropout 0.1 and a 1x1 classifier.

Departures: the class token is dropped (the paper's "ignore", table 7, instead of "project"); the transformer is DINOv2
or DINOv3, whose last layer norm is applied to each map; channels of an eighth, a quarter, half and all of the
transformer's, as in DINOv2's own DPT heads; features are resized to the size of the next level, so that a grid may
have an odd number of patches; no auxiliary head.

| stride (patch 14) | features | dinov2_small |
| --- | --- | --- |
| 3.5 | block 3, transposed | 48 -> 256 |
| 7 | block 6, transposed | 96 -> 256 |
| 14 | block 9 | 192 -> 256 |
| 28 | block 12, strided | 384 -> 256 |
| 1.75 | fused, head | 256 -> classes |
| 1 | logits, bilinear | classes |

Trainable parameters, 21 classes: dinov3_small 34,057,205, segmentation_models_pytorch's DPT on it 35,228,661, whose
deepest fusion has a residual unit that nothing passes (tests/test_reference_params.py counts each).
"""

from collections.abc import Sequence
from os import PathLike

import keras
from keras import KerasTensor, layers

from bench.architectures import VISION_TRANSFORMERS
from bench.architectures.layers import conv_norm_relu
from bench.architectures.pooling import LinearResize
from bench.architectures.vits import VITS, patch_maps
from bench.plugin import architecture


@architecture(
    name="dpt",
    summary="Tokens of four blocks of a vision transformer as a pyramid, fused from coarse to fine",
    paper="Ranftl, Bochkovskiy, Koltun 2021, arXiv:2103.13413",
    aliases=("dense_prediction_transformer",),
    backbones=tuple(backbone.name for backbone in VISION_TRANSFORMERS),
    default_backbone="dinov2_small",
    needs_backbone=True,
    size_divisor="bench.architectures.sizes:patch_divisor",
    help={
        "filters": "channels of the fused features",
        "dropout": "rate in front of the classifier",
        "frozen": "leave the backbone as it is and train the decoder alone",
    },
    tiny={"filters": 32},
)
def build_dpt(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    filters: int = 256,
    dropout: float = 0.1,
    frozen: bool = False,
) -> keras.Model:
    """Build DPT: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of the backbone's patch.
        backbone: a name of `VISION_TRANSFORMERS`; None is dinov2_small.
        weights: the backbone's weights: None or the path of a file.
        filters: 256 channels of the fused features (section 3).
        dropout: rate in front of the classifier (0.1 in the authors' code).
        frozen: whether the backbone keeps its weights; the paper trains it.
    """
    backbone = backbone or "dinov2_small"
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    quarters = [-(-VITS[backbone].blocks * i // 4) for i in (1, 2, 3, 4)]
    maps = patch_maps(inputs, backbone, blocks=set(quarters), weights=weights, trainable=not frozen)
    pyramid = [_reassemble(maps[block], level) for level, block in enumerate(quarters)]  # fine to coarse

    # === Fusion, from coarse to fine ===
    levels = [
        layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"level{level}")(x)
        for level, x in enumerate(pyramid)
    ]
    x: KerasTensor | None = None
    for level in (3, 2, 1, 0):
        x = _fuse(x, levels[level], _size(levels, level), name=f"fusion{level}")

    # === Head ===
    x = conv_norm_relu(x, filters, use_bias=False, name="head")  # (B, 8 H/patch, 8 W/patch, 256)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(num_classes, 1, dtype="float32", name="logits")(x)
    x = LinearResize(*input_shape[:2], method="bilinear", dtype="float32", name="logits_resized")(x)
    return keras.Model(inputs, x, name="dpt")


def _reassemble(x: KerasTensor, level: int) -> KerasTensor:
    """Project patch tokens and resample them: (B, h, w, C) -> (B, 4h, 4w, C/8) at level 0, 2h, h and h/2 at others."""
    filters = max(1, x.shape[-1] // 8 * 2**level)
    name = f"reassemble{level}"
    x = layers.Conv2D(filters, 1, name=f"{name}_project")(x)
    if level < 2:
        factor = 4 >> level
        return layers.Conv2DTranspose(filters, factor, strides=factor, name=f"{name}_enlarge")(x)
    return layers.Conv2D(filters, 3, strides=2, padding="same", name=f"{name}_shrink")(x) if level == 3 else x


def _size(levels: Sequence[KerasTensor], level: int) -> tuple[int, int]:
    """Return the size of the next finer level; twice that of the finest."""
    _, height, width, _ = levels[max(0, level - 1)].shape
    return (height, width) if level else (2 * height, 2 * width)


def _fuse(deeper: KerasTensor | None, x: KerasTensor, size: tuple[int, int], *, name: str) -> KerasTensor:
    """Add a level's features to the deeper ones, and resize: (B, h, w, C) -> (B, *size, C)."""
    if deeper is not None:
        x = layers.Add(name=f"{name}_sum")([deeper, _residual_unit(x, name=f"{name}_skip")])
    x = _residual_unit(x, name=f"{name}_unit")
    x = LinearResize(*size, method="bilinear", dtype="float32", name=f"{name}_resized")(x)
    return layers.Conv2D(x.shape[-1], 1, name=f"{name}_conv")(x)


def _residual_unit(x: KerasTensor, *, name: str) -> KerasTensor:
    """Add to features what two activated convolutions with batch norm make of them."""
    inner = x
    for index in (0, 1):
        inner = layers.ReLU(name=f"{name}_{index}_relu")(inner)
        inner = layers.Conv2D(x.shape[-1], 3, padding="same", use_bias=False, name=f"{name}_{index}_conv")(inner)
        inner = layers.BatchNormalization(name=f"{name}_{index}_norm")(inner)
    return layers.Add(name=f"{name}_add")([x, inner])
