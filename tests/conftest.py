"""The fixtures that all tests share: a separate cache folder, and the backends that a test may use."""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from hypothesis import settings

from bench.config import checks
from bench.core.backends import BACKENDS, quickest
from bench.trials.local_process import LocalExecutor

START = LocalExecutor.start
settings.register_profile("shared", deadline=None)  # a busy machine must not fail a test of properties
settings.load_profile("shared")


ROOT = Path(__file__).parents[1]


def is_installed(name: str) -> bool:
    """Look for a package anywhere but in the repository's root, whose folder `datasets` isn't Hugging Face's."""
    elsewhere = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    return PathFinder.find_spec(name, elsewhere) is not None


def installed_backends() -> list[str]:
    return [name for name in BACKENDS if is_installed(name)]


# This process runs on the first installed backend unless told otherwise; quiet logs. Set before keras is imported.
os.environ.setdefault("KERAS_BACKEND", next(iter(installed_backends()), "tensorflow"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COLUMNS", None)  # pytest-xdist sets 80; tables are as wide as in a file

EACH_BACKEND = [pytest.param(name, marks=pytest.mark.needs(name)) for name in BACKENDS]
"""The cases of `parametrize("backend", EACH_BACKEND)`: one per backend, skipped where that isn't installed."""


def pytest_report_header() -> str:
    here = installed_backends()
    missing = [name for name in BACKENDS if name not in here]
    note = f"; NOT covered, not installed: {', '.join(missing)} (`make test` installs them)" if missing else ""
    return f"keras backends: {', '.join(here)}{note}"


def needed(item: pytest.Item) -> set[str]:
    """Return the packages that a test's `needs` markers name."""
    return {name for marker in item.iter_markers("needs") for name in marker.args}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test where a package that it needs is missing, before its fixtures are set up."""
    for name in sorted(needed(item)):
        if not is_installed(name):
            pytest.skip(f"{name} is not installed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Let a test plan trials as if every backend were installed, and start them only on those that it says it needs.

    So a test that would fail where a backend is missing fails where none is missing too.
    """
    may = needed(item) | ({quickest()} if "quick_backend" in item.fixturenames else set())
    may |= set(installed_backends()) if "backends" in item.fixturenames else set()

    def start(self: LocalExecutor, folder: Path, backend: str) -> object:
        if backend not in may:
            pytest.fail(
                f"This test starts a trial on {backend}. Take the backend from the fixture `quick_backend` "
                f"or `backends`, or mark the test with @pytest.mark.needs('{backend}')."
            )
        return START(self, folder, backend)

    LocalExecutor.start = start
    checks.installed = lambda name: True


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory) -> Path:
    """Packs and plug-in answers of the tests, away from the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["SEGBENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def quick_backend() -> str:
    """The installed backend whose process starts soonest; TensorFlow's import alone takes up to 16 s."""
    return quickest()


@pytest.fixture(scope="session")
def backends() -> list[str]:
    """Return all installed backends, for a test that compares them."""
    return installed_backends()
