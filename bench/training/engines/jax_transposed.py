"""Transposed convolutions of JAX with a kernel gradient of matrix products, for CPUs.

That gradient is a convolution with a dilated kernel of the image's size. XLA has no kernel of its own for it there, and
its plain loop takes a third of a U-Net's training step. The sums are the same, in another order.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from bench.training.engines.jax_depthwise import Pair, offsets, shifted

CONV_TRANSPOSE = lax.conv_transpose


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def transposed(images: jax.Array, kernel: jax.Array, strides: Pair, pads: tuple[Pair, Pair]) -> jax.Array:
    """Convolve images whose pixels are first moved `strides` apart, with zeros between them.

    Args:
        images: (B, H, W, C).
        kernel: (h, w, D, C), as Keras has it.
        pads: zeros before and after the rows, and before and after the columns.
    """
    return _convolve(images, kernel, strides, pads)


def _convolve(images: jax.Array, kernel: jax.Array, strides: Pair, pads: tuple[Pair, Pair]) -> jax.Array:
    return CONV_TRANSPOSE(
        images, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"), transpose_kernel=True
    )


def _forward(images: jax.Array, kernel: jax.Array, *geometry: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(images, kernel, *geometry), (images, kernel)


def _backward(
    strides: Pair, pads: tuple[Pair, Pair], saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = saved
    to_images = jax.linear_transpose(lambda images: _convolve(images, kernel, strides, pads), images)
    size = images.shape[1:3]
    rows, columns = (
        (k - 1 - before, (count - 1) * s + 1 + before - length, 0)
        for (before, _), length, count, k, s in zip(
            pads, gradient.shape[1:3], size, kernel.shape, strides, strict=False
        )
    )
    padded = lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), rows, columns, (0, 0, 0)))
    pixels = images.reshape(-1, images.shape[3])
    products = [
        jnp.matmul(
            shifted(padded, start, size, strides).reshape(-1, kernel.shape[2]).T,
            pixels,
            preferred_element_type=jnp.float32,
        )
        for start in offsets(kernel)
    ]
    return (*to_images(gradient), jnp.stack(products).reshape(kernel.shape).astype(kernel.dtype))


transposed.defvjp(_forward, _backward)
