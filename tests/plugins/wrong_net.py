"""A plug-in whose parameter `wrong` says what its builder does wrong."""

import keras
from keras import ops

from bench.plugin import architecture

layers = keras.layers


class Block(layers.Layer):
    """A layer with a layer inside, which computes in another precision."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")

    def call(self, inputs):
        return self.inner(inputs)


class Spoil(layers.Layer):
    """A layer that makes NaN: always, or in inference only."""

    def __init__(self, always):
        super().__init__()
        self.always = always

    def call(self, inputs, training=False):
        return inputs if training and not self.always else inputs * ops.sqrt(ops.cast(-1.0, inputs.dtype))


def small(shape, classes):
    inputs = keras.Input(shape)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    return inputs, layers.Conv2D(classes, 1, dtype="float32")(x)


@architecture(name="wrong_net")
def build_wrong_net(input_shape, num_classes, *, wrong="nothing"):
    """Build a small net, or do what `wrong` says."""
    inputs, outputs = small(input_shape, num_classes)
    if wrong == "policy":
        keras.config.set_dtype_policy("mixed_bfloat16")
        inputs, outputs = small(input_shape, num_classes)
    if wrong in ("mixed_bfloat16", "float16"):
        outputs = layers.Conv2D(num_classes, 1, dtype=wrong)(inputs)
    if wrong == "inner":
        outputs = layers.Conv2D(num_classes, 1)(Block()(inputs))
    if wrong in ("nan", "nan in inference"):
        outputs = Spoil(wrong == "nan")(outputs)
    if wrong in ("bfloat16 logits", "int32 logits"):  # by an operation, not by a layer
        outputs = ops.cast(outputs, wrong.partition(" ")[0])
    if wrong == "half size":
        outputs = layers.AveragePooling2D(2)(outputs)
    if wrong == "more classes":
        outputs = layers.Conv2D(num_classes + 1, 1)(outputs)
    if wrong == "two outputs":
        outputs = [outputs, outputs]
    if wrong == "any size":
        inputs, outputs = small((None, None, 3), num_classes)
    if wrong == "a layer":
        return layers.Conv2D(num_classes, 1)
    return None if wrong == "none" else keras.Model(inputs, outputs)
