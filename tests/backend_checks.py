"""Compute losses, their gradients and augmentation on fixed inputs, under the backend in KERAS_BACKEND.

As a script it writes the results to the given .npz file; `results` runs it for another backend.
"""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bench.core.recipe.augment_text import PRESETS
from bench.training import augment
from bench.training.losses import loss_function

NUM_CLASSES = 4
WEIGHTS = (0.5, 2.0, 1.0, 0.0)
TERMS = ("ce", "bce", "dice", "focal", "tversky", "lovasz")
# What is checked: the name of a loss and its class weights.
LOSSES = {
    **{name: (name, None) for name in (*TERMS, "0.5*ce+dice")},
    **{f"weighted {name}": (name, WEIGHTS) for name in TERMS},
}


def loss_inputs() -> tuple[np.ndarray, np.ndarray]:
    """Labels uint8 (2, 5, 6), some ignored and none of class 3, and logits float32 (2, 5, 6, 4)."""
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, 5, 6), p=[0.5, 0.2, 0.1, 0.2])
    return labels, rng.normal(0, 3, (2, 5, 6, NUM_CLASSES)).astype(np.float32)


def augment_inputs(preset: str = "standard") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth images uint8 (6, 20, 31, 3), labels uint8 (6, 20, 31), some ignored, and draws."""
    y, x = np.mgrid[:20, :31]
    waves = [
        [np.sin((y * a + x * b) / 9 + c) for c in range(3)]
        for a, b in [(1, 2), (2, 1), (1, -1), (2, 3), (0, 1), (1, 0)]
    ]
    images = np.moveaxis(np.array(waves) * 100 + 128, 1, -1).round().astype(np.uint8)
    labels = np.where(images[..., 0] > 200, 255, images[..., 1] // 64).astype(np.uint8)
    return images, labels, augment.draw(preset, np.random.default_rng(3), 6)


def compute() -> dict[str, np.ndarray]:
    """Every result by name, under the backend of this process."""
    value_and_gradient, compiled = _engine()
    labels, logits = loss_inputs()
    found = {}
    for name, (loss, weights) in LOSSES.items():
        step = value_and_gradient(loss_function(loss, weights))
        found[f"{name} value"], found[f"{name} gradient"] = step(labels, logits)
        found[f"{name} extreme"] = step(labels, 1e4 * logits)[1]
        found[f"{name} ignored"] = np.append(*step(np.full_like(labels, 255), logits))
        found[f"{name} empty"] = step(np.zeros_like(labels), logits)[1]
    for preset in PRESETS:
        images, labels, draws = augment_inputs(preset)
        for kind, given in ((preset, draws), (f"{preset} zero", np.zeros_like(draws))):
            moved = map(_numpy, compiled(augment.apply)(images, labels, given))
            found[f"{kind} images"], found[f"{kind} labels"] = moved
    return found


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def _engine() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A loss to its value and gradient under the backend's compiler, and that compiler.

    The logits are a transposed view, as convolutions leave them on torch.
    """
    if keras.backend.backend() == "jax":
        import jax

        def by_jax(loss):
            step = jax.jit(jax.value_and_grad(lambda stored, labels: loss(labels, stored.transpose(0, 2, 3, 1))))

            def run(labels, logits):
                value, gradient = step(logits.transpose(0, 3, 1, 2), labels)
                return np.asarray(value), np.asarray(gradient).transpose(0, 2, 3, 1)

            return run

        return by_jax, jax.jit
    if keras.backend.backend() == "torch":
        import torch

        def by_torch(loss):
            def run(labels, logits):
                stored = torch.from_numpy(logits.transpose(0, 3, 1, 2).copy()).requires_grad_()
                value = loss(torch.from_numpy(labels), stored.permute(0, 2, 3, 1))
                value.backward()
                return value.detach().numpy(), stored.grad.numpy().transpose(0, 2, 3, 1)

            return run

        return by_torch, lambda function: lambda *arrays: function(*map(torch.from_numpy, arrays))

    import tensorflow as tf

    def by_tensorflow(loss):
        @tf.function(jit_compile=True)
        def step(labels, stored):
            with tf.GradientTape() as tape:
                tape.watch(stored)
                value = loss(labels, tf.transpose(stored, (0, 2, 3, 1)))
            return value, tape.gradient(value, stored)

        def run(labels, logits):
            value, gradient = step(tf.constant(labels), tf.constant(logits.transpose(0, 3, 1, 2)))
            return value.numpy(), gradient.numpy().transpose(0, 2, 3, 1)

        return run

    def compiled(function):
        xla, graph = (tf.function(function, jit_compile=jit) for jit in (True, False))

        def both(*arrays):
            for one, other in zip(xla(*arrays), graph(*arrays), strict=True):
                np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
            return xla(*arrays)

        return both

    return by_tensorflow, compiled


@functools.cache
def results(backend: str) -> dict[str, np.ndarray]:
    """`compute` under that backend: in this process where it is the one of this process, else in one of its own."""
    if keras.backend.backend() == backend:
        return compute()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.npz"
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, __file__, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.fail(f"{backend}: {done.stderr}")
        with np.load(path) as stored:
            return dict(stored)


if __name__ == "__main__":
    np.savez(sys.argv[1], **compute())
