"""The optimizers on every backend: their first steps by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.config import grid
from bench.config.catalog import resolve_config
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.trials.identity import trial_key
from tests.conftest import EACH_BACKEND


@pytest.fixture(scope="module", params=EACH_BACKEND)
def found(request):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("optimizer_checks.py"))],
        env={**os.environ, "KERAS_BACKEND": request.param}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


# The bias has the gradient 1. SGD: m = 0.9 m - 0.1, then b = b + 0.9 m - 0.1, so m = -0.1, -0.19 and
# b = -0.09 - 0.1 = -0.19, then -0.19 - 0.171 - 0.1 = -0.461. Adam moves by the learning rate.
@pytest.mark.parametrize("name", ["sgd", "scaled_sgd"])
def test_sgd_has_nesterovs_momentum(found, name):
    assert found[name] == [pytest.approx([1.0, -0.19], abs=1e-6), pytest.approx([1.0, -0.461], abs=1e-6)]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_moves_by_the_learning_rate(found, name):
    assert found[name] == [pytest.approx([1.0, -0.1], abs=1e-5), pytest.approx([1.0, -0.2], abs=1e-5)]


def test_sgd_goes_on_with_its_momentum_when_the_backbone_is_unfrozen(found):
    assert found["resumed"] == [pytest.approx([1.0, -0.461], abs=1e-6)]


# The gradient's norm is 1. Scaled to 0.5: m = -0.05, -0.095, and b = -0.095, then -0.095 - 0.0855 - 0.05 = -0.2305.
@pytest.mark.parametrize("name", ["clipped", "clipped_scaled"])
def test_gradients_are_scaled_down_to_the_norm(found, name):
    assert found[name] == [pytest.approx([1.0, -0.095], abs=1e-6), pytest.approx([1.0, -0.2305], abs=1e-6)]


# The bias is -0.19 and -0.461. The first step's decay is 0, the second's 1 / 10: 0.1 x -0.19 + 0.9 x -0.461 = -0.4339.
@pytest.mark.parametrize("name", ["average", "average_scaled"])
def test_the_average_stands_in_for_the_weights_and_gives_them_back(found, name):
    assert found[name] == pytest.approx([-0.4339, -0.461, -0.4339], abs=1e-6)


def test_without_a_step_there_is_no_average_and_the_weights_stay(found):
    assert found["skipped_average"] == [1.0, 1.0, 1.0, 1.0]


def test_what_starts_to_train_later_has_its_own_value_as_average(found):
    assert found["late_average"] == [3.0, 7.0]


# The kernel has the gradient 0: it becomes 1 - 0.5 x 0.1 = 0.95, then 0.95 (1 - 0.25 x 0.1) = 0.92625.
@pytest.mark.parametrize("name", ["decayed_adam", "decayed_adamw", "decayed_sgd", "scaled_decay"])
def test_weight_decay_is_the_steps_learning_rate_times_it_and_not_of_the_bias(found, name):
    assert [kernel for kernel, _ in found[name]] == pytest.approx([0.95, 0.92625], abs=1e-6)
    biases = [-0.95, -1.83] if name == "decayed_sgd" else [-0.5, -0.75]  # as without decay
    assert [bias for _, bias in found[name]] == pytest.approx(biases, abs=1e-5)


def test_norms_and_biases_are_exempt_from_weight_decay():
    import keras

    from bench.training.optimizer import create_optimizer

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.DepthwiseConv2D(3)(inputs))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(x))
    optimizer = create_optimizer(TrialConfig("", "", weight_decay=0.1), model)
    optimizer.build(model.trainable_variables)
    decayed = [variable.name for variable in model.trainable_variables if optimizer._use_weight_decay(variable)]
    assert decayed == ["kernel", "kernel"]  # of the two convolutions


def test_the_optimizer_is_in_the_key_and_of_speed_only_trials_too():
    base = {"arch": "unet", "dataset": "shapes"}
    adam, adamw, sgd = grid.expand({**base, "optimizer": "adam,adamw,sgd"})
    assert trial_key(adam, "data") == trial_key(grid.expand(base)[0], "data")
    assert len({trial_key(config, "data") for config in (adam, adamw, sgd)}) == 3
    assert grid.expand({**base, "optimizer": "sgd", "measure": "speed"})[0].optimizer == "sgd"


def test_adamw_is_never_plain_adam_under_another_name():
    base = {"arch": "unet", "dataset": "shapes"}
    both = grid.expand({**base, "optimizer": "adam,adamw"})
    assert [(config.optimizer, config.weight_decay) for config in both] == [("adam", 0), ("adamw", 0.004)]
    assert grid.expand({**base, "optimizer": "adamw", "measure": "speed"})[0].weight_decay == 0.004
    named = grid.expand({**base, "optimizer": "adamw", "weight_decay": "0.004"})
    assert named == both[1:]
    for given in ("0", "0,0.1"):
        with pytest.raises(BenchError, match="AdamW without weight decay is Adam"):
            grid.expand({**base, "optimizer": "adamw", "weight_decay": given})
    with pytest.raises(BenchError, match="AdamW without weight decay is Adam"):  # as from Python
        resolve_config(TrialConfig("unet", "shapes", optimizer="adamw"))
