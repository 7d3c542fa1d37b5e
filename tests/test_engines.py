"""The engines of all installed backends: they train, restore, re-estimate, and agree."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import EACH_BACKEND, installed_backends

SCRIPT = Path(__file__).with_name("engine_checks.py")


@pytest.fixture(scope="module", params=EACH_BACKEND)
def found(request, shared_weights):
    return checks(request.param, shared_weights)


@pytest.fixture(scope="module")
def shared_weights(tmp_path_factory):
    return tmp_path_factory.mktemp("engines") / "weights.npz"


@cache
def checks(backend: str, weights: Path) -> dict:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(weights)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_loss_falls(found):
    assert found["losses"][-1] < 0.7 * found["losses"][0]


def test_restoring_the_state_repeats_the_step(found):
    assert found["first_again"] == pytest.approx(found["losses"][0], rel=1e-6)


def test_a_learning_rate_of_zero_changes_no_weight(found):
    first, second = found["without_learning_rate"]
    assert second == pytest.approx(first, rel=1e-6)


def test_batch_norm_statistics_become_those_of_the_batch_and_nothing_else_moves(found):
    assert found["moving_mean_error"] < 1e-5
    assert found["moving_variance_error"] < 1e-5
    assert {path.split("/")[-1] for path in found["moved"]} == {"moving_mean", "moving_variance"}


def test_predictions_are_classes(found):
    assert found["classes_dtype"] == "uint8"
    assert found["classes_shape"] == [4, 16, 16]
    assert found["probability_size"] == 0  # three classes: no probability of a foreground


def test_the_classes_are_those_of_the_largest_logits(found):
    assert found["logits_dtype"] == "float32"
    assert found["logits_decide"]


def test_compiled_or_not_the_steps_are_the_same(found):
    assert found["other_compiled"] is not found["compiled"]
    assert found["other_losses"][0] == pytest.approx(found["losses"][0], rel=1e-5)
    assert found["other_losses"][4] == pytest.approx(found["losses"][4], rel=1e-3)
    assert found["other_classes_shape"] == found["classes_shape"]


def test_jax_says_what_memory_its_programs_take(found):
    one, four = found["planned_bytes"]
    if found["backend"] != "jax":
        assert one == four == [None, None]
        return
    assert all(1.5 * small < large < 4.5 * small for small, large in zip(one, four, strict=True))
    assert one[0] > one[1] > 0  # training takes more than predicting


@pytest.mark.needs("torch")
def test_torch_compiles_the_training_step_and_the_prediction_as_one_graph_each(shared_weights):
    assert checks("torch", shared_weights)["other_graphs"] == 2


def test_what_can_t_be_compiled_is_one_line(shared_weights):
    refusals = {backend: checks(backend, shared_weights)["refusal"] for backend in installed_backends()}
    known = {
        "tensorflow": "--jit on: TensorFlow can't compile small for its layer unfit.",
        "jax": "",
        "torch": "--jit on: torch.compile fails for small (no way).",
    }
    assert refusals == {backend: known[backend] for backend in refusals}


def test_half_precision_trains_every_loss_with_loss_scaling(found):
    assert found["half_losses"][-1] < 0.8 * found["half_losses"][0]


def test_the_backends_agree_on_the_first_steps(shared_weights):
    losses = [checks(backend, shared_weights)["losses"] for backend in installed_backends()]
    for other in losses[1:]:
        assert other[0] == pytest.approx(losses[0][0], rel=1e-5)
        assert other[4] == pytest.approx(losses[0][4], rel=1e-3)
