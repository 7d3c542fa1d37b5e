"""The architectures and their backbones: one spec a name.

The parent process reads the specs and imports no keras; `build` is resolved in the trial's process. A new family
is a file here and an entry below; tests/test_architectures.py then checks it without another line.
"""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.architectures: the folder 'architectures' is installed under that name.")

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.architectures.outside import (
    RESNET_BLOCKS,
    RESNET_FILTERS,
    SEGFORMER_DEPTHS,
    SEGFORMER_HEADS,
    SEGFORMER_HIDDEN_DIMS,
)
from bench.core.errors import BenchError
from bench.core.specs import ArchitectureSpec, BackboneSpec, Param

BACKBONES = (
    BackboneSpec(
        name="vgg16",
        paper="Simonyan, Zisserman 2014, arXiv:1409.1556",
        weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        aliases=("vgg_16",),
    ),
    BackboneSpec(
        name="mobilenet",
        paper="Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam 2017, arXiv:1704.04861",
        weights_file="mobilenet_1_0_224_tf_no_top.h5",
        aliases=("mobilenet_v1",),
    ),
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
    BackboneSpec(
        name="resnet101",
        paper="He, Zhang, Ren, Sun 2015, arXiv:1512.03385",
        weights_file="resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        aliases=("resnet_101",),
    ),
    BackboneSpec(
        name="efficientnet_v2_b0",
        paper="Tan, Le 2021, arXiv:2104.00298",
        weights_file="efficientnetv2-b0_notop.h5",
        aliases=("efficientnetv2_b0", "efficientnetv2b0"),
    ),
    BackboneSpec(
        name="convnext_tiny",
        paper="Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, arXiv:2201.03545",
        weights_file="convnext_tiny_notop.h5",
        strides=(4, 8, 16, 32),
        output_strides=(32,),
    ),
)

UNET_FILTERS = (64, 128, 256, 512, 1024)  # Ronneberger 2015, figure 1
UNET_DECODER_FILTERS = (256, 128, 64, 32, 16)  # segmentation_models.pytorch's Unet, decoder_channels
UNET_UPSAMPLING = ("transposed", "bilinear", "nearest", "pix2pix")
SEGNET_FILTERS = (64, 128, 256, 512, 512)  # VGG16's
SEGNET_CONVS = (2, 2, 3, 3, 3)
PSPNET_BINS = (1, 2, 3, 6)  # Zhao 2017, section 3.2
PSPNET_OUTPUT_STRIDES = (8, 16, 32)
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


def segnet_levels(filters: Sequence[int], convs: Sequence[int]) -> list[tuple[int, int]]:
    """Channels and convolutions of each stage of SegNet, finest first; BenchError if it can't have them."""
    filters, convs = list(filters), list(convs)
    if not filters or len(filters) != len(convs) or not all(isinstance(n, int) and n > 0 for n in filters + convs):
        raise BenchError(
            f"segnet can't have the filters {filters} with the convs {convs}. "
            "It needs as many of each, whole numbers above 0, such as filters=[16,32] and convs=[2,2]."
        )
    return list(zip(filters, convs, strict=True))


def _segnet_divisor(backbone: str | None, params: Mapping[str, Any]) -> int:
    """Each stage halves the image; a backbone ends at stride 32, and the decoder mirrors VGG16."""
    if backbone and (given := [name for name in ("filters", "convs") if name in params]):
        raise BenchError(f"segnet with a backbone has no parameter '{given[0]}'. Leave it out, or give no backbone.")
    return 2 ** len(segnet_levels(params.get("filters", SEGNET_FILTERS), params.get("convs", SEGNET_CONVS)))


def _fcn_divisor(backbone: str | None, params: Mapping[str, Any]) -> int:
    """The deepest features are at stride 32; only VGG16 has fully connected layers to make convolutions of."""
    if backbone not in (None, "vgg16") and "fc_filters" in params:
        raise BenchError(
            f"fcn with {backbone} has no parameter 'fc_filters'. Leave it out, or take the backbone vgg16."
        )
    return 32


