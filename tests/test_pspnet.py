"""PSPNet's pooling at any size, and its auxiliary head, which exists in training only."""

import architecture_contract  # noqa: F401 - registers the backbone "tiny"
import keras
import numpy as np
import pytest

from bench.architectures.pooling import LinearResize, average_matrix, bilinear_matrix
from bench.architectures.pspnet import build_pspnet
from bench.core.errors import BenchError
from bench.training import augment
from bench.training.engines import create_engine
from bench.training.engines.engine import training_loss, training_model
from bench.training.losses import loss_function


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_pspnet((32, 40, 3), 2, backbone="tiny", filters=8, dropout=0.0)


def test_windows_of_averages_by_hand():
    assert average_matrix(1, 4).tolist() == [[0.25] * 4]
    assert average_matrix(2, 4).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    # 5 values in 2 windows: 0 to 2 and 2 to 4, as torch's adaptive pooling has them
    np.testing.assert_allclose(average_matrix(2, 5), np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]]) / 3, rtol=1e-6)
    assert average_matrix(6, 2).tolist() == [[1, 0]] * 3 + [[0, 1]] * 3  # more windows than values


def test_interpolation_by_hand():
    # centres of 4 pixels on 2: -0.25, 0.25, 0.75, 1.25
    assert bilinear_matrix(4, 2).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    assert bilinear_matrix(3, 1).tolist() == [[1], [1], [1]]


@pytest.mark.needs("torch")
@pytest.mark.parametrize("side", [1, 2, 3, 6])
def test_resizing_is_that_of_torch(side):
    import torch

    x = np.random.default_rng(0).normal(size=(2, 7, 12, 3)).astype(np.float32)
    pooled = LinearResize(side, side, "average")(x)
    wanted = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), side)
    np.testing.assert_allclose(_numpy(pooled), wanted.numpy().transpose(0, 2, 3, 1), atol=1e-6)
    found = _numpy(LinearResize(7, 12, "bilinear")(pooled))
    wanted = torch.nn.functional.interpolate(wanted, (7, 12), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(found, wanted.numpy().transpose(0, 2, 3, 1), atol=1e-5)


def test_the_model_has_one_output_and_no_auxiliary_weights(model):
    assert tuple(model.output.shape) == (None, 32, 40, 2)
    names = {weight.path for weight in model.weights}
    added = {weight.path for weight in training_model(model).weights} - names
    assert {path.split("/")[0] for path in added} == {"auxiliary_conv", "auxiliary_norm", "auxiliary_logits"}
    plain = build_pspnet((32, 40, 3), 2, backbone="tiny", filters=8, auxiliary=False)
    assert training_model(plain) is plain
    assert plain.count_params() == model.count_params()


def test_each_auxiliary_loss_counts_0_4():
    labels, logits, auxiliary = np.zeros(3), np.ones(3), np.full(3, 2.0)

    def loss(labels, logits):
        return float((logits - labels).mean())

    assert training_loss(loss, labels, logits) == 1.0
    assert training_loss(loss, labels, [logits, auxiliary]) == pytest.approx(1.0 + 0.4 * 2.0)
    assert training_loss(loss, labels, [logits, auxiliary, logits]) == pytest.approx(1.0 + 0.4 * 2.0 + 0.4 * 1.0)


def test_an_engine_trains_both_heads_and_predicts_with_one(model):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2, 32, 40, 3), np.uint8), rng.integers(0, 2, (2, 32, 40), np.uint8)
    draws = augment.draw("none", rng, 2)
    engine = create_engine(model, keras.optimizers.Adam(), loss=loss_function("ce"), transform=augment.apply)
    start = engine.state()
    outputs = [_numpy(o) for o in training_model(model)(images / np.float32(255), training=True)]
    ce = [float(_numpy(loss_function("ce")(labels, o))) for o in outputs]
    engine.restore(start)  # the call above moved batch norm statistics
    first = float(engine.train_step(images, labels, draws, 0.01))
    assert first == pytest.approx(ce[0] + 0.4 * ce[1], rel=1e-4)
    auxiliary = [i for i, v in enumerate(engine.training_model.variables) if v.path.startswith("auxiliary")]
    assert auxiliary
    assert not any(np.array_equal(start[i], engine.state()[i]) for i in auxiliary)
    classes, probability = engine.predict(images)
    assert _numpy(classes).shape == _numpy(probability).shape == (2, 32, 40)
    engine.restore(start)
    assert float(engine.train_step(images, labels, draws, 0.01)) == pytest.approx(first, rel=1e-5)


def test_a_saved_model_has_the_logits_alone(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    batch = np.random.default_rng(0).uniform(size=(1, 32, 40, 3)).astype(np.float32)
    np.testing.assert_array_equal(_numpy(loaded(batch)), _numpy(model(batch)))
    assert training_model(loaded) is loaded


def test_an_output_stride_that_it_cannot_have():
    with pytest.raises(BenchError, match=r"output_stride 4\. Accepted: 8, 16, 32"):
        build_pspnet((32, 32, 3), 2, output_stride=4)
