"""Each backend works where the others are not installed."""

import json
import os
import subprocess
import sys

import pytest

from bench.core.backends import TABLE
from tests.conftest import BACKENDS

# Read by every Python process whose path it is on: there the named packages can't be found, as if not installed.
HIDE = """
import importlib.machinery

find_spec = importlib.machinery.PathFinder.find_spec
hidden = {hidden!r}


def find_others(name, path=None, target=None):
    return None if name.partition(".")[0] in hidden else find_spec(name, path, target)


importlib.machinery.PathFinder.find_spec = staticmethod(find_others)
"""
RUN = [sys.executable, "-c", "from bench.cli import main; main()", "run", "--arch", "unet", "--dataset", "shapes"]
RUN += ["--param", "filters=[4,8]", "--image-size", "32", "--batch-size", "4", "--budget", "4steps"]


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("jax", marks=pytest.mark.needs("jax")),
        *(pytest.param(b, marks=[pytest.mark.needs(b), pytest.mark.slow]) for b in ("torch", "tensorflow")),
    ],
)
def test_a_backend_trains_without_the_others(backend, tmp_path):
    others = [name for name in BACKENDS if name != backend]
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(hidden=(*others, "tensorflow_datasets", "keras_cv")))
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}

    def run(*options):
        command = [*RUN, *options, "--results", str(tmp_path / "results")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)

    done = run("--backend", backend)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (record,) = (json.loads(file.read_text()) for file in (tmp_path / "results").glob("trials/*/record.json"))
    assert (record["status"], record["config"]["backend"]) == ("ok", backend)
    refused = run("--backend", others[0])
    assert refused.returncode != 0
    assert f"The backend {others[0]} is not installed: {TABLE[others[0]].pip_line}" in " ".join(refused.stderr.split())
