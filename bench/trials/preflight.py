"""Build models before trials to get parameters and stages and to check weights; fetch ImageNet weights.

Building a model needs keras, so a child process does it (children/model.py), on the backend that starts soonest. The
cache folder keeps its answers, by the question, the architectures' source code and the versions of their packages.
"""

import functools
import importlib.metadata
import importlib.util
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import architectures, profiling
from bench.architectures.outside import check_installed
from bench.config import catalog
from bench.core.backends import quickest
from bench.core.child_process import ChildEnded, ask
from bench.core.code.import_by_name import plugin_hash
from bench.core.errors import BenchError
from bench.core.files import answer_path, file_hash, recall, remember, text_hash
from bench.core.specs import ArchitectureSpec
from bench.core.trial_config import DEFAULTS, TrialConfig
from bench.trials.trained_input.stored_values import with_bands_of_data

CHILD_SECONDS = 1800.0
NUM_CLASSES = 3  # of the models that are built here
_UNEXPECTED = "The model can't be built: "
_BUILDERS = ("keras", "keras-cv", "keras-hub")


def check_models(configs: Sequence[TrialConfig]) -> None:
    """Raise BenchError if weights don't fit or `unfreeze_from` is no layer; build nothing where neither is given."""
    chosen = [config for config in configs if config.unfreeze_from is not None or Path(config.weights).is_file()]
    for answer in _answers("check", chosen):
        _only([answer])


def check_weights_files(configs: Sequence[TrialConfig]) -> None:
    """Raise BenchError if a weights file is no HDF5 file or is cut off; whether it fits takes a model to say."""
    for path in dict.fromkeys(Path(config.weights) for config in configs if not config.plugin):
        if not path.is_file() or zipfile.is_zipfile(path):  # Keras's own format is a ZIP archive
            continue
        import h5py  # only where there is a file: it takes a quarter of a second

        try:
            h5py.File(path, "r").close()
        except OSError as error:
            raise BenchError(
                f"The weights file '{path}' can't be read ({str(error).strip().splitlines()[0]}). Accepted: none, "
                "imagenet or the path of an HDF5 file of keras.applications (include_top=False)."
            ) from error


def fetch_weights(config: TrialConfig) -> None:
    """Have Keras fetch the configuration's ImageNet weights unless they are cached; raise BenchError if it can't."""
    if config.weights == "imagenet" and config.backbone in catalog.backbones():
        _fetch(config.backbone, config.backend)


@functools.cache
def _fetch(backbone: str, backend: str) -> None:
    if (_keras_home() / "models" / catalog.backbones().get(backbone).weights_file).is_file():
        return
    try:
        _only(ask("bench.trials.children.model:fetch_weights", [{"backbone": backbone}], backend, CHILD_SECONDS))
    except ChildEnded as ended:
        raise BenchError(
            f"The ImageNet weights of {backbone} can't be fetched: {ended}. "
            "Give the path of a weights file with --weights, or train from random weights with --weights none."
        ) from ended


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def summaries(configs: Sequence[TrialConfig], *, own_classes: bool = False) -> list[dict[str, Any]]:
    """Return each model's `params`, `trainable_params` and, if they can be counted, `gflops` per image (forward pass).

    Args:
        own_classes: give each model the classes and the bands of its data set, not as many as all others.

    A model that can't be built has the reason under `error` instead.
    """
    configs = [with_bands_of_data(config) for config in configs] if own_classes else configs
    lacks = [_lack(catalog.architecture(config), config.backbone) for config in configs]
    there = [config for config, lack in zip(configs, lacks, strict=True) if not lack]
    answers = iter(_answers("summary", there, own_classes=own_classes))
    return [{"error": lack} if lack else next(answers) for lack in lacks]


def _lack(spec: ArchitectureSpec, backbone: str | None) -> str:
    """Say why the architecture can't be built on this machine with the backbone; empty if it can."""
    needs = {spec.name: spec.package}
    if backbone and backbone in catalog.backbones():
        needs[backbone] = catalog.backbones().get(backbone).package
    try:
        for name, package in needs.items():
            if package:
                check_installed(name, package)
    except BenchError as error:
        return str(error)
    if quickest(spec.backends):
        return ""
    return f"{spec.name} runs only with {' or '.join(spec.backends)}, which is not installed."


