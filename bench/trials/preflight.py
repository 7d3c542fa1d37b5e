"""What must be built to be known: parameters, stages, whether weights fit.

Building a model needs keras, so a child process does it (children/model.py), on the backend that starts soonest. Its
answers are kept in the cache folder, by the question, the sources of the architectures and the versions behind them.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import architectures, profiling
from bench.architectures.outside import check_installed
from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import cache_folder, file_hash, write_atomically
from bench.core.specs import ArchitectureSpec, TrialConfig

CHILD_SECONDS = 1800.0
NUM_CLASSES = 3  # of the models that are described
_QUICKEST = ("torch", "jax", "tensorflow")  # to import and to build layer by layer
_BUILDERS = ("keras", "keras-cv", "keras-hub")


def check_model(config: TrialConfig) -> None:
    """BenchError when the weights file doesn't fit, or `unfreeze_from` is no layer; builds nothing where neither is."""
    if config.unfreeze_from is not None or Path(config.weights).is_file():
        (answer,) = _answers("check", [config])
        if "error" in answer:
            raise BenchError(answer["error"])


def summaries(configs: Sequence[TrialConfig]) -> list[dict[str, Any]]:
    """`params`, `trainable_params` and `gflops` (of a forward pass of one image, if countable) of each model.

    A model that can't be built has its reason under `error` instead.
    """
    lacks = [_lack(catalog.architecture(config)) for config in configs]
    answers = iter(_answers("summary", [config for config, lack in zip(configs, lacks, strict=True) if not lack]))
    return [{"error": lack} if lack else next(answers) for lack in lacks]


def _lack(spec: ArchitectureSpec) -> str:
    """Why the architecture can't be built on this machine at all; empty where it can."""
    try:
        if spec.package:
            check_installed(spec.name, spec.package)
    except BenchError as error:
        return str(error)
    if any(map(importlib.util.find_spec, spec.backends)):
        return ""
    return f"{spec.name} runs with {' or '.join(spec.backends)} only, and that is not installed."


def diagram(config: TrialConfig) -> dict[str, Any]:
    """As `summaries`, and `stages`: name, stride, channels, layers, params of each. BenchError where that fails."""
    (answer,) = _answers("diagram", [config])
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer


def plot(config: TrialConfig, file: Path) -> None:
    """Write Keras's drawing of the model; BenchError where pydot or graphviz are missing."""
    missing = [*(["pydot"] if importlib.util.find_spec("pydot") is None else [])]
    missing += ["graphviz (the program dot)"] if shutil.which("dot") is None else []
    if missing:
        raise BenchError(
            f"A drawing needs {' and '.join(missing)}. Install: pip install pydot, and graphviz with the system's "
            "package manager, such as apt-get install graphviz."
        )
    answer = _ask("plot", [config], file=str(file.resolve()))[0]
    if "error" in answer:
        raise BenchError(answer["error"])


def _answers(kind: str, configs: Sequence[TrialConfig]) -> list[dict[str, Any]]:
    """An answer a configuration, from the cache or from one child process a backend."""
    kept = [_kept(kind, config) for config in configs]
    missing = {path: config for path, config in zip(kept, configs, strict=True) if not path.is_file()}
    by_backend = sorted(missing.items(), key=lambda item: _backend(item[1]))
    for _, group in groupby(by_backend, key=lambda item: _backend(item[1])):
        paths, some = zip(*group, strict=True)
        for path, answer in zip(paths, _ask(kind, some), strict=True):
            with write_atomically(path) as part:
                part.write_text(json.dumps(answer))
    return [json.loads(path.read_text()) for path in kept]


def _ask(kind: str, configs: Sequence[TrialConfig], **values: str) -> list[dict[str, Any]]:
    requests = [
        {"kind": kind, "values": {"config": config.to_dict(), "num_classes": NUM_CLASSES, **values}}
        for config in configs
    ]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": _backend(configs[0])}
    command = [sys.executable, "-m", "bench.trials.children.model", json.dumps(requests)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, env=environment)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"Building the models took longer than {CHILD_SECONDS:g} s.") from error
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise BenchError(f"The model can't be built: {last}")
    return [json.loads(line) for line in child.stdout.splitlines()]


def _backend(config: TrialConfig) -> str:
    """The installed backend that starts soonest and that the architecture runs with."""
    accepted = catalog.architecture(config).backends
    return next((b for b in _QUICKEST if b in accepted and importlib.util.find_spec(b)), config.backend)


def _kept(kind: str, config: TrialConfig) -> Path:
    """Where the answer stands in the cache, or will."""
    values: dict[str, Any] = {name: config.to_dict()[name] for name in ("arch", "backbone", "params")}
    values["image_size"] = list(config.input_size)
    values |= {"kind": kind, "sources": _sources(), "plugin": config.plugin and file_hash(config.plugin)}
    values["weights"] = file_hash(config.weights) if Path(config.weights).is_file() else config.weights
    values["unfreeze_from"] = config.unfreeze_from
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return cache_folder("models") / f"{digest[:24]}.json"


@functools.cache
def _sources() -> str:
    """A hash of what decides the answers beside the question."""
    files = [
        *sorted(Path(architectures.__file__).parent.glob("*.py")),
        Path(__file__).with_name("children") / "model.py",
        Path(profiling.__file__).with_name("flops.py"),
    ]
    versions = [f"{name} {_version(name)}" for name in _BUILDERS]
    return hashlib.sha256("\n".join([*map(file_hash, files), *versions]).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


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
        raise BenchError(last.removeprefix("bench.core.errors.BenchError: "))


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
