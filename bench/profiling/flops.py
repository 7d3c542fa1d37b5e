"""Floating-point operations of one forward pass, from the shapes of the layers.

FLOP = 2 x MAC of convolutions (plain, depthwise, separable, transposed), dense layers and products of two feature maps
(attention); biases, normalisations, activations, pooling and resizing are left out, as in published counts. Published
"GFLOPs" are mostly MACs: half of these. A training step takes about three times a forward pass.
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
        if isinstance(operation, keras.Layer) and not isinstance(operation, keras.Model) and _sublayers(operation):
            operation = _opened(operation, node)
        if isinstance(operation, keras.Model):
            count = forward_flops(operation)
        else:
            count = 2 * _macs(operation, node)
        if count:
            found[node.operation.name] = found.get(node.operation.name, 0) + count
    return found


def _sublayers(layer: keras.Layer) -> list[keras.Layer]:
    return list(layer._flatten_layers(include_self=False))


def _opened(layer: keras.Layer, node: Any) -> keras.Model:
    """What a layer made of layers does with one image, as a functional model: its own parts can be counted then."""
    images = [keras.Input(batch_shape=(1, *t.shape[1:]), dtype=t.dtype) for t in node.input_tensors]
    return keras.Model(images, layer.call(*images))


def _macs(layer: keras.Operation, node: Any) -> int:
    """Multiplications with additions of one call of a layer on one image."""
    is_product = type(layer).__name__ == "Matmul"  # keras.ops does not export its class
    if not is_product and not isinstance(layer, _COUNTED):
        return 0
    before, after = (tuple(tensors[0].shape[1:]) for tensors in (node.input_tensors, node.output_tensors))
    if is_product:
        return math.prod(after) * before[-1]
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
