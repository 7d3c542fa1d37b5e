"""`model.json`: what a program must know of an exported file to use it, and from what it was made."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import __version__
from bench.core.backends import TABLE
from bench.core.files import file_hash
from bench.core.trial_config import TrialConfig
from bench.data.reading.values import LIMITS as LIMITS_OF_VALUES
from bench.data.reading.values import Values
from bench.deployment.format import LIMITS, Format
from bench.results.loading import StoredTrial

MANIFEST, EXAMPLE = "model.json", "example.py"


def manifest(
    trial: StoredTrial, config: TrialConfig, form: Format, precision: str, made: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Describe the variant in a folder.

    Args:
        made: the answer of the process that converted it.
    """
    record = trial.record
    tuned = record.metrics.get("tuned") or {}
    height, width = made["input_shape"][1:3]
    tiled = (height, width) != tuple(config.image_size)
    return {
        "format": form.name,
        "precision": precision,
        "file": form.file,
        "files": {path.relative_to(folder).as_posix(): _described(path) for path in _files(folder)},
        "input": {
            "name": made.get("input"),
            "shape": made["input_shape"],
            "dtype": made["dtype"],
            "layout": "NHWC",
            **_pixels(Values.from_dict(record.dataset.get("values"))),
            "normalisation": "inside the graph",
        },
        "output": {"name": made.get("output"), "dtype": "float32", "layout": "NHWC", "values": "logits"},
        "classes": list(record.dataset["classes"]),
        "image_size": list(config.image_size),
        "resize": config.resize,
        "eval_size": config.eval_size,
        "tiles": {"size": [height, width], "overlap": 0.25} if tiled else None,
        "threshold": tuned.get("threshold"),
        "min_area": tuned.get("min_area"),
        "check": {
            "images": made["checked"],
            "drift": made["drift"],
            "limit": LIMITS.get(precision),
            "computed_in": made["computes"],
        },
        "calibration": {"split": "train", "images": made["calibration"]} if made["calibration"] else None,
        "opset": made.get("opset"),
        "source": _source(trial),
        "versions": _versions(form),
    }


def _pixels(values: Values) -> dict[str, Any]:
    """Describe the bands of the input, and how stored values become those of the input."""
    if values.is_plain:
        return {"channels": "RGB", "range": [0, 255]}
    return {
        "channels": values.bands,
        "range": [0, int(LIMITS_OF_VALUES[values.dtype.name])],
        "values": values.to_dict(),
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, EXAMPLE))


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _source(trial: StoredTrial) -> dict[str, Any]:
    record = trial.record
    config = {name: record.config.get(name) for name in ("arch", "backbone", "dataset", "seed", "backend")}
    weights = {"weights_sha256": file_hash(trial.weights)} if trial.weights else {}
    return {"run": trial.folder.name, **config, "fingerprint": record.dataset.get("fingerprint"), **weights}


def _versions(form: Format) -> dict[str, str]:
    found = {"segbench": __version__}
    for name in ("keras", *TABLE[form.backend].libraries, *form.needs.values()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # of a package that was installed under another name
            continue
    return found
