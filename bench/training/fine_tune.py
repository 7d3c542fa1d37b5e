"""Train in two phases: first with the backbone frozen, then all layers with a smaller learning rate.

Batch norm in a layer that isn't trainable runs in inference mode and keeps its statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from bench.architectures.backbones import PREFIX
from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.core.trial_config import TrialConfig
from bench.training.build import build_engine
from bench.training.loop import Training
from bench.training.optimizer import create_optimizer, inner, resume


def encoder_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of the model's backbone, from the input on."""
    return [layer for layer in model.layers if layer.name.startswith(PREFIX)]


def freeze(model: keras.Model) -> None:
    """Freeze the backbone's layers; raise BenchError for a model without one."""
    layers = encoder_layers(model)
    if not layers:
        raise BenchError(f"--freeze-encoder: {model.name} has no layers of a backbone of segbench's ('{PREFIX}...').")
    for layer in layers:
        layer.trainable = False


def unfreeze(model: keras.Model, start: str | None) -> None:
    """Make the backbone's layers trainable again, from the layer `start` on (see `first_unfrozen`)."""
    layers = encoder_layers(model)
    for layer in layers[first_unfrozen([layer.name for layer in layers], start) :]:
        layer.trainable = True


def first_unfrozen(names: list[str], start: str | None) -> int:
    """Find the first of the backbone's layers that is unfrozen.

    Args:
        names: the names of the backbone's layers, from the input on.
        start: a layer's name, with or without the backbone's prefix; an index, from the end if negative; or None
            for the first layer.

    Raises:
        BenchError: there is no such layer.
    """
    if start is None:
        return 0
    try:
        index = int(start)
    except ValueError:
        own = [name.removeprefix(PREFIX) for name in names]
        if start.removeprefix(PREFIX) in own:
            return own.index(start.removeprefix(PREFIX))
        few = [*own[:2], "...", *own[-2:]]
        raise BenchError(f"--unfreeze-from: {unknown_name_message('layer of the backbone', start, own, few)}") from None
    if not -len(names) <= index < len(names):
        raise BenchError(
            f"--unfreeze-from is {index}, but the backbone has {len(names)} layers. "
            f"Accepted: {-len(names)} to {len(names) - 1}, or a layer's name."
        )
    return index % len(names)


def start_fine_tuning(config: TrialConfig, training: Training) -> None:
    """Unfreeze the backbone: build a new engine for the changed model and lower the learning rate by its factor.

    The weights stay as they are, and so does the optimizer state of the variables that were already training.
    """
    earlier = training.engine
    earlier.pull()  # before the model's list of trainable variables changes
    unfreeze(earlier.model, config.unfreeze_from)
    optimizer = create_optimizer(config, earlier.training_model, resumable=True)
    engine = build_engine(config, earlier.model, optimizer, earlier.loss)
    engine.pull()
    resume(engine.optimizer, earlier.optimizer)
    engine.push()
    training.engine = engine
    training.lr *= config.fine_tune_lr_factor
    training.block_rates.clear()  # the training speed is reported for the whole model


def fine_tuning_since(training: Training) -> int:
    """Return the optimizer's step count when fine-tuning began; 0 before it, and where it has no effect."""
    return getattr(inner(training.engine.optimizer), "since", 0)


def take_up_fine_tuning(config: TrialConfig, training: Training, since: int) -> None:
    """Do as `start_fine_tuning` in a new process, whose training then is restored; `since` is `fine_tuning_since`."""
    engine = training.engine
    engine.pull()
    inner(engine.optimizer).iterations.assign(since)
    engine.push()
    start_fine_tuning(config, training)


@contextmanager
def frozen_again(config: TrialConfig, training: Training) -> Iterator[None]:
    """Use an engine of the frozen phase inside the context: weights of that phase need its batch norm statistics."""
    later = training.engine
    later.pull()
    unfrozen = [layer for layer in encoder_layers(later.model) if layer.trainable]
    freeze(later.model)
    optimizer = create_optimizer(config, later.training_model)
    training.engine = build_engine(config, later.model, optimizer, later.loss)
    yield
    for layer in unfrozen:
        layer.trainable = True
    training.engine = later
