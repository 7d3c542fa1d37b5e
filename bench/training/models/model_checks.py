"""Check that a builder has made what a trial says that it measures: a plug-in's may return anything."""

from typing import Any

import keras

from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig


def check_built(model: Any, config: TrialConfig, num_classes: int) -> None:
    """Raise BenchError unless it is a model of the images' size and the classes, which computes in the precision."""
    if not isinstance(model, keras.Model):
        raise BenchError(f"The builder of {config.arch} returned {model!r:.80}. Accepted: a keras.Model.")
    shape, wanted = getattr(model, "output_shape", None), (None, *config.input_size, num_classes)
    if not isinstance(shape, tuple) or shape[1:] != wanted[1:]:
        raise BenchError(
            f"The output of {config.arch} has the shape {shape}, but it must be {wanted}: logits of the image's size, "
            "one for each class. Mend its builder."
        )
    _check_precision(model, config)


def _check_precision(model: keras.Model, config: TrialConfig) -> None:
    if (policy := keras.config.dtype_policy().name) != config.precision:
        raise BenchError(f"The code of {config.arch} set Keras's dtype policy to {policy}. {_advice(config)}")
    if (floatx := keras.config.floatx()) != "float32":
        raise BenchError(f"Keras's floatx is {floatx}, but must be float32. Take it out of the code of {config.arch}.")
    accepted = {"float32", keras.DTypePolicy(config.precision).compute_dtype}
    for layer in [*model._flatten_layers(include_self=False), model]:
        if isinstance(layer, keras.layers.InputLayer):  # which computes nothing
            continue
        if _is_float(layer.compute_dtype) and layer.compute_dtype not in accepted:
            raise BenchError(
                f"The layer '{layer.name}' of {config.arch} computes in {layer.compute_dtype}. {_advice(config)}"
            )
    for variable in model.variables:
        if _is_float(variable.dtype) and variable.dtype != "float32":
            raise BenchError(f"The weights '{variable.path}' of {config.arch} are {variable.dtype}. {_advice(config)}")
    for output in getattr(model, "outputs", None) or []:  # a subclass of Model may have none
        if output.dtype not in accepted:
            raise BenchError(f"The logits of {config.arch} are {output.dtype}. {_advice(config)}")


def _is_float(dtype: str | None) -> bool:
    return "float" in (dtype or "")


def _advice(config: TrialConfig) -> str:
    return (
        f"The trial's precision is {config.precision}. Choose another one with --precision, not in the code, where "
        'only dtype="float32" of a layer is accepted.'
    )
