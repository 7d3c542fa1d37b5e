"""One output for two classes: the published count of parameters, and the same probabilities, losses and predictions."""

import keras
import numpy as np
import pytest

from bench.architectures.unet import build_unet
from bench.config import grid
from bench.core.errors import BenchError
from bench.training.engines.engine import training_model
from bench.training.losses import loss_function
from bench.training.models.heads import build_with_head

SMALL = {"filters": [4, 8]}


def small(head):
    keras.utils.set_random_seed(0)
    return build_with_head(build_unet, (16, 16, 3), 2, head, **SMALL)


def test_the_model_has_one_output_and_gives_two_logits_of_which_the_first_is_zero():
    model, plain = small("sigmoid"), build_unet((16, 16, 3), 1, **SMALL)
    assert model.output_shape == (None, 16, 16, 2)
    assert model.count_params() == plain.count_params()
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    logits = keras.ops.convert_to_numpy(model(images))
    assert not logits[..., 0].any() and logits[..., 1].any()


def test_cross_entropy_is_binary_cross_entropy_of_the_one_output():
    rng = np.random.default_rng(1)
    one, labels = rng.normal(size=(2, 4, 4, 1)).astype(np.float32), rng.integers(0, 2, (2, 4, 4))
    both = np.concatenate([np.zeros_like(one), one], axis=-1)
    expected = np.log1p(np.exp(np.where(labels == 1, -one[..., 0], one[..., 0]))).mean()
    assert float(loss_function("ce")(labels, both)) == pytest.approx(expected, rel=1e-5)


def test_auxiliary_heads_have_one_output_too():
    def build(shape, num_classes):
        inputs = keras.Input(shape)
        model = keras.Model(inputs, keras.layers.Conv2D(num_classes, 1, name="logits")(inputs))
        model.auxiliary_logits = keras.layers.Conv2D(num_classes, 1, name="more")(inputs)
        return model

    model = training_model(build_with_head(build, (8, 8, 3), 2, "sigmoid"))
    assert [shape[-1] for shape in model.output_shape] == [2, 2]
    assert model.count_params() == 2 * (3 + 1)


def test_a_saved_model_comes_back(tmp_path):
    model = small("sigmoid")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(m(images)) for m in (model, again)))


def test_more_than_two_classes_are_refused_in_a_line():
    with pytest.raises(BenchError, match="--head sigmoid is for two classes, but pets has 3"):
        grid.expand({"arch": "unet", "dataset": "pets", "head": "sigmoid"})
