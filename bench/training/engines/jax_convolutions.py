"""Convolutions that JAX computes in another way than XLA does on a CPU, where XLA has only a plain loop for them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import jax
from jax import lax

from bench.training.engines.jax_depthwise import depthwise
from bench.training.engines.jax_transposed import transposed

MOST_OFFSETS = 25  # of a depthwise kernel; a sum of more products compiles slowly
LAYOUT = ("NHWC", "HWIO", "NHWC")


def quick_convolutions(platform: str) -> AbstractContextManager[None]:
    """Return a context in which functions are traced with convolutions that are quick on this platform."""
    return _replaced() if platform == "cpu" else nullcontext()


@contextmanager
def _replaced() -> Iterator[None]:
    convolution, transposition = lax.conv_general_dilated, lax.conv_transpose
    lax.conv_general_dilated = partial(_convolution, convolution)
    lax.conv_transpose = partial(_transposition, transposition)
    try:
        yield
    finally:
        lax.conv_general_dilated, lax.conv_transpose = convolution, transposition


def _convolution(
    original: Callable[..., jax.Array],
    images: jax.Array,
    kernel: jax.Array,
    window_strides: Any,
    padding: Any,
    **options: Any,
) -> jax.Array:
    """Do as `jax.lax.conv_general_dilated`."""
    dilation = tuple(options.pop("rhs_dilation", None) or (1,) * len(window_strides))
    if not _is_depthwise(images, kernel, options):
        return original(images, kernel, window_strides, padding, rhs_dilation=dilation, **options)
    if isinstance(padding, str):
        spans = [(size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False)]
        padding = lax.padtype_to_pads(images.shape[1:3], spans, window_strides, padding)
    return depthwise(images, kernel, tuple(window_strides), dilation, _pairs(padding))


def _is_depthwise(images: jax.Array, kernel: jax.Array, options: dict[str, Any]) -> bool:
    """Tell whether each channel has one small kernel of its own, and nothing else is asked for."""
    groups = options.get("feature_group_count")
    return (
        _is_plain(images, kernel, options, also={"feature_group_count"})
        and kernel.shape[2:] == (1, images.shape[3])
        and groups == images.shape[3] > 1
        and kernel.shape[0] * kernel.shape[1] <= MOST_OFFSETS
    )


def _transposition(
    original: Callable[..., jax.Array],
    images: jax.Array,
    kernel: jax.Array,
    strides: Any,
    padding: Any,
    **options: Any,
) -> jax.Array:
    """Do as `jax.lax.conv_transpose`."""
    dilation = tuple(options.get("rhs_dilation") or (1,))
    known = not isinstance(padding, str) and set(dilation) == {1} and options.get("transpose_kernel")
    if not known or not _is_plain(images, kernel, options, also={"rhs_dilation", "transpose_kernel"}):
        return original(images, kernel, strides, padding, **options)
    return transposed(images, kernel, tuple(strides), _pairs(padding))


def _is_plain(images: jax.Array, kernel: jax.Array, options: dict[str, Any], *, also: set[str]) -> bool:
    """Tell whether these are pictures in NHWC, with no option but the layout and those of `also`."""
    asked = {name for name, value in options.items() if value is not None and (name, value) != ("batch_group_count", 1)}
    return (
        images.ndim == 4
        and asked <= {"dimension_numbers", *also}
        and "dimension_numbers" in asked
        and lax.conv_dimension_numbers(images.shape, kernel.shape, options["dimension_numbers"])
        == lax.conv_dimension_numbers(images.shape, kernel.shape, LAYOUT)
    )


def _pairs(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    rows, columns = padding
    return tuple(rows), tuple(columns)
