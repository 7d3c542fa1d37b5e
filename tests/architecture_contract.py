"""The contract of every architecture, as functions that run under any backend.

tests/test_architectures.py calls them in its own process. As a script, `python architecture_contract.py FOLDER NAME...`
is the other side of the parity test: it loads the weights that the test stored and writes this backend's results.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from bench.architectures import BACKBONES, VISION_TRANSFORMERS, backbones, networks, read_specs, sizes, vits
from bench.config.catalog import load_builder
from bench.core.specs import ArchitectureSpec

NUM_CLASSES = 3


def tiny_network(*, include_top: bool, input_shape: tuple[int, int, int], weights: None) -> keras.Model:
    """Build a backbone of ten convolutions like a network of keras.applications; it compiles in seconds."""
    inputs = x = keras.Input(input_shape)
    for stride, filters in ((2, 8), (4, 16), (8, 16), (16, 32), (32, 32)):
        for step, strides in enumerate((2, 1)):
            x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False, name=f"conv{stride}_{step}")(
                x
            )
            x = layers.BatchNormalization(name=f"norm{stride}_{step}")(x)
            x = layers.ReLU(name=f"relu{stride}_{step}")(x)
    return keras.Model(inputs, x, name="tiny")


networks.NETWORKS["tiny"] = networks.Network(
    tiny_network, "torch", {stride: f"relu{stride}_1" for stride in (2, 4, 8, 16, 32)}
)
backbones._OUTPUT_STRIDES["tiny"] = (32, 16, 8)
vits.VITS["tiny_vit"] = vits.Transformer(
    "DINOV2Backbone",
    "",
    {"patch_size": 8, "num_layers": 2, "hidden_dim": 32, "num_heads": 2, "intermediate_dim": 64},
    grid=4,
)
sizes.PATCHES["tiny_vit"] = 8
PACKAGES = {"tiny_vit": "keras_hub"} | {spec.name: spec.package for spec in (*BACKBONES, *VISION_TRANSFORMERS)}


@dataclass(frozen=True)
class Case:
    """An architecture with one of its backbones (or none), small where it can be."""

    spec: ArchitectureSpec
    backbone: str | None
    params: dict[str, Any] = field(default_factory=dict)
    small: bool = False
    label: str = "small"  # what a small case without backbone is called

    @property
    def name(self) -> str:
        pair = f"{self.spec.name}:{self.backbone}" if self.backbone else self.spec.name
        return f"{pair}:{self.label}" if self.small and not self.backbone else pair

    @property
    def divisor(self) -> int:
        return self.spec.divisor(self.backbone, self.params)

    @property
    def smallest(self) -> int:
        """The smallest accepted side, in pixels."""
        return -(-self.spec.smallest_side // self.divisor) * self.divisor

    def lacks(self, backend: str) -> str:
        """Return why it can't be built here on `backend`; empty if it can."""
        for package in filter(None, (self.spec.package, PACKAGES.get(self.backbone or ""))):
            if importlib.util.find_spec(package) is None:
                return f"{package} is not installed"
        return "" if backend in self.spec.backends else f"{self.spec.name} does not run on {backend}"

    def build(self, height: int, width: int) -> keras.Model:
        return load_builder(self.spec)((height, width, 3), NUM_CLASSES, backbone=self.backbone, **self.params)

    def build_without_dropout(self, height: int, width: int) -> keras.Model:
        """Dropout and drop path do nothing; outside models have no parameter for theirs."""
        model = self.build(height, width)
        for layer in model._flatten_layers():
            if "Drop" in type(layer).__name__:
                layer.rate = 0.0
        return model


@contextlib.contextmanager
def zero_initializers() -> Iterator[None]:
    """Zeros for random values: drawing them takes most of a large model's time."""
    kinds = (keras.initializers.VarianceScaling, keras.initializers.RandomNormal, keras.initializers.TruncatedNormal)
    before = [kind.__call__ for kind in kinds]
    for kind in kinds:
        kind.__call__ = lambda self, shape, dtype=None, **_: np.zeros(shape, dtype or "float32")
    try:
        yield
    finally:
        for kind, call in zip(kinds, before, strict=True):
            kind.__call__ = call


def cases() -> list[Case]:
    """Every architecture with every backbone."""
    return [
        Case(spec, backbone)
        for spec in read_specs()
        for backbone in dict.fromkeys([spec.default_backbone, *spec.backbones])
    ]


def small_cases() -> list[Case]:
    """Return a case for each architecture: small without a backbone, or on a tiny one."""
    return [Case(spec, tiny_backbone(spec), tiny_params(spec), small=True) for spec in read_specs()]


def tiny_backbone(spec: ArchitectureSpec) -> str | None:
    """Return the backbone of ten convolutions, or a vision transformer of two narrow blocks; None if none is needed."""
    if not spec.needs_backbone:
        return None
    return "tiny_vit" if spec.default_backbone in vits.VITS else "tiny"


