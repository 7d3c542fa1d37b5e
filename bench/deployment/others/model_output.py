"""The output of a model as logits of the data set's classes at the size of the input."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.errors import BenchError, first_few
from bench.core.option_kinds import shown
from bench.data import geometry
from bench.deployment.format import Port
from bench.deployment.others.contract import Contract
from bench.deployment.others.model_input import shape_text

_SURE = np.float32(30)  # the logit of a class that is given without a probability
_LEAST = np.float32(1e-7)  # probability


def chosen_output(ports: Sequence[Port], contract: Contract) -> int:
    """Return the number of the output that the contract means; raise BenchError if it doesn't say which."""
    names = [port.name for port in ports]
    if contract.output_name in names:
        return names.index(contract.output_name)
    if len(ports) == 1 or contract.exported:
        return 0
    listed = first_few((shown(name) for name in names), 8)
    said = f", and none is '{shown(contract.output_name)}'" if contract.output_name else ""
    raise BenchError(f"The model has {len(ports)} outputs{said}. Give one with --output-name: {listed}.")


@dataclass(frozen=True)
class ModelOutput:
    """The output as it is used.

    `axis` is that of the channels; None for a map of classes or of one channel without an axis for it.
    """

    holds: str  # one of OUTPUTS
    axis: int | None
    channels: tuple[int, ...]  # the data set's class of each of the model's; empty for one channel of class 1
    classes: int  # of the data set
    port: Port

    def logits(self, raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return logits, float32 (1, *size, C), of what the graph gives for one picture."""
        values = _plain(raw, self.port)
        if self.axis is None:
            values = values[..., None] if values.ndim == 3 else values
        else:
            values = np.moveaxis(values, self.axis, -1)
        if self.holds == "classes":
            return self._one_hot(values[0, ..., 0], size)[None]
        values = np.ascontiguousarray(values[0], np.float32)
        if not np.isfinite(values).all():
            raise BenchError("The model gives values that aren't finite numbers.")
        values = geometry.restore(values, size, "stretch")
        return (self._of_probabilities(values) if self.holds == "probabilities" else self._of_logits(values))[None]

    def _one_hot(self, found: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # of NaN, which is refused below
            numbers = found.astype(np.int64)
        most = len(self.channels)
        if not (numbers == found).all() or numbers.min() < 0 or numbers.max() >= most:
            odd = found[(numbers != found) | (numbers < 0) | (numbers >= most)].flat[0]
            raise BenchError(
                f"The model's map of classes has the value {odd:g}. Accepted: whole numbers from 0 to {most - 1}, a "
                "class each; --classes names more."
            )
        numbers = geometry.resize_labels(np.asarray(self.channels, np.uint8)[numbers], size)
        return np.where(numbers[..., None] == np.arange(self.classes), _SURE, np.float32(0))

    def _of_probabilities(self, values: np.ndarray) -> np.ndarray:
        if values.min() < -1e-3 or values.max() > 1 + 1e-3:
            raise BenchError(
                f"The model gives values from {values.min():.3g} to {values.max():.3g}, which aren't probabilities. "
                "Give --output logits if they are."
            )
        values = np.clip(values, _LEAST, 1 - _LEAST)
        if not self.channels:
            return np.concatenate([np.zeros_like(values), np.log(values / (1 - values))], axis=-1)
        return self._of_logits(np.log(values))

    def _of_logits(self, values: np.ndarray) -> np.ndarray:
        """Put the channels into the data set's order; several of one class count together, by their probabilities."""
        if not self.channels:
            return np.concatenate([np.zeros_like(values), values], axis=-1)
        if len(self.channels) == self.classes:
            return np.ascontiguousarray(values[..., np.argsort(self.channels)])
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        places = np.asarray(self.channels)
        sums = [powers[..., places == number].sum(axis=-1) for number in range(self.classes)]
        return np.log(np.maximum(np.stack(sums, axis=-1), _LEAST))


def model_output(raw: np.ndarray, port: Port, contract: Contract, classes: Sequence[str], layout: str) -> ModelOutput:
    """Match what the graph gives for one picture with the contract.

    Raises:
        BenchError: the number of channels or the classes differ, or what the values are isn't said.
    """
    channels = _channels(contract.classes, classes)
    whole = raw.dtype.kind in "iub" and not port.scale
    if not contract.output and not whole:
        raise BenchError(
            f"The model gives {raw.dtype} {shape_text(raw.shape)}, which doesn't tell what it holds. Give --output "
            "logits, probabilities (after softmax or sigmoid) or classes."
        )
    holds = contract.output or "classes"
    if holds == "classes":
        if raw.ndim not in (3, 4) or (raw.ndim == 4 and 1 not in (raw.shape[1], raw.shape[3])):
            raise _wrong(raw, "a map of classes is 1 x height x width")
        axis = None if raw.ndim == 3 else 1 if raw.shape[1] == 1 else 3
        return ModelOutput(holds, axis, channels, len(classes), port)
    if whole:
        raise _wrong(raw, f"whole numbers are a map of classes, not {holds}; give --output classes")
    count = len(channels)
    single = count == 2 and not contract.classes
    if raw.ndim == 3 and single:
        return ModelOutput(holds, None, (), 2, port)
    axes = [axis for axis in (1, 3) if raw.ndim == 4 and raw.shape[axis] in ((count, 1) if single else (count,))]
    if len(axes) == 2:
        axes = [1 if layout == "NCHW" else 3]
    if not axes:
        names = first_few((shown(name) for name in classes), 8)
        raise _wrong(
            raw,
            f"the data set has {len(classes)} classes ({names}), so {count} channels{' or one' * single} are accepted; "
            "--classes gives the data set's class of each of the model's",
        )
    alone = raw.shape[axes[0]] == 1
    return ModelOutput(holds, axes[0], () if alone else channels, len(classes), port)


def _channels(said: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Return the data set's class of each of the model's."""
    if not said:
        return tuple(range(len(classes)))
    if odd := [name for name in said if name not in classes]:
        raise BenchError(f"The model's class '{shown(odd[0])}' is none of the data set's: {', '.join(classes)}.")
    if lacking := [name for name in classes if name not in said]:
        raise BenchError(
            f"The model's classes are {', '.join(map(shown, said))}, and '{lacking[0]}' of the data set is missing."
        )
    return tuple(list(classes).index(name) for name in said)


def _wrong(raw: np.ndarray, why: str) -> BenchError:
    return BenchError(f"The model gives {raw.dtype} {shape_text(raw.shape)}, but {why}.")


def _plain(raw: np.ndarray, port: Port) -> np.ndarray:
    """Return real numbers of quantised ones."""
    return np.float32(port.scale) * (raw.astype(np.float32) - np.float32(port.zero)) if port.scale else np.asarray(raw)


def doubt_about(raw: np.ndarray, output: ModelOutput) -> str:
    """Return a warning if the values look like something else than what was said; an empty text if they don't."""
    values = _plain(raw, output.port)
    if output.holds != "logits" or values.min() < 0 or values.max() > 1:
        return ""
    sums = values.sum(axis=output.axis) if output.channels and output.axis else values
    if output.channels and not np.allclose(sums, 1, atol=1e-2):
        return ""
    return "The output is said to be logits, but lies between 0 and 1. If so, it may be probabilities: see --output."
