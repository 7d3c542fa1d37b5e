"""Count the cost of a forward pass, layer by layer: operations and output elements, from the layers' shapes.

The FLOP are 2 x MAC of convolutions (plain, depthwise, separable, transposed), dense layers and products of two feature
maps (attention). As in published counts, biases, normalisations, activations, pooling and resizing are left out. Most
published "GFLOPs" are MACs, half of these. A training step needs about three times the FLOP of a forward pass.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

_COUNTED = (
    *(layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.SeparableConv2D),
    *(layers.Dense, layers.EinsumDense),
)
_PRODUCTS = ("Matmul", "Einsum", "DotProductAttention")  # keras.ops does not export their classes


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer of a model, all its calls together."""

    name: str
    type: str  # the name of its class
    shape: tuple[int | None, ...]  # of the last call's output (the first one of several), without the batch
    params: int
    flops: int  # per image
    activations: int  # elements of its outputs per image; if it is made of layers, of the outputs of all of them


def forward_flops(model: keras.Model) -> int:
    """Count the FLOP of one image through a functional model of fixed size, by the layers that lead to its outputs."""
    return sum(cost.flops for cost in layer_costs(model))


def costs_if_known(model: keras.Model) -> list[LayerCost]:
    """Do as `layer_costs`, but return nothing and print a line if a plug-in's model can't be followed."""
    try:
        return layer_costs(model)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        print(f"The operations of {model.name} were not counted: {type(error).__name__}: {error}")
        return []


def layer_costs(model: keras.Model) -> list[LayerCost]:
    """Count the layers that lead to a functional model's outputs, in its order; the inputs are left out."""
    found: dict[str, LayerCost] = {}
    for node in _nodes(model):
        cost = _cost(node)
        if before := found.get(cost.name):
            flops, activations = before.flops + cost.flops, before.activations + cost.activations
            cost = replace(cost, flops=flops, activations=activations)
        found[cost.name] = cost
    return list(found.values())


def _nodes(model: keras.Model) -> Iterator[Any]:
    """Yield the calls of the model's operations, from the inputs on."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def _cost(node: Any) -> LayerCost:
    operation = node.operation
    flops, activations = _work(operation, node)
    return LayerCost(
        name=operation.name,
        type=type(operation).__name__,
        shape=tuple(node.output_tensors[0].shape[1:]),
        params=operation.count_params() if isinstance(operation, keras.Layer) else 0,
        flops=flops,
        activations=activations,
    )


def _work(operation: keras.Operation, node: Any) -> tuple[int, int]:
    """Count the FLOP and the output elements of one call on one image; add up its parts if it has any."""
    if isinstance(operation, layers.MultiHeadAttention):
        macs, activations = _attention(operation, node)
        return 2 * macs, activations
    if inner := _inner(operation, node):
        parts = layer_costs(inner)
        return sum(part.flops for part in parts), sum(part.activations for part in parts)
    return 2 * _macs(operation, node), sum(math.prod(tensor.shape[1:]) for tensor in node.output_tensors)


def _inner(operation: keras.Operation, node: Any) -> keras.Model | None:
    """Turn an operation made of layers into a functional model; None for all others."""
    if isinstance(operation, keras.Sequential):
        return operation._functional
    if isinstance(operation, keras.Model):
        return operation
    if isinstance(operation, keras.Layer) and _sublayers(operation):
        return _opened(operation, node)
    return None


def _sublayers(layer: keras.Layer) -> list[keras.Layer]:
    return list(layer._flatten_layers(include_self=False))


def _opened(layer: keras.Layer, node: Any) -> keras.Model:
    """Turn a layer made of layers into a functional model for one image, so that its parts can be counted."""
    images = {id(t): keras.Input(batch_shape=(1, *t.shape[1:]), dtype=t.dtype) for t in node.input_tensors}
    args, kwargs = node.arguments.fill_in(images)
    return keras.Model(list(images.values()), layer.call(*args, **kwargs))


def _macs(layer: keras.Operation, node: Any) -> int:
    """Count the multiply-adds of one call of a layer on one image."""
    name = type(layer).__name__
    if name not in _PRODUCTS and not isinstance(layer, _COUNTED):
        return 0
    before, after = (tuple(tensors[0].shape[1:]) for tensors in (node.input_tensors, node.output_tensors))
    if name == "DotProductAttention":  # of queries (T, N, D) and keys (S, N, D): weights T x S, then their mean
        return 2 * math.prod(before) * node.input_tensors[1].shape[1]
    if name == "Einsum":
        return _einsum(layer.subscripts, [(1, *tensor.shape[1:]) for tensor in node.input_tensors])
    if isinstance(layer, layers.EinsumDense):
        return _einsum(layer.equation, [(1, *before), layer.kernel.shape])
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


def _einsum(equation: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """Count the multiplications of a product such as "...tc,cd->...td": the product of all its indices' sizes."""
    sizes: dict[str, int] = {}
    for term, shape in zip(equation.split("->")[0].split(","), shapes, strict=True):
        unnamed = "0123456789"[: len(shape) - len(term.replace("...", ""))]
        sizes |= zip(term.replace("...", unnamed), shape, strict=True)
    return math.prod(sizes.values())


def _attention(layer: layers.MultiHeadAttention, node: Any) -> tuple[int, int]:
    """Count multiplications and elements of Keras's attention, whose parts don't know their own sizes."""
    query, value = (tuple(tensor.shape[1:]) for tensor in node.input_tensors[:2])
    channels = node.input_tensors[-1].shape[-1]  # of the keys, where they are not the values
    after = node.output_tensors[0].shape[-1]
    tokens, others = math.prod(query[:-1]), math.prod(value[:-1])
    keys, values = layer.num_heads * layer.key_dim, layer.num_heads * layer.value_dim
    linear = tokens * (query[-1] * keys + values * after) + others * (channels * keys + value[-1] * values)
    elements = tokens * (keys + values + after) + others * (keys + values) + 2 * layer.num_heads * tokens * others
    return linear + tokens * others * (keys + values), elements
