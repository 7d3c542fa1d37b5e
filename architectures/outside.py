"""The parts that the outside reference models (keras-cv, keras-hub) share: packages, and resizes that XLA can train.

They take any bands. They begin from random weights: neither they nor their packages' presets, which are of three bands,
are adapted, so `weights` can't be given.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.plugin import Function, architecture

if TYPE_CHECKING:
    import keras

SEGFORMER_HIDDEN_DIMS = (32, 64, 160, 256)  # MiT-B0: Xie 2021, table 6
SEGFORMER_DEPTHS = (2, 2, 2, 2)
SEGFORMER_HEADS = (1, 2, 5, 8)
RESNET_FILTERS = (64, 128, 256, 512)  # He 2015, table 1: ResNet-50
RESNET_BLOCKS = (3, 4, 6, 3)


def resnet_architecture(
    *, help: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> Callable[[Function], Function]:
    """Register a builder of a model on a ResNet."""
    stages = {"filters": "of each stage of the ResNet", "blocks": "of each stage of the ResNet"}
    return architecture(
        size_divisor="bench.architectures.sizes:outside_divisor",
        help={**stages, **help},
        most={"blocks": 128},
        tiny={"filters": (64, 16, 16, 16), "blocks": (1, 1, 1, 1)},
        **fields,
    )


def segformer_architecture(**fields: Any) -> Callable[[Function], Function]:
    """Register a builder of a SegFormer, whose transformer takes only square images of 64 pixels or more."""
    return architecture(
        paper="Xie, Wang, Yu, Anandkumar, Alvarez, Luo 2021, arXiv:2105.15203",
        size_divisor="bench.architectures.sizes:outside_divisor",
        square=True,
        smallest_side=64,
        help={
            "hidden_dims": "channels of each stage: multiples of 1, 2, 5 and 8",
            "depths": "transformer blocks of each stage",
            "projection_filters": "channels of the decoder",
        },
        most={"depths": 128},
        tiny={"hidden_dims": (8, 16, 20, 32), "depths": (1, 1, 1, 1), "projection_filters": 16},
        **fields,
    )


def check_installed(architecture: str, package: str) -> None:
    """Raise BenchError with the command that installs the package, unless it is installed; import nothing."""
    if importlib.util.find_spec(package) is None:
        extra = package.replace("_", "-")
        raise BenchError(f"{architecture} needs the package {extra}, which is not installed: {pip_line(package)}")


def pip_line(package: str) -> str:
    """Return the command that installs an outside package; the extra has the package's name."""
    return f"pip install 'segbench[{package.replace('_', '-')}]'"


def outside_package(architecture: str, package: str) -> ModuleType:
    """Import an outside package, only when it is used: it takes seconds, and keras-cv needs TensorFlow."""
    check_installed(architecture, package)
    return importlib.import_module(package)


def make_resizes_trainable(model: "keras.Model") -> "keras.Model":
    """Let a model resize in float32 under mixed precision, as bench.architectures.layers.upsample does, and return it.

    TensorFlow's gradient of a bilinear resize is float32 whatever the input, which XLA refuses. Pyramid pooling in both
    packages resizes by a layer that it creates in its call, which can't be reached: there XLA is turned off.
    """
    import keras

    mixed = keras.config.dtype_policy().name != "float32"
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.UpSampling2D | keras.layers.Resizing):
            layer.dtype_policy = keras.DTypePolicy("float32")
        if type(layer).__name__ == "SpatialPyramidPooling":
            # keras-cv turns XLA off for TensorFlow before 2.14, which could not resize.
            layer.supports_jit = not mixed or keras.backend.backend() != "tensorflow"
    return model
