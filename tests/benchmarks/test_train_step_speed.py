"""A training step of a small U-Net, from the pack's batch to the new weights."""

import keras
import pytest

from bench.core.trial_config import TrialConfig
from bench.training.build import build_model, build_training, choose_indexes
from bench.trials.plan import prepare_pack


@pytest.fixture(scope="module")
def training():
    config = TrialConfig(
        "unet", "shapes", backend=keras.backend.backend(), image_size=(64, 64), params={"filters": [8, 16, 32]}
    )
    pack = prepare_pack(config)
    indexes = choose_indexes(pack, 1.0)["train"]
    training = build_training(config, build_model(config, len(pack.classes)), pack, indexes)
    training.steps(2)  # traced and warm
    return training


def test_train_step_speed(benchmark, training):
    (loss,) = benchmark(training.steps, 1)
    assert 0 < loss < 10