def _outside_divisor(_backbone: str | None, params: Mapping[str, Any]) -> int:
    """The deepest features are at stride 32; each of the four stages has its whole number."""
    for name in ("filters", "blocks", "hidden_dims", "depths"):
        values = list(params.get(name, (1,) * 4))
        if len(values) != 4 or not all(isinstance(value, int) and value > 0 for value in values):
            raise BenchError(f"'{name}' can't be {values}. It needs four whole numbers above 0, such as [1,1,1,1].")
    if "filters" in params and params["filters"][0] != 64:
        raise BenchError(f"'filters' can't be {list(params['filters'])}: the first stage of these ResNets has 64.")
    dims = params.get("hidden_dims", SEGFORMER_HIDDEN_DIMS)
    if any(width % heads for width, heads in zip(dims, SEGFORMER_HEADS, strict=True)):
        heads = ", ".join(map(str, SEGFORMER_HEADS))
        raise BenchError(
            f"'hidden_dims' can't be {list(dims)}. They must be multiples of the attention heads: {heads}."
        )
    return 32


def _output_stride(default: int) -> Callable[[str | None, Mapping[str, Any]], int]:
    """The stride of the encoder's features: every resize to the image is then by a whole factor."""
    return lambda _backbone, params: params.get("output_stride", default)


