"""Records as a pandas DataFrame with a row per trial; results/README.md explains the columns."""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import Any

import pandas as pd

from bench.core.trial_config import DEFAULTS, OPTIONS
from bench.profiling.host import cpu_noise
from bench.results.analysis.same_trial import drop_duplicates
from bench.results.clean_text import clean
from bench.results.loading import StoredTrial, load
from bench.results.quantities.scaling import with_scaling
from bench.results.software import software_of

CONFIG = tuple(option.column for option in OPTIONS.values())
"""Columns of the fields of a configuration."""
_CONFIG_NUMBERS = tuple(option.column for option in OPTIONS.values() if option.kind.is_number)

_TEXTS = ("status", "reason", *(c for c in CONFIG if c not in _CONFIG_NUMBERS), "data_fingerprint", "device", "key")
_TEXTS += ("evaluation_size", "configuration", "started", "finished", "memory_method", "energy_method", "sweep_end")
_TEXTS += ("process_memory_method", "search_problem", "software", "folder", "never_predicted")
_NUMBERS = (
    *("mean_iou", "dice", "f2", "pixel_accuracy", "mean_iou_per_image", "majority_class_mean_iou"),
    *("train_images_per_second", "harness_efficiency", "inference_images_per_second"),
    *("latency_ms_p50", "latency_ms_p95", "latency_ms_p99", "peak_memory_mib", "params"),
    *("train_seconds", "wall_seconds", "protocol_version", "schema_version", *_CONFIG_NUMBERS),
)
_DEVICE_NUMBERS = ("sm_clock_mhz", "memory_clock_mhz", "power_limit_watts", "temperature_c")
_OF_THE_ENVIRONMENT = ("versions", "device_before", "device_after", "peaks", "cpu_noise")  # with columns of their own
_WORST = {"others_share": max, "others_share_worst": max, "stopped_share": max, "mhz": min}
_DEFAULTS = DEFAULTS.to_dict()
_NESTED = {"iou": "iou", "dice_per_class": "dice", "f2_per_class": "f2", "tuned": "tuned"}  # name: prefix of columns


def load_results(paths: Path | str | Iterable[Path | str]) -> pd.DataFrame:
    """Load the trials of one or more results folders, with a row per trial and every column that any trial has.

    If a record has no value for a column, text columns are empty and number columns NaN. A record that can't be read
    has no row, and a path that isn't a results folder is skipped (`load` names both). A trial that is in several
    folders has one row.

    Raises:
        BenchError: no path is a results folder.
    """
    return trials_frame(drop_duplicates(load([paths] if isinstance(paths, str | Path) else paths).trials)[0])


def trials_frame(trials: Iterable[StoredTrial]) -> pd.DataFrame:
    """Make the frame of `load_results` from trials that are already loaded."""
    frame = pd.DataFrame([_row(trial) for trial in trials], dtype=object)
    first = list(dict.fromkeys((*_TEXTS, *_NUMBERS)))
    frame = frame.reindex(columns=[*first, *(c for c in frame.columns if c not in first)])
    return with_scaling(pd.DataFrame({name: _column(frame[name]) for name in frame.columns}))


def without_tuning(trials: Iterable[StoredTrial]) -> list[StoredTrial]:
    """Leave out tuning trials, which no test has scored and nothing is to be ranked by."""
    return [trial for trial in trials if trial.record.config.get("measure") != "validation"]


def _column(column: pd.Series) -> pd.Series:
    """Convert a column to numbers, or to texts as plain objects, which are sliced faster than Arrow's."""
    if column.name in _NUMBERS or (column.name not in _TEXTS and _is_numeric(column)):
        return pd.to_numeric(column, errors="coerce").astype(float)
    texts = ["" if missing else intern(str(value)) for value, missing in zip(column, column.isna(), strict=True)]
    return pd.Series(texts, column.index, dtype=object)


def _is_numeric(column: pd.Series) -> bool:
    found = column.infer_objects()
    return pd.api.types.is_numeric_dtype(found) and not pd.api.types.is_bool_dtype(found)


def _row(trial: StoredTrial) -> dict[str, Any]:
    """Flatten a record. What identifies the trial comes last, so that no metric's name can replace it."""
    record = trial.record
    return {
        **_metrics(record.metrics),
        **{f"val_{k}": v for k, v in _numbers(record.validation).items()},
        **_numbers(record.model),
        **_numbers(record.training),
        **{f"ledger_{k}_seconds": v for k, v in _numbers(record.ledger).items()},
        **_numbers(record.speed),
        **_numbers(record.memory, but=("method", "process_method", "search_problem")),
        **_numbers(record.energy, but=("method",)),
        **_environment(record.environment),
        **_dataset(record.dataset),
        "memory_method": clean(_mapping(record.memory).get("method")),
        "process_memory_method": clean(_mapping(record.memory).get("process_method")),
        "search_problem": clean(_mapping(record.memory).get("search_problem")),
        "sweep_end": clean(_mapping(record.speed).get("sweep_end")),
        "energy_method": clean(_mapping(record.energy).get("method")),
        **_config(record.config),
        **{name: clean(getattr(record, name)) for name in ("status", "reason", "device", "key", "started", "finished")},
        **{name: finite(getattr(record, name)) for name in ("wall_seconds", "protocol_version", "schema_version")},
        "repeat": finite(record.repeat),
        "configuration": clean(getattr(record, "configuration", "")),
        "software": software_of(record),
        "folder": str(trial.folder),
    }


