"""Depthwise convolutions of JAX as sums of shifted products, for CPUs.

XLA has no kernel of its own for them there. Its loop over the groups takes 10 to 60 times as long as the products,
which XLA fuses into one pass over the image. Outputs are equal; gradients are summed in another order.
"""

from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Pair = tuple[int, int]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def depthwise(
    images: jax.Array, kernel: jax.Array, strides: Pair, dilation: Pair, pads: tuple[Pair, Pair]
) -> jax.Array:
    """Convolve each channel with its own kernel; sums are taken in float32.

    Args:
        images: (B, H, W, C) of any float dtype, which the result has, too.
        kernel: (h, w, 1, C).
        pads: zeros before and after the rows, and before and after the columns.
    """
    padded, weights = _pad(images.astype(jnp.float32), pads), kernel.astype(jnp.float32)
    size = [
        (length - (k - 1) * d - 1) // s + 1
        for length, k, d, s in zip(padded.shape[1:3], kernel.shape, dilation, strides, strict=False)
    ]
    total = _sum(
        shifted(padded, (i * dilation[0], j * dilation[1]), size, strides) * weights[i, j, 0]
        for i, j in offsets(kernel)
    )
    return total.astype(images.dtype)


def _forward(images: jax.Array, kernel: jax.Array, *geometry: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return depthwise(images, kernel, *geometry), (images, kernel)


def _backward(
    strides: Pair, dilation: Pair, pads: tuple[Pair, Pair], saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = saved
    size, gradient, weights = images.shape[1:3], gradient.astype(jnp.float32), kernel.astype(jnp.float32)
    rows, columns = (
        ((k - 1) * d - before, length + before - (count - 1) * s - 1, s - 1)
        for (before, _), length, count, k, d, s in zip(
            pads, size, gradient.shape[1:3], kernel.shape, dilation, strides, strict=False
        )
    )
    spread = lax.pad(gradient, jnp.float32(0), ((0, 0, 0), rows, columns, (0, 0, 0)))
    height, width = kernel.shape[:2]
    to_images = _sum(
        shifted(spread, ((height - 1 - i) * dilation[0], (width - 1 - j) * dilation[1]), size, (1, 1))
        * weights[i, j, 0]
        for i, j in offsets(kernel)
    )
    padded = _pad(images.astype(jnp.float32), pads)
    to_kernel = [
        # One axis at a time: XLA's reduction of all three at once takes up to three times as long.
        (shifted(padded, (i * dilation[0], j * dilation[1]), gradient.shape[1:3], strides) * gradient)
        .sum(0)
        .sum(0)
        .sum(0)
        for i, j in offsets(kernel)
    ]
    return to_images.astype(images.dtype), jnp.stack(to_kernel).reshape(kernel.shape).astype(kernel.dtype)


depthwise.defvjp(_forward, _backward)


def _pad(images: jax.Array, pads: Sequence[Pair]) -> jax.Array:
    return lax.pad(images, jnp.float32(0), ((0, 0, 0), *((*pair, 0) for pair in pads), (0, 0, 0)))


def shifted(images: jax.Array, start: Sequence[int], size: Sequence[int], strides: Pair) -> jax.Array:
    """Take `size` pixels, `strides` apart, from `start` on."""
    ends = [first + (count - 1) * step + 1 for first, count, step in zip(start, size, strides, strict=True)]
    return lax.slice(images, (0, *start, 0), (len(images), *ends, images.shape[3]), (1, *strides, 1))


def _sum(terms: Iterator[jax.Array]) -> jax.Array:
    return reduce(jnp.add, terms)


def offsets(kernel: jax.Array) -> Iterator[Pair]:
    """Go through the rows and columns of a kernel, whose first two axes they are."""
    return product(range(kernel.shape[0]), range(kernel.shape[1]))