_FCN_PAPER = "Long, Shelhamer, Darrell 2015, arXiv:1411.4038"
_FCN_BACKBONES = ("vgg16", "mobilenet", "mobilenet_v2", "resnet50")
_FCN_PARAMS = (
    Param("fc_filters", "int", 4096, "channels of fc6 and fc7; with vgg16"),
    Param("dropout", "float", 0.5, "rate behind fc6 and fc7, of other backbones on the deepest features"),
)
_RESNET_PARAMS = (
    Param("filters", "list", RESNET_FILTERS, "of each stage of the ResNet"),
    Param("blocks", "list", RESNET_BLOCKS, "of each stage of the ResNet"),
)
_SEGFORMER_PAPER = "Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, arXiv:2105.15203"
_SEGFORMER_PARAMS = (
    Param("hidden_dims", "list", SEGFORMER_HIDDEN_DIMS, "channels of each stage: multiples of 1, 2, 5 and 8"),
    Param("depths", "list", SEGFORMER_DEPTHS, "transformer blocks of each stage"),
    Param("projection_filters", "int", 256, "channels of the decoder"),
)
_DEEPLAB_BACKBONES = ("mobilenet_v2", "mobilenet", "resnet50", "resnet101", "efficientnet_v2_b0")


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
            Param(
                "decoder_filters", "list", UNET_DECODER_FILTERS, "channels at strides 16 to 1, or to 2; with a backbone"
            ),
            Param("kernel_size", "int", 3, "of the convolutions in the blocks"),
            Param("convs_per_block", "int", 2, "convolutions a block down; without backbone"),
            Param("convs_per_decoder_block", "int", 2, "convolutions a block up, 0 for none"),
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
        backbones=_DEEPLAB_BACKBONES,
        default_backbone="mobilenet_v2",
        needs_backbone=True,
        size_divisor=_output_stride(16),
        params=(
            Param("output_stride", "int", 16, "stride of the encoder's features", choices=DEEPLAB_OUTPUT_STRIDES),
            Param("aspp_filters", "int", 256, "channels of each branch of the pyramid pooling"),
            Param("decoder_filters", "int", 256, "channels of the decoder's two convolutions"),
            Param("separable", "bool", True, "depthwise separable 3x3 convolutions in pyramid pooling and decoder"),
            Param("dropout", "float", 0.1, "rate before the decoder"),
        ),
    ),
    ArchitectureSpec(
        name="deeplab_v3",
        build="bench.architectures.deeplab:build_deeplab_v3",
        summary="Dilated pyramid pooling, no decoder",
        paper="Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587",
        aliases=("deeplabv3",),
        backbones=_DEEPLAB_BACKBONES,
        default_backbone="resnet50",
        needs_backbone=True,
        size_divisor=_output_stride(16),
        params=(
            Param("output_stride", "int", 16, "stride of the features", choices=DEEPLAB_OUTPUT_STRIDES),
            Param("aspp_filters", "int", 256, "channels of each branch of the pyramid pooling"),
            Param("dropout", "float", 0.1, "rate in front of the classifier"),
        ),
    ),
    ArchitectureSpec(
        name="pspnet",
        build="bench.architectures.pspnet:build_pspnet",
        summary="Features pooled over the image's halves, thirds and sixths; auxiliary loss in training",
        paper="Zhao, Shi, Qi, Wang, Jia 2017, arXiv:1612.01105",
        aliases=("psp_net",),
        backbones=("resnet50", "resnet101", "mobilenet_v2", "mobilenet", "vgg16"),
        default_backbone="resnet50",
        needs_backbone=True,
        size_divisor=_output_stride(8),
        params=(
            Param("output_stride", "int", 8, "stride of the features", choices=PSPNET_OUTPUT_STRIDES),
            Param("bins", "list", PSPNET_BINS, "side of each pooled map"),
            Param("filters", "int", 512, "channels of the convolution behind the pyramid"),
            Param("dropout", "float", 0.1, "rate in front of the classifiers"),
            Param("auxiliary", "bool", True, "train with an auxiliary head on stride 16, its loss times 0.4"),
        ),
    ),
    ArchitectureSpec(
        name="segnet",
        build="bench.architectures.segnet:build_segnet",
        summary="Encoder and decoder; values go back to where max pooling took them from",
        paper="Badrinarayanan, Kendall, Cipolla 2017, arXiv:1511.00561",
        aliases=("seg_net",),
        backbones=("vgg16", "mobilenet", "mobilenet_v2", "resnet50"),
        size_divisor=_segnet_divisor,
        params=(
            Param("filters", "list", SEGNET_FILTERS, "channels of each stage, finest first; without backbone"),
            Param("convs", "list", SEGNET_CONVS, "convolutions of each stage; without backbone"),
        ),
    ),
    *(
        ArchitectureSpec(
            name=f"fcn{stride}",
            build=f"bench.architectures.fcn:build_fcn{stride}",
            summary=f"Class scores from stride 32 to {stride}, fused from coarse to fine",
            paper=_FCN_PAPER,
            aliases=(f"fcn_{stride}", f"fcn{stride}s", f"fcn-{stride}s"),
            backbones=_FCN_BACKBONES,
            default_backbone="vgg16",
            needs_backbone=True,
            size_divisor=_fcn_divisor,
            params=_FCN_PARAMS,
        )
        for stride in (8, 16, 32)
    ),
    ArchitectureSpec(
        name="kerascv_deeplab_v3_plus",
        build="bench.architectures.kerascv:build_deeplab_v3_plus",
        summary="keras-cv's DeepLabV3+ on a ResNet-50, as an outside reference",
        paper="Chen, Zhu, Papandreou, Schroff, Adam 2018, arXiv:1802.02611",
        size_divisor=_outside_divisor,
        params=_RESNET_PARAMS,
        backends=("tensorflow",),
        package="keras_cv",
    ),
    ArchitectureSpec(
        name="kerascv_segformer",
        build="bench.architectures.kerascv:build_segformer",
        summary="keras-cv's SegFormer-B0, as an outside reference; square images only",
        paper=_SEGFORMER_PAPER,
        size_divisor=_outside_divisor,
        square=True,
        smallest_side=64,
        params=_SEGFORMER_PARAMS,
        backends=("tensorflow",),
        package="keras_cv",
    ),
    ArchitectureSpec(
        name="kerashub_segformer",
        build="bench.architectures.kerashub:build_segformer",
        summary="keras-hub's SegFormer-B0, as an outside reference; square images only",
        paper=_SEGFORMER_PAPER,
        size_divisor=_outside_divisor,
        square=True,
        smallest_side=64,
        params=_SEGFORMER_PARAMS,
        package="keras_hub",
    ),
    ArchitectureSpec(
        name="kerashub_deeplab_v3",
        build="bench.architectures.kerashub:build_deeplab_v3",
        summary="keras-hub's DeepLabV3+ on a ResNet-50, as an outside reference",
        paper="Chen, Papandreou, Schroff, Adam 2017, arXiv:1706.05587; 2018, arXiv:1802.02611",
        size_divisor=_outside_divisor,
        params=(*_RESNET_PARAMS, Param("decoder", "bool", True, "join features of stride 4 (V3+), else V3")),
        package="keras_hub",
    ),
)
