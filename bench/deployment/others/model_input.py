"""The input of a model: its layout, size and type, and the array that it gets for pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.deployment.format import Port
from bench.deployment.others.contract import Contract

_FLOATS = ("float32", "float16", "float64")
_AXES = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}  # of height, width and channels


@dataclass(frozen=True)
class ModelInput:
    """The input as it is used."""

    layout: str
    size: tuple[int, int]  # of the array: height, width
    port: Port
    contract: Contract

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Return the graph's input for pictures of a pack, (B, H, W, C)."""
        images = pictures[..., ::-1] if self.contract.channels == "BGR" else pictures
        if self.contract.scaled or self.port.dtype != pictures.dtype.name or self.port.scale:
            images = self._scaled(images)
        images = images.transpose(0, 3, 1, 2) if self.layout == "NCHW" else images
        return np.ascontiguousarray(images)

    def _scaled(self, images: np.ndarray) -> np.ndarray:
        terms = self.contract
        mean, std = (np.asarray(values, np.float32) for values in (terms.mean or (0,), terms.std or (1,)))
        values = (np.float32(terms.scale or 1) * images.astype(np.float32) - mean) / std
        kind = np.dtype(self.port.dtype)
        if self.port.scale:
            limits = np.iinfo(kind)
            values = np.clip(np.rint(values / np.float32(self.port.scale)) + self.port.zero, limits.min, limits.max)
        return values.astype(kind)


def model_input(ports: Sequence[Port], contract: Contract) -> ModelInput:
    """Match a graph's inputs with the contract.

    Raises:
        BenchError: it has other than one input of pictures, or the contract says something else, or too little.
    """
    if len(ports) != 1:
        names = ", ".join(shown(port.name) for port in ports)
        raise BenchError(f"The model has {len(ports)} inputs ({names}). Accepted: one, of pictures.")
    (port,) = ports
    shape, bands = port.shape or (None,) * 4, contract.values.bands
    if len(shape) != 4 or shape[0] not in (None, 1):
        raise BenchError(
            f"The model takes {shape_text(shape)}. Accepted: one picture at a time, or any number of them, as "
            f"1 x height x width x {bands} or 1 x {bands} x height x width."
        )
    layout = _layout(shape, contract.layout, bands)
    _check_values(port, contract)
    return ModelInput(layout, _size(shape, layout, contract), port, contract)


def _layout(shape: Sequence[int | None], said: str, bands: int) -> str:
    could = [layout for layout in _AXES if shape[_AXES[layout][2]] in (None, bands)]
    sure = [layout for layout in could if shape[_AXES[layout][2]] == bands]
    if not could:
        what = 'Pictures are RGB, unless a model.json has other "values".' if bands == 3 else "Its model.json has them."
        raise BenchError(f"The model takes {shape_text(shape)}, which has no axis of {bands} channels. {what}")
    if said and said not in could:
        raise BenchError(f"The model takes {shape_text(shape)}, which is {could[0]}, but --layout is {said}.")
    if not said and len(sure) != 1:
        raise BenchError(
            f"The model takes {shape_text(shape)}, which doesn't tell its layout. Give --layout NHWC or NCHW."
        )
    return said or sure[0]


def _check_values(port: Port, contract: Contract) -> None:
    stored = contract.values.dtype.name
    holds = stored == port.dtype or (stored, port.dtype) == ("uint16", "int32")  # PyTorch computes with no uint16
    if (holds or port.dtype in ("uint8", "int8")) and (port.scale or holds):
        if contract.scaled and not port.scale:
            raise BenchError(
                f"The model takes {stored}, pictures as they are stored, so --scale, --mean and --std don't apply. "
                "Leave them out."
            )
        if port.scale and not contract.says_values:
            raise BenchError(_unsaid(f"{port.dtype} that stand for real numbers"))
    elif port.dtype not in _FLOATS:
        raise BenchError(f"The model takes {port.dtype}. Accepted: {', '.join((*_FLOATS, stored))}, or quantised int8.")
    elif not contract.says_values:
        raise BenchError(_unsaid(port.dtype))


def _unsaid(kind: str) -> str:
    return (
        f"The model takes {kind}, and nothing says of which range. Give --scale 1/255 for 0 to 1 or --scale 1 for 0 to "
        "255, with --mean and --std if it was trained with them, or --preprocess model.json."
    )


def _size(shape: Sequence[int | None], layout: str, contract: Contract) -> tuple[int, int]:
    """Return height and width of the input, which the contract may have to give."""
    fixed = [shape[axis] for axis in _AXES[layout][:2]]
    wanted = contract.tile or contract.image_size
    if wanted is None and None in fixed:
        raise BenchError(f"The model takes images of any size ({shape_text(shape)}). Give --image-size.")
    sides = [own or side for own, side in zip(fixed, wanted or fixed, strict=True)]
    if wanted is not None and list(wanted) != sides:
        raise BenchError(
            f"The model takes {shape_text(shape)} ({layout}), but --image-size is {'x'.join(map(str, wanted))}. "
            "Leave --image-size out, or give the model's."
        )
    return int(sides[0] or 0), int(sides[1] or 0)


def shape_text(shape: Sequence[int | None]) -> str:
    """Write a shape: `1 x 3 x 512 x ?`."""
    return " x ".join("?" if side is None else str(side) for side in shape)
