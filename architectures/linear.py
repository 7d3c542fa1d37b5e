"""Linear: a batch norm and a 1x1 convolution on the patch tokens of a frozen vision transformer.

Oquab, Darcet, Moutakanni and others 2023, "DINOv2: Learning Robust Visual Features without Supervision",
arXiv:2304.07193, section 7.4 ("linear"); the batch norm is that of their released head (BNHead).

The baseline of what a backbone knows: only the head is trained. Of a backbone without pretrained weights it measures a
head on random features. With last_blocks=4 the tokens of the last four blocks are joined, as in their "+ms", whose
several scales of the image are left out.

Departures: bilinear logits to the image's size, whatever that is (theirs: slides of 512 x 512).

| stride | features | dinov2_small |
| --- | --- | --- |
| 14 | the last block's tokens, frozen | 384 |
| 14 | batch norm, 1x1 | classes |
| 1 | logits, bilinear | classes |
"""

from os import PathLike

import keras
from keras import layers

from bench.architectures import VISION_TRANSFORMERS
from bench.architectures.layers import head
from bench.architectures.vits import VITS, patch_maps
from bench.core.errors import BenchError
from bench.plugin import architecture

_LAST_BLOCKS = (1, 4)


@architecture(
    name="linear",
    summary="A batch norm and a 1x1 convolution on the patch tokens of a frozen vision transformer",
    paper="Oquab, Darcet, Moutakanni and others 2023, arXiv:2304.07193",
    aliases=("linear_head", "linear_probe"),
    backbones=tuple(backbone.name for backbone in VISION_TRANSFORMERS),
    default_backbone="dinov2_small",
    needs_backbone=True,
    size_divisor="bench.architectures.sizes:patch_divisor",
    help={
        "last_blocks": "how many of the last blocks' tokens are joined",
        "frozen": "leave the backbone as it is and train the head alone",
    },
    choices={"last_blocks": _LAST_BLOCKS},
    tiny={"frozen": False},
)
def build_linear(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: str | None = None,
    weights: str | PathLike[str] | None = None,
    last_blocks: int = 1,
    frozen: bool = True,
) -> keras.Model:
    """Build a linear head: images (B, H, W, C) float32 in [0, 1] -> logits (B, H, W, num_classes) float32.

    Args:
        input_shape: (H, W, C); H and W are multiples of the backbone's patch.
        backbone: a name of `VISION_TRANSFORMERS`; None is dinov2_small.
        weights: the backbone's weights: None or the path of a file.
        last_blocks: 1 ("linear") or 4 ("+ms"), the number of blocks whose tokens are joined.
        frozen: whether the backbone keeps its weights.
    """
    if last_blocks not in _LAST_BLOCKS:
        raise BenchError(f"linear can't have last_blocks={last_blocks}. Accepted: 1, 4.")
    backbone = backbone or "dinov2_small"
    inputs = keras.Input(input_shape, name="images")

    # === Encoder ===
    depth = VITS[backbone].blocks
    last = range(depth + 1 - last_blocks, depth + 1)
    maps = [*patch_maps(inputs, backbone, blocks=last, weights=weights, trainable=not frozen).values()]

    # === Head ===
    x = layers.Concatenate(name="joined")(maps) if last_blocks > 1 else maps[0]  # (B, H/14, W/14, 384)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, head(x, num_classes, stride=VITS[backbone].patch), name="linear")
