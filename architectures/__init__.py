"""The architectures and their backbones: one spec a name.

The parent process reads the specs and imports no keras; `build` is resolved in the trial's process. A new family
is a file here and an entry below; tests/test_architectures.py then checks it without another line.
"""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.architectures: the folder 'architectures' is installed under that name.")

from collections.abc import Mapping, Sequence
from typing import Any

from bench.errors import BenchError
from bench.spec import ArchitectureSpec, BackboneSpec, Param

BACKBONES = (
    BackboneSpec(
        name="mobilenet_v2",
        paper="Sandler, Howard, Zhu, Zhmoginov, Chen 2018, arXiv:1801.04381",
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        aliases=("mobilenetv2",),
    ),
    BackboneSpec(
        name="resnet50",
        paper="He, Zhang, Ren, Sun 2015, arXiv:1512.03385",
        weights_file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        aliases=("resnet_50",),
    ),
)

UNET_FILTERS = (64, 128, 256, 512, 1024)  # Ronneberger 2015, figure 1
UNET_DECODER_FILTERS = (256, 128, 64, 32, 16)  # segmentation_models.pytorch's Unet, decoder_channels
UNET_UPSAMPLING = ("transposed", "bilinear", "nearest")
DEEPLAB_OUTPUT_STRIDES = (16, 8)  # Chen 2018, section 3.1


def unet_levels(filters: Sequence[int], depth: int | None = None) -> list[int]:
    """Channels of each level of a U-Net without backbone, finest first; BenchError if it can't have them.

    `depth` is the number of levels below the first: it cuts `filters`, or goes on doubling the last.
    """
    levels = list(filters)
    depth = len(levels) - 1 if depth is None else depth
    if depth < 1 or not levels or not all(isinstance(width, int) and width > 0 for width in levels):
        raise BenchError(
            f"unet can't have the filters {levels} with depth {depth}. "
            "It needs whole numbers above 0 and a depth of 1 or more, such as filters=[16,32,64]."
        )
    levels += [levels[-1] * 2**step for step in range(1, depth + 2 - len(levels))]
    return levels[: depth + 1]


def _unet_divisor(backbone: str | None, params: Mapping[str, Any]) -> int:
    """Without backbone each level below the first halves the image; a backbone ends at stride 32."""
    foreign = ("filters", "depth", "convs_per_block") if backbone else ("decoder_filters",)
    if given := [name for name in foreign if name in params]:
        raise BenchError(
            f"unet {'with' if backbone else 'without'} a backbone has no parameter '{given[0]}'. "
            f"Leave it out, or {'give no backbone' if backbone else 'give a backbone'}."
        )
    if backbone:
        return 32
    return 2 ** (len(unet_levels(params.get("filters", UNET_FILTERS), params.get("depth"))) - 1)


def _deeplab_divisor(_backbone: str | None, params: Mapping[str, Any]) -> int:
    """The stride of the encoder's features: every resize in the model is then by a whole factor."""
    return params.get("output_stride", 16)


ARCHITECTURES = (
    ArchitectureSpec(
        name="unet",
        build="bench.architectures.unet:build_unet",
        summary="Encoder and decoder with a skip connection at every stride",
        paper="Ronneberger, Fischer, Brox 2015, arXiv:1505.04597",
        aliases=("u_net",),
        backbones=tuple(backbone.name for backbone in BACKBONES),
        size_divisor=_unet_divisor,
        params=(
            Param("filters", "list", UNET_FILTERS, "channels of each level, finest first; without backbone"),
            Param("depth", "int", None, "halvings of the image; cuts `filters` or doubles on; without backbone"),
            Param("decoder_filters", "list", UNET_DECODER_FILTERS, "channels at strides 16 to 1; with a backbone"),
            Param("kernel_size", "int", 3, "of the convolutions in the blocks"),
            Param("convs_per_block", "int", 2, "convolutions a block down; without backbone"),
            Param("convs_per_decoder_block", "int", 2, "convolutions a block up"),
            Param("upsampling", "str", "transposed", "to the next level's size", choices=UNET_UPSAMPLING),
            Param("dropout", "float", 0.0, "rate after the first convolution of each block"),
            Param("batch_norm", "bool", True, "after each convolution, the backbone's own aside"),
        ),
    ),
    ArchitectureSpec(
        name="deeplab",
        build="bench.architectures.deeplab:build_deeplab",
        summary="DeepLabV3+: dilated pyramid pooling and a light decoder at stride 4",
        paper="Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611",
        aliases=("deeplab_v3_plus", "deeplabv3plus", "deeplabv3+"),
        backbones=tuple(backbone.name for backbone in BACKBONES),
        default_backbone="mobilenet_v2",
        needs_backbone=True,
        size_divisor=_deeplab_divisor,
        params=(
            Param("output_stride", "int", 16, "stride of the encoder's features", choices=DEEPLAB_OUTPUT_STRIDES),
            Param("aspp_filters", "int", 256, "channels of each branch of the pyramid pooling"),
            Param("decoder_filters", "int", 256, "channels of the decoder's two convolutions"),
            Param("separable", "bool", True, "depthwise separable 3x3 convolutions in pyramid pooling and decoder"),
            Param("dropout", "float", 0.1, "rate before the decoder"),
        ),
    ),
)
