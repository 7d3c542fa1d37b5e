"""The child process of the first check: it measures a model on one batch."""

import math
import time
import warnings
from typing import Any

import keras
import numpy as np

from bench.core.trial_config import TrialConfig
from bench.evaluation import scores
from bench.evaluation.batch_norm import reestimate
from bench.evaluation.confusion import confusion_counts
from bench.training import augment
from bench.training.build import ResidentBatch, build_engine, build_model
from bench.training.engines.engine import Engine, training_model
from bench.training.optimizer import create_optimizer
from bench.trials.first_check.model_findings import LEARNED

STEP = 2.0**20  # a learning rate at which rounding the weights doesn't hide a small gradient
MOST_STEPS = 640
FIRST_LOOK = 10  # steps; each further look is after twice as many


def probe(config: dict[str, Any], classes: list[str], batch: str, seconds: float) -> dict[str, Any]:
    """Measure outputs, gradients, and how well one batch can be overfitted.

    Args:
        config: of the trial.
        classes: their names.
        batch: an .npz file with images (B, H, W, C) and labels (B, H, W).
        seconds: for the training on one batch.
    """
    trial = TrialConfig.from_dict(config)
    with np.load(batch) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    model = build_model(trial, len(classes), images.shape[-1])
    draws = augment.draw("none", np.random.default_rng(0), len(images))
    probing = build_engine(trial, model, keras.optimizers.SGD(STEP))
    resident = (probing.put(images), probing.put(labels), probing.put(draws))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras warns of, such as a missing gradient, is a finding here
        outputs = _outputs(np.asarray(keras.ops.convert_to_numpy(probing.logits(resident[0])), np.float64))
        gradients = _gradients(probing, resident)
        training = build_engine(trial, model, create_optimizer(trial, training_model(model)))
        overfit = _overfit(training, trial.lr, resident, images, labels, classes, seconds)
    frozen = sum(v.size for layer in model.layers if not layer.trainable for v in layer.weights)
    facts = {"outputs": outputs, "gradients": gradients, "overfit": overfit}
    return {"params": model.count_params(), "frozen": frozen, **facts}


def _outputs(logits: np.ndarray) -> dict[str, Any]:
    """Describe logits (B, H, W, C): their range, and whether they are probabilities or alike for all pixels."""
    finite = bool(np.isfinite(logits).all())
    low, high = (float(logits.min()), float(logits.max())) if finite else (math.nan, math.nan)
    scatter = logits.std(axis=(0, 1, 2)).max() if finite else 0.0
    return {
        "finite": finite,
        "low": low if finite else None,
        "high": high if finite else None,
        "probabilities": finite and low >= 0 and bool(np.allclose(logits.sum(axis=-1), 1, atol=1e-3)),
        "constant": finite and bool(scatter <= 1e-6 * max(abs(low), abs(high))),
    }


def _gradients(engine: Engine, batch: ResidentBatch) -> dict[str, float | None]:
    """Measure the root mean square of the loss's gradient in each layer, by one step of plain SGD that is undone.

    This way it works with any backend's engine. None where a value isn't finite, 0 where no gradient arrives.
    """
    before = engine.state()
    engine.wait(engine.train_step(*batch, STEP))
    after = engine.state()
    engine.restore(before)
    squares: dict[str, list[np.ndarray]] = {}
    for variable, old, new in zip(engine.training_model.variables, before, after, strict=False):  # then the optimizer's
        if variable.trainable:
            layer = variable.path.rpartition("/")[0]
            squares.setdefault(layer, []).append(np.square((old.astype(np.float64) - new) / STEP).ravel())
    means = {layer: float(np.sqrt(np.concatenate(parts).mean())) for layer, parts in squares.items()}
    return {layer: mean if math.isfinite(mean) else None for layer, mean in means.items()}


def _overfit(
    engine: Engine,
    lr: float,
    batch: ResidentBatch,
    images: np.ndarray,
    labels: np.ndarray,
    classes: list[str],
    seconds: float,
) -> dict[str, Any]:
    """Train on the batch until it is learned, the loss isn't finite, or the time is over."""
    start = engine.state()
    engine.wait(engine.train_step(*batch, lr))  # compiles, off the clock
    engine.restore(start)
    first, _ = _score(engine, batch, images, labels, classes)
    score = first
    losses: list[float] = []
    missing: list[str] = []
    look, started = FIRST_LOOK, time.monotonic()
    while True:
        losses.append(float(keras.ops.convert_to_numpy(engine.train_step(*batch, lr))))
        used = time.monotonic() - started
        ended = used > seconds or len(losses) == MOST_STEPS or not math.isfinite(losses[-1])
        if ended or len(losses) == look:
            look *= 2
            score, missing = _score(engine, batch, images, labels, classes)
        if ended or score >= LEARNED:
            break
    finite = [loss for loss in losses if math.isfinite(loss)]
    return {
        "diverged": len(finite) < len(losses),
        "losses": finite or [0.0],
        "first_mean_iou": first,
        "mean_iou": score,
        "never_predicted": missing,
        "seconds": used,
    }


def _score(
    engine: Engine, batch: ResidentBatch, images: np.ndarray, labels: np.ndarray, classes: list[str]
) -> tuple[float, list[str]]:
    """Compute the mean IoU on the batch, and the classes that are never predicted."""
    reestimate(engine, [images])
    predicted = np.asarray(keras.ops.convert_to_numpy(engine.predict(batch[0])[0]))
    found = scores.summary(confusion_counts(labels, predicted, len(classes)), classes)
    return found["mean_iou"] or 0.0, found["never_predicted"]
