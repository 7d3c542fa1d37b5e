"""The architectures and their backbones, with one spec per name.

The parent process reads the specs of the architectures from specs.json and imports no keras. To add a family, add a
file with a decorated builder; `make specs` writes the JSON, and tests/test_architectures.py checks the family.
"""

if not __name__.startswith("bench."):
    raise ImportError("Import bench.architectures: the folder 'architectures' is installed under that name.")

import functools
import json
from pathlib import Path

from bench.core.specs import ArchitectureSpec, BackboneSpec
from bench.plugin import architecture_from

SPECS_FILE = Path(__file__).with_name("specs.json")

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
        name="resnet50_vd",
        paper="He, Zhang, Zhang, Zhang, Xie, Li 2019, arXiv:1812.01187",
        aliases=("resnet_vd_50", "resnet50d", "resnet_vd"),
        package="keras_hub",
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
    BackboneSpec(
        name="convnext_small",
        paper="Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, arXiv:2201.03545",
        weights_file="convnext_small_notop.h5",
        strides=(4, 8, 16, 32),
        output_strides=(32,),
    ),
    BackboneSpec(
        name="mobilenet_v3_small",
        paper="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019, arXiv:1905.02244",
        weights_file="weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
    BackboneSpec(
        name="mobilenet_v3_large",
        paper="Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam 2019, arXiv:1905.02244",
        weights_file="weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        aliases=("mobilenet_v3",),
    ),
    BackboneSpec(
        name="efficientnet_b0",
        paper="Tan, Le 2019, arXiv:1905.11946",
        weights_file="efficientnetb0_notop.h5",
        aliases=("efficientnetb0",),
    ),
    BackboneSpec(
        name="efficientnet_b4",
        paper="Tan, Le 2019, arXiv:1905.11946",
        weights_file="efficientnetb4_notop.h5",
        aliases=("efficientnetb4",),
    ),
    BackboneSpec(
        name="efficientnet_v2_s",
        paper="Tan, Le 2021, arXiv:2104.00298",
        weights_file="efficientnetv2-s_notop.h5",
        aliases=("efficientnetv2_s", "efficientnetv2s"),
    ),
    BackboneSpec(
        name="densenet121",
        paper="Huang, Liu, van der Maaten, Weinberger 2017, arXiv:1608.06993",
        weights_file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        output_strides=(32,),
        aliases=("densenet_121",),
    ),
    BackboneSpec(
        name="xception",
        paper="Chollet 2017, arXiv:1610.02357",
        weights_file="xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        output_strides=(32,),
    ),
    *(
        BackboneSpec(
            name=name,
            paper="Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, arXiv:2105.15203",
            strides=(4, 8, 16, 32),
            output_strides=(32,),
            aliases=(name.replace("_", ""),),
        )
        for name in ("mit_b0", "mit_b1", "mit_b2")
    ),
)

VISION_TRANSFORMERS = (
    BackboneSpec(
        name="dinov2_small",
        paper="Oquab, Darcet, Moutakanni and others 2023, arXiv:2304.07193",
        strides=(14,),
        output_strides=(14,),
        aliases=("dinov2_vits14", "dinov2"),
        package="keras_hub",
    ),
    BackboneSpec(
        name="dinov3_small",
        paper="Simeoni, Vo, Seitzer, Baldassarre and others 2025, arXiv:2508.10104",
        strides=(16,),
        output_strides=(16,),
        aliases=("dinov3_vits16", "dinov3"),
        package="keras_hub",
    ),
)
"""Backbones whose features all have one stride, the side of their patches: they make no pyramid."""


@functools.cache
def read_specs() -> tuple[ArchitectureSpec, ...]:
    """Return the spec of each architecture in this folder, as written by `make specs`."""
    return tuple(architecture_from(values) for values in json.loads(SPECS_FILE.read_bytes()))
