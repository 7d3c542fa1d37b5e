"""A plug-in with an architecture that has a parameter of each type, and a data set."""

from dataclasses import dataclass

import numpy as np

from bench.plugin import Sample, architecture, dataset

print("a plug-in may print when it is imported")


@architecture(name="small_net", paper="none", size_divisor=4, aliases=("sn",))
def build_small_net(input_shape, num_classes, *, filters=(4, 8), depth=2, dropout=0.0, activation="relu", bias=True):
    import keras  # here and not above: the parent process opens data sets

    inputs = x = keras.Input(input_shape)
    for width in filters[:depth]:
        x = keras.layers.Conv2D(width, 3, padding="same", activation=activation, use_bias=bias)(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, dtype="float32")(x))


@dataclass(frozen=True)
class Stripes:
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    def read(self, sample):
        labels = np.zeros((16, 16), np.uint8)
        labels[:, int(sample.token) % 8 :: 8] = 1
        return np.repeat(labels[..., None] * np.uint8(200), 3, axis=-1), labels


@dataset(name="stripes", classes=("ground", "stripe"), needs_data_dir=False)
def load_stripes(data_dir):
    splits = ("train", "train", "train", "val", "test")
    return Stripes(tuple(Sample(f"s{i}", split, f"s{i}", token=str(i)) for i, split in enumerate(splits)))
