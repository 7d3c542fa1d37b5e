"""The child process of preflight.py: each function builds a model and answers one kind of question about it."""

import math
from typing import Any

import keras

from bench.architectures.backbones import feature_pyramid
from bench.architectures.vits import VITS, patch_maps
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.profiling.flops import costs_if_known
from bench.training.fine_tune import encoder_layers, first_unfrozen
from bench.training.models.heads import build_with_head


def check(config: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """Check that the model can be built with its weights, and that `unfreeze_from` names a layer of its encoder."""
    names = [layer.name for layer in encoder_layers(build(config, num_classes))]
    first_unfrozen(names, config["unfreeze_from"])
    return {}


def summary(config: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """Count parameters, and GFLOPs of a forward pass of one image."""
    return _sizes(build(config, num_classes))


def diagram(config: dict[str, Any], num_classes: int) -> dict[str, Any]:
    """List the model's stages from image to logits: stride, channels of the last layer, layers, parameters."""
    model = build(config, num_classes)
    height = model.input_shape[1]
    stages: dict[tuple[str, int | None], dict[str, Any]] = {}
    for layer in model.layers:
        stride, channels = _shape(layer, height)
        name = layer.name.split("_")[0]
        key = (name, stride if name == "backbone" else None)
        stage = stages.setdefault(key, {"stage": name, "layers": 0, "params": 0})
        stage.update(stride=stride, channels=channels)
        stage["layers"] += 1
        stage["params"] += layer.count_params()
    return {**_sizes(model), "stages": list(stages.values())}


def plot(config: dict[str, Any], num_classes: int, file: str) -> dict[str, Any]:
    """Write Keras's drawing of the model."""
    try:
        keras.utils.plot_model(build(config, num_classes), to_file=file, show_shapes=True, show_layer_names=True)
    except (ImportError, OSError, ValueError) as error:
        raise BenchError(f"The drawing '{file}' can't be made ({str(error).strip().splitlines()[0]}).") from error
    return {}


def fetch_weights(backbone: str) -> dict[str, Any]:
    """Have Keras fetch a backbone's ImageNet weights."""
    inputs = keras.Input((224, 224, 3))
    if backbone in VITS:
        patch_maps(inputs, backbone, blocks=[1], weights="imagenet")
    else:
        feature_pyramid(inputs, backbone, weights="imagenet")
    return {}


def build(config: dict[str, Any], num_classes: int) -> keras.Model:
    """Build the model of a resolved configuration."""
    _leave_out_values()
    trial = TrialConfig.from_dict(config)
    builder = catalog.load_builder(catalog.architecture(trial))
    weights = None if trial.weights == "none" else trial.weights
    keras.backend.clear_session()
    shape = (*trial.input_size, trial.bands)
    return build_with_head(
        builder, shape, num_classes, trial.head, backbone=trial.backbone, weights=weights, **trial.params
    )


def _leave_out_values() -> None:
    """Replace random initial weights by zeros in this process: drawing them takes most of a large model's time."""
    initializers = keras.initializers
    for kind in (initializers.VarianceScaling, initializers.RandomNormal, initializers.TruncatedNormal):
        kind.__call__ = lambda self, shape, dtype=None, **_: keras.ops.zeros(shape, dtype or "float32")


def _shape(layer: keras.Layer, height: int) -> tuple[int | None, int | None]:
    """Return the stride and the channels of a layer's output; no stride if it is no feature map."""
    output = layer.output[0] if isinstance(layer.output, list | tuple) else layer.output
    if len(output.shape) != 4:
        return None, output.shape[-1]
    return round(height / output.shape[1]) if output.shape[1] > 1 else None, output.shape[-1]


def _sizes(model: keras.Model) -> dict[str, Any]:
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    sizes = {"params": model.count_params(), "trainable_params": trainable}
    costs = costs_if_known(model)
    return {**sizes, "gflops": sum(cost.flops for cost in costs) / 1e9} if costs else sizes
