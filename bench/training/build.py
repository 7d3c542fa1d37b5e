"""Build a trial's parts from its configuration and seed: model, engine and training."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np

from bench.config import catalog, checks
from bench.config.keras_settings import use_keras_defaults
from bench.core.trial_config import TrialConfig
from bench.data import batches
from bench.data.loading.images import Images
from bench.data.splits import sample, train_subset
from bench.training import augment
from bench.training.budget import Meter
from bench.training.engines import create_engine, create_runtime, set_seed
from bench.training.engines.engine import Engine, training_model
from bench.training.loop import Training
from bench.training.losses import Loss, loss_function
from bench.training.models.heads import build_with_head
from bench.training.models.initial_weights import shared_draws
from bench.training.models.model_checks import check_built
from bench.training.optimizer import create_optimizer

ResidentBatch = tuple[Any, Any, Any]  # on the device: images, labels and the augmentation's draws


def choose_indexes(
    pack: Images,
    train_fraction: float,
    limits: Mapping[str, int | None] | None = None,
    train_limit: int | None = None,
) -> dict[str, np.ndarray]:
    """Return the indexes of the pack's images by split, int64; of the training split only the given part.

    Args:
        train_fraction: the share of the training images.
        limits: the most images of a split, by its name; a split without a limit is whole.
        train_limit: the number of training images, in place of the share.
    """
    indexes = {split: pack.indexes(split) for split in ("train", "val", "test")}
    for split, limit in (limits or {}).items():
        rows = indexes[split]
        indexes[split] = rows[sample([pack.names[i] for i in rows], [pack.groups[i] for i in rows], limit)]
    if train_fraction < 1 or train_limit:
        train = indexes["train"]
        indexes["train"] = train[train_subset([pack.names[i] for i in train], train_fraction, train_limit)]
    return indexes


def build_model(config: TrialConfig, num_classes: int, bands: int | None = None) -> keras.Model:
    """Build the model, after setting the seed and the precision for this process.

    Args:
        bands: of the images; None: as many as the configuration chooses, or three.

    Raises:
        BenchError: the head doesn't fit the classes, or the builder has made something else (see `check_built`).
    """
    checks.head(config, num_classes)
    use_keras_defaults()
    set_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    runtime = create_runtime(config.backend)
    runtime.turn_off_tf32()
    builder = catalog.load_builder(catalog.architecture(config))
    with runtime.kept_programs(), shared_draws() if config.initial_weights == "shared" else nullcontext():
        model = build_with_head(
            builder,
            (*config.input_size, bands or config.bands),
            num_classes,
            config.head,
            backbone=config.backbone,
            weights=None if config.weights == "none" else config.weights,
            **config.params,
        )
    check_built(model, config, num_classes)
    return model


def build_training(
    config: TrialConfig,
    model: keras.Model,
    pack: Images,
    indexes: np.ndarray,
    class_weights: Sequence[float] | None = None,
) -> Training:
    """Combine a model with its optimizer, loss and batches, ready to train on the images at `indexes`."""
    loss = loss_function(config.loss, class_weights, config.label_smoothing)
    return Training(
        engine=build_engine(config, model, create_optimizer(config, training_model(model)), loss),
        batches=training_batches(config, pack, indexes, config.seed),
        meter=Meter(config.budget, config.batch_size, len(indexes)),
        lr=config.lr,
        schedule=config.schedule,
        warmup=config.warmup,
        augmentation=config.augment,
        rng=np.random.default_rng(config.seed),
    )


def training_batches(
    config: TrialConfig, pack: Images, indexes: np.ndarray, seed: int, most: int | None = None
) -> batches.TrainingBatches:
    """Return batches of the images at `indexes`, or of random crops of them, at the model's input size.

    Args:
        most: the number of batches; None for endless ones.
    """
    crop = batches.Crop(config.crop, config.crop_foreground) if config.crop else None
    return batches.TrainingBatches(pack, indexes, config.batch_size, seed=seed, crop=crop, most=most)


def build_engine(
    config: TrialConfig, model: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Loss | None = None
) -> Engine:
    """Build the compiled steps for a model and its optimizer; under mixed_float16 the loss is scaled.

    Args:
        loss: a loss function with class weights; None for the configuration's loss without class weights.
    """
    if config.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    loss = loss or loss_function(config.loss)
    devices = config.devices_per_trial
    return create_engine(model, optimizer, loss=loss, transform=augment.apply, jit=config.jit, devices=devices)


def resident_batch(config: TrialConfig, training: Training, pack: Images, indexes: np.ndarray) -> ResidentBatch:
    """Put one training batch on the device."""
    images, labels = next(training_batches(config, pack, indexes, config.seed, most=1))
    draws = augment.draw(config.augment, np.random.default_rng(config.seed), config.batch_size)
    put = training.engine.put
    return put(images), put(labels), put(draws)
