"""ImageNet weights are fetched before the first trial, so that a machine without network says so at once."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench import catalog
from bench.errors import BenchError
from bench.spec import TrialConfig

_FETCH = """
import sys, keras
from bench.architectures.backbones import feature_pyramid
feature_pyramid(keras.Input((224, 224, 3)), sys.argv[1], weights="imagenet")
"""
FETCH_SECONDS = 1800.0


def fetch_weights(config: TrialConfig) -> None:
    """Have Keras fetch the configuration's ImageNet weights, unless they stand in its cache; BenchError if it can't."""
    if config.weights == "imagenet" and config.backbone in catalog.backbones():
        _fetch(config.backbone, config.backend)


@cache
def _fetch(backbone: str, backend: str) -> None:
    if (_keras_home() / "models" / catalog.backbones().get(backbone).weights_file).is_file():
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _FETCH, backbone],
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(
            f"The ImageNet weights of {backbone} did not come within {FETCH_SECONDS:g} s. "
            "Give the path of a weights file with --weights, or train without: --weights none."
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchError(last.removeprefix("bench.errors.BenchError: "))


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