@lru_cache(maxsize=4096)
def _name(key: str) -> str:
    return clean(key)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def finite(value: Any) -> float:
    """Return a finite number, or NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _numbers(values: Any, but: tuple[str, ...] = ()) -> dict[str, float]:
    return {_name(k): finite(v) for k, v in _mapping(values).items() if k not in but and not isinstance(v, dict | list)}


def _metrics(metrics: Any) -> dict[str, Any]:
    row: dict[str, Any] = _numbers(metrics)
    for name, prefix in _NESTED.items():
        row |= {f"{prefix}_{k}": v for k, v in _numbers(_mapping(metrics).get(name)).items()}
    missed = _mapping(metrics).get("never_predicted")
    return {**row, **({"never_predicted": ", ".join(map(clean, missed))} if isinstance(missed, list) else {})}


def _environment(environment: Any) -> dict[str, Any]:
    values = _mapping(environment)
    plain = {k: v for k, v in values.items() if k not in _OF_THE_ENVIRONMENT}
    row = {_name(k): v if isinstance(v, bool | int | float) else clean(v) for k, v in plain.items()}
    row |= {f"version_{_name(k)}": clean(v) for k, v in _mapping(values.get("versions")).items()}
    noise = _cpu_noise(_mapping(values.get("cpu_noise")))
    return {**row, **_device(values), **noise, **_peaks(_mapping(values.get("peaks")))}


def _device(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the GPU's state under load, and how many other processes used it before or then; nothing on a CPU."""
    before, after = (_mapping(environment.get(name)) for name in ("device_before", "device_after"))
    state = _numbers({k: v for k, v in after.items() if k in _DEVICE_NUMBERS})
    others = [n for n in (finite(s.get("other_processes")) for s in (before, after)) if n == n]
    if others:
        state["other_processes"] = max(others)
    reasons = after.get("throttle_reasons")
    return {**state, "throttle_reasons": ", ".join(map(clean, reasons)) if isinstance(reasons, list) else ""}


def _cpu_noise(noise: Mapping[str, Any]) -> dict[str, Any]:
    """Return how busy and how fast the CPU was in the worst of the phases that were measured; {} if not recorded."""
    phases = [_numbers(values) for name, values in noise.items() if name in cpu_noise.PHASES]
    found = {name: [p[name] for p in phases if p.get(name, math.nan) == p.get(name)] for name in _WORST}
    row: dict[str, Any] = {f"cpu_{name}": worst(found[name]) for name, worst in _WORST.items() if found[name]}
    row |= {f"cpu_{name}": finite(noise[name]) for name in ("load", "design_mhz", "limit_cores") if name in noise}
    row |= {"cpu_governor": clean(noise["governor"])} if "governor" in noise else {}
    cost = _mapping(noise.get("sampling"))
    return {**row, **({"cpu_sampling_share": finite(cost["core_share"])} if "core_share" in cost else {})}


def _peaks(peaks: Mapping[str, Any]) -> dict[str, float]:
    products = _numbers(peaks.get("matmul_tflops"))
    copy = {"peak_copy_gb_per_s": finite(peaks["copy_gb_per_s"])} if "copy_gb_per_s" in peaks else {}
    return {**{f"peak_tflops_{dtype}": value for dtype, value in products.items()}, **copy}


def _dataset(dataset: Any) -> dict[str, Any]:
    values = _mapping(dataset)
    images = {f"{k}_images": v for k, v in _numbers(values.get("images")).items()}
    return {**images, "data_fingerprint": clean(values.get("fingerprint"))}


def _config(config: Any) -> dict[str, Any]:
    """Return the fields by column; a field that the record doesn't name has its default, except the seed.

    A record of any version has a seed: without one it is damaged, and its seed is unknown.
    """
    values = {**(_DEFAULTS if config else {}), "seed": None, **_mapping(config)}
    values["builder_params"] = clean(values.pop("params", None) or None)
    values["dataset_params"] = values.get("dataset_params") or None
    for name in ("image_size", "crop"):
        size = values.get(name)
        values[name] = "x".join(map(clean, size)) if isinstance(size, list | tuple) else clean(size)
    values["init_from"] = re.split(r"[\\/]", str(values.get("init_from") or ""))[-1]  # only this machine has the folder
    row = {k: finite(values.get(k)) if k in _CONFIG_NUMBERS else clean(values.get(k)) for k in CONFIG}
    return {**row, "evaluation_size": _evaluation_size(row)}


def _evaluation_size(config: Mapping[str, Any]) -> str:
    """Return the size at which predictions were scored: the same text for trials whose scores may be compared."""
    if config["eval_size"] == "native":
        return "native"
    return config["image_size"] if config["resize"] in ("", "stretch") else f"{config['image_size']} {config['resize']}"
