"""Initial weights that are the same on every backend, and the trainings that start from them."""

import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from bench import api
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.training.models.initial_weights import shared_draws
from tests.architecture_contract import small_cases
from tests.conftest import installed_backends

SCRIPT = Path(__file__).with_name("shared_weights_checks.py")


def draw(initializer, shape):
    return keras.ops.convert_to_numpy(initializer(shape))


def test_every_initializer_keeps_its_distribution():
    shape = (3, 3, 40, 60)  # 21,600 numbers: a mean is known to about 0.7 % of the standard deviation
    fan_in, fan_out = 9 * 40, 9 * 60
    with shared_draws():
        glorot = draw(keras.initializers.GlorotUniform(seed=1), shape)
        he = draw(keras.initializers.HeNormal(seed=1), shape)
        normal = draw(keras.initializers.RandomNormal(mean=2.0, stddev=0.5, seed=1), shape)
        cut = draw(keras.initializers.TruncatedNormal(stddev=0.02, seed=1), shape)
        turned = draw(keras.initializers.Orthogonal(seed=1), (8, 8))
    limit = math.sqrt(6 / (fan_in + fan_out))
    assert np.abs(glorot).max() <= limit and glorot.std() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert he.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.02)  # Keras widens it for what the cut takes
    assert (normal.mean(), normal.std()) == pytest.approx((2.0, 0.5), rel=0.02)
    assert np.abs(cut).max() <= 0.04 and cut.std() == pytest.approx(0.8796 * 0.02, rel=0.02)  # cut at two sigma
    np.testing.assert_allclose(turned @ turned.T, np.eye(8), atol=1e-5)


def test_the_same_seed_draws_the_same_and_another_does_not():
    with shared_draws():
        one, again, other = (draw(keras.initializers.GlorotUniform(seed=s), (4, 5)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_afterwards_keras_draws_as_before():
    before = draw(keras.initializers.GlorotUniform(seed=1), (4, 5))
    with pytest.raises(RuntimeError), shared_draws():
        assert not np.array_equal(draw(keras.initializers.GlorotUniform(seed=1), (4, 5)), before)
        raise RuntimeError
    np.testing.assert_array_equal(draw(keras.initializers.GlorotUniform(seed=1), (4, 5)), before)


@cache
def checks(backend, *names):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *names],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(SCRIPT.parents[1])},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_agreement(names):
    first, *others = (checks(backend, *names) for backend in installed_backends())
    if not others:
        pytest.skip("only one backend is installed")
    for other in others:
        for name in names:
            assert other[name]["weights"] == pytest.approx(first[name]["weights"], rel=1e-6), name
            assert other[name]["loss"] == pytest.approx(first[name]["loss"], rel=1e-5), name


@pytest.mark.slow
def test_every_backend_starts_from_the_same_weights_and_has_the_same_first_loss():
    assert_agreement(["unet:small"])


@pytest.mark.slow
def test_every_family_starts_the_same_on_every_backend():
    assert_agreement([c.name for c in small_cases() if not any(map(c.lacks, installed_backends()))])


@pytest.mark.slow
def test_one_grid_over_all_backends_ends_within_the_noise_of_seeds(tmp_path, backends):
    seeds = (0, 1, 2)
    small = {"image_size": (64, 64), "batch_size": 8, "params": {"filters": [8, 16, 32]}, "initial_weights": "shared"}
    configs = [
        TrialConfig("unet", "shapes", backend=backend, seed=seed, budget=Budget(200, "steps"), **small)
        for backend in backends
        for seed in seeds
    ]
    records = api.run(configs, results=tmp_path)
    assert [record.status for record in records] == ["ok"] * len(configs)
    score = {(r.config["backend"], r.config["seed"]): r.metrics["mean_iou"] for r in records}
    noise = np.std([[score[backend, seed] for seed in seeds] for backend in backends], axis=1, ddof=1).mean()
    means = [np.mean([score[backend, seed] for seed in seeds]) for backend in backends]
    # Means of three seeds differ by chance by sigma * sqrt(2 / 3); three times that is beyond chance.
    assert np.ptp(means) < max(3 * noise * math.sqrt(2 / len(seeds)), 0.01)
    for seed in seeds:
        losses = [r.training["first_loss"] for r in records if r.config["seed"] == seed]
        assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-5)
