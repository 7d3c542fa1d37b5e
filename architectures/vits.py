"""Vision transformers of keras-hub as backbones: the patch tokens of chosen blocks, as maps of one stride.

Dosovitskiy and others 2020, arXiv:2010.11929. The networks are built from explicit configurations, those of keras-hub's
presets (needs `pip install 'segbench[keras-hub]'`):

| backbone | patch | blocks | channels | heads | tokens besides the patches | positions |
| --- | --- | --- | --- | --- | --- | --- |
| dinov2_small | 14 | 12 | 384 | 6 | class | learned, a grid of 37 x 37 |
| dinov3_small | 16 | 12 | 384 | 6 | class, 4 registers | rotary (RoPE) in each block |

The blocks are keras-hub's. What comes before them is ours: keras-hub's embedding takes square images only, has a second
copy of the position embeddings for the image's size, and loses what that copy has learned when it is saved. Here the
learned grid is the only weight, resized as in DINOv2's own code on each call (bicubic, a = -0.75), so that weights fit
images of every size. The mask token of the pretraining is left out.

As in DINOv2's `get_intermediate_layers`, the last layer norm is applied to the tokens of every chosen block, and class
and register tokens are dropped. Images of other than three bands: the patch embedding is adapted like a first
convolution, see `adapted` in backbones.py.

To add one, add its entry to `VITS` and its spec to `VISION_TRANSFORMERS` in __init__.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import keras
from keras import KerasTensor, layers

from bench.architectures.backbones import PREFIX, adapted
from bench.architectures.networks import normalize
from bench.architectures.outside import outside_package
from bench.architectures.tokens import Tokens
from bench.architectures.weights_file import load_file
from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message


@dataclass(frozen=True)
class Transformer:
    """A vision transformer of keras-hub: its class in keras_hub.models, its preset and that preset's configuration."""

    kind: str
    preset: str
    options: Mapping[str, Any]
    grid: int = 0  # height and width, in patches, of the learned position embeddings; 0 if positions are rotary

    @property
    def patch(self) -> int:
        """The height and width of a patch in pixels: the stride of the features."""
        return int(self.options["patch_size"])

    @property
    def blocks(self) -> int:
        """The number of transformer blocks."""
        return int(self.options["num_layers"])


_SMALL = {"num_layers": 12, "hidden_dim": 384, "num_heads": 6, "intermediate_dim": 1536}
VITS = {
    "dinov2_small": Transformer("DINOV2Backbone", "dinov2_small", {**_SMALL, "patch_size": 14}, grid=37),
    "dinov3_small": Transformer(
        "DINOV3Backbone",
        "dinov3_vit_small_lvd1689m",
        {**_SMALL, "patch_size": 16, "num_register_tokens": 4, "use_key_bias": False},
    ),
}


def patch_maps(
    inputs: KerasTensor,
    backbone: str,
    *,
    blocks: Collection[int],
    weights: str | PathLike[str] | None = None,
    trainable: bool = True,
) -> dict[int, KerasTensor]:
    """Return the patch tokens behind each of `blocks` as maps, for images (B, H, W, C) float32 in [0, 1].

    Args:
        inputs: the tensor from `keras.Input`; the result includes the normalisation that the weights need.
        backbone: a name of `VISION_TRANSFORMERS`.
        blocks: the numbers of transformer blocks, counted from 1.
        weights: None (random) or the path of a weights file made by the keras-hub network.
        trainable: whether the backbone's weights are trained.

    Returns:
        {block: tensor (B, H/patch, W/patch, channels)}, the first block first, for H and W that the patch divides.
    """
    if backbone not in VITS:
        raise BenchError(unknown_name_message("backbone", str(backbone), list(VITS), list(VITS)))
    network = VITS[backbone]
    original = _load(backbone, network, weights)
    images = normalize(inputs, "torch")
    projection = original.embeddings.patch_embeddings.projection
    patches = layers.Conv2D.from_config(projection.get_config() | {"name": f"{PREFIX}patches"})
    tokens = Tokens(int(original.num_register_tokens), network.grid, name=f"{PREFIX}tokens")
    used = [patches, tokens, *_named(original, max(blocks))]
    x = patches(images)  # (B, H/patch, W/patch, channels)
    _, height, width, channels = x.shape
    x = tokens(x)  # (B, tokens, channels)
    if weights is not None:
        _copy(original.embeddings, patches, tokens)
    positions = _rotary(original, images)
    maps = {}
    for number, block in enumerate(original.encoder.layers[: max(blocks)], start=1):
        x = block(x, **positions)
        if number in blocks:
            kept = layers.Cropping1D((tokens.prefix, 0), name=f"{PREFIX}cropped{number}")(original.layernorm(x))
            maps[number] = layers.Reshape((height, width, channels), name=f"{PREFIX}map{number}")(kept)
    for layer in used:
        layer.trainable = trainable
    return maps


def _named(original: keras.Model, count: int) -> list[keras.Layer]:
    """Give the first blocks and the last norm the names by which a model knows its backbone, and return them."""
    blocks = original.encoder.layers[:count]
    for number, block in enumerate(blocks, start=1):
        block.name = f"{PREFIX}block{number}"
    original.layernorm.name = f"{PREFIX}norm"
    return [*blocks, original.layernorm]


def _rotary(original: keras.Model, images: KerasTensor) -> dict[str, Any]:
    """Return what DINOv3's blocks take besides the tokens: the patches' positions, and how many tokens have none."""
    if not hasattr(original, "rope_embedding"):
        return {}
    original.rope_embedding.name = f"{PREFIX}positions"
    prefix = 1 + int(original.num_register_tokens)
    return {"position_embeddings": original.rope_embedding(images), "num_prefix_tokens": prefix}


def _copy(embeddings: keras.Layer, patches: keras.layers.Conv2D, tokens: Tokens) -> None:
    """Copy the weights of keras-hub's embedding; the kernel is adapted to the image's bands."""
    kernel = keras.ops.convert_to_numpy(embeddings.patch_embeddings.projection.kernel)
    bands = patches.kernel.shape[2]
    patches.kernel.assign(kernel if bands == 3 else adapted(kernel, bands))
    patches.bias.assign(embeddings.patch_embeddings.projection.bias)
    tokens.class_token.assign(embeddings.cls_token)
    if tokens.registers:
        tokens.register_tokens.assign(embeddings.register_tokens)
    if tokens.grid:
        tokens.positions.assign(embeddings.position_embeddings)


def _load(backbone: str, network: Transformer, weights: str | PathLike[str] | None) -> keras.Model:
    """Build the keras-hub network with its weights; raise BenchError in one line if they can't be used."""
    advice = (
        "Give the path of a weights file of keras-hub, such as the one that "
        f"keras_hub.models.{network.kind}.from_preset('{network.preset}').save_weights('FILE.weights.h5') writes, or "
        "train without: weights none."
    )
    if weights == "imagenet":
        raise BenchError(f"{backbone} has no ImageNet weights: it was trained on other images. {advice}")
    options = {**network.options, "image_shape": (network.patch, network.patch, 3)}
    if network.grid:
        side = network.patch * (network.grid if weights is not None else 1)  # only a file has positions to keep
        options["position_embedding_shape"] = (side, side)
    model = getattr(outside_package(backbone, "keras_hub").models, network.kind)(**options)
    if weights is not None:
        load_file(model, weights, backbone, advice)
    return model
