"""Count operations with KERAS_BACKEND=torch: `python tests/flop_checks.py NAME...` with names of architectures' cases.

It prints a JSON object: name -> [the analytic count, the count of torch's FlopCounterMode] of one image's forward pass.
"""

import json
import sys

import keras
import numpy as np
import torch
from keras import layers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.profiling.flops import forward_flops
from tests.architecture_contract import case

SIDE = 128


def build(name: str) -> keras.Model:
    if name != "attention":
        found = case(name)
        side = -(-max(SIDE, found.smallest) // found.divisor) * found.divisor
        return found.build(side, side)
    # No architecture of ours has Keras's attention, but a plug-in may.
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Reshape((-1, 16))(layers.Conv2D(16, 16, strides=16)(inputs))
    x = layers.MultiHeadAttention(2, 8)(x, x)
    return keras.Model(inputs, layers.EinsumDense("btc,cd->btd", output_shape=(64, 5))(x))


def counted(model: keras.Model) -> int:
    plain = sdpa_kernel(SDPBackend.MATH)  # the counter leaves out the CPU's fused attention
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        model(np.zeros((1, *model.input_shape[1:]), np.float32), training=False)
    return counter.get_total_flops()


def main() -> None:
    found = {}
    for name in sys.argv[1:]:
        model = build(name)
        found[name] = [forward_flops(model), counted(model)]
        keras.backend.clear_session()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