def diagram(config: TrialConfig) -> dict[str, Any]:
    """Return what `summaries` does for one model, and its `stages` (name, stride, channels, layers, params)."""
    return _only(_answers("diagram", [config]))


def plot(config: TrialConfig, file: Path) -> None:
    """Write Keras's drawing of the model; raise BenchError if pydot or graphviz is missing."""
    missing = [*(["pydot"] if importlib.util.find_spec("pydot") is None else [])]
    missing += ["graphviz (the program dot)"] if shutil.which("dot") is None else []
    if missing:
        raise BenchError(
            f"A drawing needs {' and '.join(missing)}. Install pydot with pip install pydot, and graphviz with the "
            "system's package manager, such as apt-get install graphviz."
        )
    _only(_ask("plot", [config], file=str(file.resolve())))


def _only(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the only answer; raise BenchError if it is an error."""
    (answer,) = answers
    if "error" in answer:
        raise BenchError(f"{_UNEXPECTED if 'unexpected' in answer else ''}{answer['error']}")
    return answer


def _answers(kind: str, configs: Sequence[TrialConfig], *, own_classes: bool = False) -> list[dict[str, Any]]:
    """Return one answer per configuration, from the cache or from one child process per backend."""
    kept = [_kept(kind, config, own_classes=own_classes) for config in configs]
    answers: dict[Path, dict[str, Any]] = {path: recall(path) for path in kept}
    missing = {path: config for path, config in zip(kept, configs, strict=True) if answers[path] is None}
    by_backend = sorted(missing.items(), key=lambda item: _backend(item[1]))
    for _, group in groupby(by_backend, key=lambda item: _backend(item[1])):
        paths, some = zip(*group, strict=True)
        answers |= zip(paths, _ask(kind, some, own_classes=own_classes), strict=True)
    for path in missing:
        if "unexpected" not in answers[path]:  # such as too little memory, which may be free the next time
            remember(path, answers[path])
    return [answers[path] for path in kept]


def _ask(
    kind: str, configs: Sequence[TrialConfig], *, own_classes: bool = False, **values: str
) -> list[dict[str, Any]]:
    counts = [_classes(config, own=own_classes) for config in configs]
    requests = [{"config": c.to_dict(), "num_classes": n, **values} for c, n in zip(configs, counts, strict=True)]
    try:
        return ask(f"bench.trials.children.model:{kind}", requests, _backend(configs[0]), CHILD_SECONDS)
    except ChildEnded as ended:
        raise BenchError(f"{_UNEXPECTED}{ended}") from ended


def _backend(config: TrialConfig) -> str:
    """Choose the installed backend that starts soonest among those that the architecture runs with."""
    return quickest(catalog.architecture(config).backends) or config.backend


def _classes(config: TrialConfig, *, own: bool) -> int:
    return catalog.dataset(config).num_classes if own else NUM_CLASSES


def _kept(kind: str, config: TrialConfig, *, own_classes: bool) -> Path:
    """Return the path of the answer in the cache."""
    values: dict[str, Any] = {name: config.to_dict()[name] for name in ("arch", "backbone", "params")}
    values["image_size"], values["bands"] = list(config.input_size), config.bands
    values |= {"kind": kind, "sources": _sources(), "plugin": config.plugin and plugin_hash(config.plugin)}
    values["weights"] = file_hash(config.weights) if Path(config.weights).is_file() else config.weights
    values["unfreeze_from"] = config.unfreeze_from
    if config.head != DEFAULTS.head:
        values["head"] = config.head
    if (classes := _classes(config, own=own_classes)) != NUM_CLASSES:
        values["classes"] = classes
    return answer_path("models", json.dumps(values, sort_keys=True))


@functools.cache
def _sources() -> str:
    """Hash everything that affects the answers besides the question."""
    files = [
        *sorted(Path(architectures.__file__).parent.glob("*.py")),
        Path(__file__).with_name("children") / "model.py",
        Path(profiling.__file__).with_name("flops.py"),
    ]
    versions = [f"{name} {_version(name)}" for name in _BUILDERS]
    return text_hash("\n".join([*map(file_hash, files), *versions]))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