def tiny_params(spec: ArchitectureSpec) -> dict[str, Any]:
    """Return a small model's parameters: the spec's `tiny`, or a sixteenth of `filters` if it takes no backbone."""
    if spec.tiny or spec.needs_backbone:
        return dict(spec.tiny)
    filters = next((param.default for param in spec.params if param.name == "filters"), None)
    if isinstance(filters, int):
        return {"filters": -(-filters // 16)}
    return {"filters": [-(-width // 16) for width in filters]} if filters else {}


def family_cases() -> list[Case]:
    """Return one small case per file of architectures: the first of its specs. Outside models are left out."""
    own = [case for case in small_cases() if not case.spec.package]
    return list({case.spec.build.split(":")[0]: case for case in reversed(own)}.values())[::-1]


def case(name: str) -> Case:
    return next(c for c in [*cases(), *small_cases(), bilinear_unet()] if c.name == name)


def images(count: int, height: int, width: int, seed: int = 0, side: int = 16) -> np.ndarray:
    """Noise on tones that differ between blocks of `side` pixels: float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    tones = 0.25 + 0.5 * blocks(count, height, width, side)[..., None] / (NUM_CLASSES - 1)
    return (tones + rng.uniform(-0.25, 0.25, (count, height, width, 3))).astype(np.float32)


def blocks(count: int, height: int, width: int, side: int = 16) -> np.ndarray:
    """Labels int32 (count, height, width) that change every `side` pixels."""
    n, y, x = np.ogrid[:count, :height, :width]
    return ((y // side + 2 * (x // side) + n) % NUM_CLASSES).astype(np.int32)


def make_statistics_real(model: keras.Model, batch: np.ndarray) -> None:
    """Batch norm means from a batch, variances from it and the layer's mean one, random scales and shifts.

    With the initial statistics an untrained MobileNetV2 gives features below 1e-10, which would hide any difference;
    with each channel's own variance alone the channels that hardly vary would magnify the rounding errors; with the
    layer's mean alone an EfficientNet's features grow a thousandfold.
    """
    rng = np.random.default_rng(1)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.gamma.assign(rng.uniform(0.7, 1.3, norm.gamma.shape))
        norm.beta.assign(rng.normal(0.0, 0.3, norm.beta.shape))
    for kernel in zero_kernels(model):  # FCN's scores
        kernel.assign(rng.normal(0.0, 1 / np.sqrt(np.prod(kernel.shape[:-1])), kernel.shape))
    model(batch, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = keras.ops.convert_to_numpy(norm.moving_variance)
        norm.moving_variance.assign((variance + variance.mean()) * rng.uniform(0.7, 1.3, variance.shape))


def zero_kernels(model: keras.Model) -> list[keras.Variable]:
    """Kernels that are zero everywhere: nothing behind them reaches the logits before they have moved."""
    return [w for w in model.trainable_weights if len(w.shape) > 1 and not keras.ops.convert_to_numpy(w).any()]


def logits_and_loss(model: keras.Model, batch: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Logits at inference, and the cross-entropy of a training step before its update, summed in float64."""
    logits = keras.ops.convert_to_numpy(model(batch, training=False))
    trained = keras.ops.convert_to_numpy(model(batch, training=True)).astype(np.float64)
    of_label = np.take_along_axis(trained, labels[..., None], axis=-1)[..., 0]
    return logits, float(np.mean(np.logaddexp.reduce(trained, axis=-1) - of_label))


def parity_batch(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the model's size: four, for of two DeepLab's pooled branch would normalise two values."""
    size = model.input_shape[1:3]
    return images(4, *size, seed=2), blocks(4, *size)


def parity_model(case: Case) -> keras.Model:
    return case.build_without_dropout(64, 64)


def compiled_losses(case: Case, steps: int = 2) -> list[float]:
    """Losses of training steps with the backend's compiler (XLA); fails where Keras falls back to none."""
    keras.utils.set_random_seed(0)
    model = parity_model(case)
    batch, labels = parity_batch(model)
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)
    if not model.jit_compile:
        raise RuntimeError(f"{case.name} is not compiled")
    return [float(model.train_on_batch(batch, labels)) for _ in range(steps)]


def bilinear_unet() -> Case:
    """A small U-Net that goes up by interpolation."""
    unet = next(spec for spec in read_specs() if spec.name == "unet")
    return Case(unet, None, {**unet.tiny, "upsampling": "bilinear"}, small=True, label="bilinear")


def main(folder: Path, precision: str, names: list[str]) -> None:
    """Write logits and loss of each stored model; names that start with "compile=" run compiled training steps."""
    keras.config.set_dtype_policy(precision)
    for name in names:
        if name.startswith("compile="):
            found = case(name.removeprefix("compile="))
            np.savez(folder / f"{keras.backend.backend()}-{file_stem(name)}.npz", losses=compiled_losses(found))
            continue
        model = parity_model(case(name))
        model.load_weights(folder / f"{file_stem(name)}.weights.h5")
        logits, loss = logits_and_loss(model, *parity_batch(model))
        np.savez(folder / f"{keras.backend.backend()}-{file_stem(name)}.npz", logits=logits, loss=loss)


def file_stem(name: str) -> str:
    return name.replace(":", "-").replace("=", "-")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
