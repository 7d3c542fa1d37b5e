"""Floating-point operations of one forward pass, from the shapes of the layers.

FLOP = 2 x MAC of convolutions (plain, depthwise, separable, transposed) and dense layers; biases, normalisations,
activations, pooling and resizing are left out, as in published counts. Published "GFLOPs" are mostly MACs: half of
these. A training step takes about three times a forward pass.
"""

import math
from typing import Any

import keras
from keras import layers

_COUNTED = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)


def forward_flops(model: keras.Model) -> int:
    """FLOP of one image through a functional model of fixed size, by the layers that lead to its outputs."""
    return sum(flops_by_layer(model).values())


def flops_by_layer(model: keras.Model) -> dict[str, int]:
    """Layer -> FLOP of one image, in the model's order; layers without a product are left out."""
    found: dict[str, int] = {}
    for node in (
        node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]
    ):
        operation = node.operation
        if isinstance(operation, keras.Sequential):
            operation = operation._functional
        if isinstance(operation, keras.Model):
            count = forward_flops(operation)
        else:
            count = 2 * _macs(operation, node)
        if count:
            found[node.operation.name] = found.get(node.operation.name, 0) + count
    return found


def _macs(layer: keras.Operation, node: Any) -> int:
    """Multiplications with additions of one call of a layer on one image."""
    if not isinstance(layer, _COUNTED):
        return 0
    before, after = (tuple(tensors[0].shape[1:]) for tensors in (node.input_tensors, node.output_tensors))
    if isinstance(layer, layers.Conv2DTranspose):
        return math.prod(before) * math.prod(layer.kernel_size) * layer.filters
    if isinstance(layer, layers.SeparableConv2D):
        depthwise = before[-1] * layer.depth_multiplier
        return math.prod(after[:-1]) * (math.prod(layer.kernel_size) * depthwise + depthwise * layer.filters)
    if isinstance(layer, layers.DepthwiseConv2D):
        return math.prod(after) * math.prod(layer.kernel_size)
    if isinstance(layer, layers.Conv2D):
        return math.prod(after) * math.prod(layer.kernel_size) * before[-1] // layer.groups
    return math.prod(after) * before[-1]
