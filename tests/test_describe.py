"""The description of a model in its record, and the file of its layers."""

import json

import keras
import pytest
from keras import layers

from bench.results.trial_files import LAYERS, WEIGHTS
from bench.trials.record_sections import describe_model


@pytest.fixture
def model():
    inputs = keras.Input((8, 8, 3), name="images")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, name="logits")(x))


def test_sizes_and_operations(model, tmp_path):
    model.get_layer("norm").trainable = False
    facts = describe_model(model, tmp_path)
    assert facts["params"] == 9 * 3 * 4 + 4 * 4 + (4 * 2 + 2)
    assert facts["trainable_params"] == 9 * 3 * 4 + (4 * 2 + 2)
    assert facts["gflops"] == 2 * 64 * (9 * 3 * 4 + 4 * 2) / 1e9
    assert facts["activations"] == 64 * (4 + 4 + 2)
    rows = json.loads((tmp_path / LAYERS).read_text())
    assert [row["name"] for row in rows] == ["conv", "norm", "logits"]
    assert rows[0] == {
        "name": "conv",
        "type": "Conv2D",
        "shape": [8, 8, 4],
        "params": 108,
        "flops": 2 * 64 * 108,
        "activations": 256,
    }


def test_the_size_on_disk_is_that_of_the_saved_weights_or_of_a_copy_that_goes_again(model, tmp_path):
    copied = describe_model(model, tmp_path)["file_mib"]
    assert [path.name for path in tmp_path.iterdir()] == [LAYERS]
    model.save_weights(tmp_path / WEIGHTS)
    size = (tmp_path / WEIGHTS).stat().st_size / 2**20
    assert describe_model(model, tmp_path)["file_mib"] == pytest.approx(size, abs=1e-3)
    assert copied == pytest.approx(size, rel=0.05)
    (tmp_path / WEIGHTS).write_bytes(b"x" * 2**21)
    assert describe_model(model, tmp_path)["file_mib"] == 2.0


class Followed(keras.Model):
    """A model of a plug-in that is no graph of layers."""

    def __init__(self):
        super().__init__(name="followed")
        self.head = layers.Conv2D(2, 1)

    def call(self, images):
        return self.head(images)


def test_a_model_that_can_t_be_followed_loses_no_trial(tmp_path, capsys):
    model = Followed()
    model(keras.ops.zeros((1, 8, 8, 3)))
    facts = describe_model(model, tmp_path)
    assert (facts["params"], facts["gflops"], facts["activations"]) == (8, None, None)
    assert not (tmp_path / LAYERS).exists()
    assert "The operations of followed were not counted" in capsys.readouterr().out
