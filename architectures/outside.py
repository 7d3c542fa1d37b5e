"""What the outside reference models (keras-cv, keras-hub) share: their packages, and resizes that XLA can train."""

import importlib
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING

from bench.core.errors import BenchError

if TYPE_CHECKING:
    import keras

SEGFORMER_HIDDEN_DIMS = (32, 64, 160, 256)  # MiT-B0: Xie 2021, table 6
SEGFORMER_DEPTHS = (2, 2, 2, 2)
SEGFORMER_HEADS = (1, 2, 5, 8)
RESNET_FILTERS = (64, 128, 256, 512)  # He 2015, table 1: ResNet-50
RESNET_BLOCKS = (3, 4, 6, 3)


def check_installed(architecture: str, package: str) -> None:
    """BenchError with the line that installs it unless the package is there; imports nothing."""
    if importlib.util.find_spec(package) is None:
        extra = package.replace("_", "-")
        raise BenchError(f"{architecture} needs the package {extra}, which is not installed: {pip_line(package)}")


def pip_line(package: str) -> str:
    """The command that installs an outside package: the extra is called as the package."""
    return f"pip install 'segbench[{package.replace('_', '-')}]'"


def outside_package(architecture: str, package: str) -> ModuleType:
    """The package, imported at use only: seconds, and keras-cv needs TensorFlow."""
    check_installed(architecture, package)
    return importlib.import_module(package)


def make_resizes_trainable(model: "keras.Model") -> "keras.Model":
    """Resize in float32 under mixed precision, as bench.architectures.layers.upsample does; returns the model.

    TensorFlow's gradient of a bilinear resize is float32 whatever it was given, which XLA refuses. Both packages'
    pyramid pooling resizes by a layer that it makes in its call and that can't be reached: there XLA is turned off.
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
