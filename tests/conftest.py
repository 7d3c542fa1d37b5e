"""What all tests share: a cache folder of their own, and the backends that are installed."""

import importlib.util
import os
from pathlib import Path

import pytest

# Tests run on TensorFlow in this process unless told otherwise; quiet logs. Set before keras is imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BACKENDS = ("tensorflow", "jax", "torch")


def installed_backends() -> list[str]:
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def pytest_report_header() -> str:
    here = installed_backends()
    missing = [name for name in BACKENDS if name not in here]
    note = f"; NOT covered, not installed: {', '.join(missing)} (`make backends` installs them)" if missing else ""
    return f"keras backends: {', '.join(here)}{note}"


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory) -> Path:
    """Packs and plug-in answers of the tests, away from the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["SEGBENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def quick_backend() -> str:
    """The installed backend whose process starts soonest; TensorFlow's import alone takes up to 16 s."""
    return next(name for name in ("jax", "torch", "tensorflow") if name in installed_backends())
