"""Measure the device's peaks with matrix products and a copy, and compute the share that a model reaches (MFU).

Peaks are measured once for each device, backend, version and set of environment variables that matter, and kept in the
cache folder. Datasheets promise more than any program reaches (bfloat16 on an H200: 989 TFLOP/s promised, about 790
measured). On a busy machine the measured peaks are too low. They are measured again when a model exceeds them or when
the machine is far less busy, and the greater value is kept.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from bench.core.backends import TABLE
from bench.core.files import answer_path, recall, remember
from bench.profiling.clock.timing import seconds_of, seconds_since
from bench.profiling.environment import VARIABLES, versions
from bench.profiling.runtime import Runtime

METHOD = "best of square matrix products of 512 to 8192; x + 1 over up to 256 MiB, read and written"
SIZES = (512, 1024, 2048, 4096, 8192)
LONGEST_SECONDS = 0.05  # of one call; no larger size is tried after it, which spares CPUs
SECONDS = 1.0  # of all calls; no larger size is tried after it
BATCH_SECONDS = 0.02  # length of a batch of calls that are awaited together
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}  # precision: peak
BUSY = 1.5  # load per core, this process included; peaks above it are measured again once the load has halved
TRAINING = 3  # a training step counts as so many forward passes


def measured_peaks(runtime: Runtime, device: str, precision: str, *, again: bool = False) -> dict[str, Any]:
    """Return `matmul_tflops` by dtype, `copy_gb_per_s`, `load` and `method`, from the cache if measured before.

    Args:
        precision: its dtype is measured in addition to float32 and bfloat16.
        again: measure even if the cache has peaks; the greater of the old and new values is kept.
    """
    dtypes = dict.fromkeys(("float32", "bfloat16", DTYPES[precision]))
    packages = {
        name: version for name, version in versions().items() if name in (*TABLE[runtime.name].libraries, "keras")
    }
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    question = json.dumps([device, runtime.name, packages, variables, METHOD])
    path = answer_path("peaks", question)
    old: dict[str, Any] = recall(path) or {"matmul_tflops": {}, "copy_gb_per_s": 0.0}
    known, load = old["matmul_tflops"], round(load_per_core(), 2)
    again = again or not known or old.get("load", 0.0) > max(BUSY, 2 * load)
    wanted = [dtype for dtype in dtypes if again or dtype not in known]
    if not wanted:
        return old
    products = {dtype: round(_matmul(runtime, dtype) / 1e12, 6) for dtype in wanted}
    peaks = {
        "matmul_tflops": {**known, **{dtype: max(new, known.get(dtype, 0.0)) for dtype, new in products.items()}},
        "copy_gb_per_s": max(round(_copy(runtime) / 1e9, 3), old["copy_gb_per_s"]) if again else old["copy_gb_per_s"],
        "load": load if again else max(load, old.get("load", 0.0)),
        "method": METHOD,
    }
    remember(path, peaks)
    return peaks


def load_per_core() -> float:
    """Return the load per core over the last minute; 0 if the system doesn't count it."""
    return os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0


def shares(
    speed: Mapping[str, Any], gflops: float | None, precision: str, peaks: Mapping[str, Any]
) -> dict[str, float]:
    """Compute `train_mfu` and `inference_mfu`: operations per second over the measured peak; none if a part is unknown.

    Args:
        gflops: those of a forward pass of one image.
    """
    peak = peaks["matmul_tflops"][DTYPES[precision]]
    work = {"train_mfu": ("train_images_per_second", TRAINING), "inference_mfu": ("inference_images_per_second", 1)}
    return {
        name: passes * gflops * 1e9 * speed[rate] / (peak * 1e12)
        for name, (rate, passes) in work.items()
        if gflops and peak and speed.get(rate)
    }


def _matmul(runtime: Runtime, dtype: str) -> float:
    """Measure FLOP/s at several sizes and return the greatest."""
    product, started, best = runtime.compile(keras.ops.matmul), time.perf_counter(), 0.0
    for size in SIZES:
        matrix = keras.ops.convert_to_tensor(_random_matrix(size), dtype=dtype)
        seconds = _fastest(partial(product, matrix), matrix)
        best = max(best, 2 * size**3 / seconds)
        if seconds > LONGEST_SECONDS or seconds_since(started) > SECONDS:
            break
    return best


def _random_matrix(size: int) -> np.ndarray:
    """Make a random float32 matrix whose powers stay bounded; equal numbers would flatter a GPU at its power limit."""
    return np.random.default_rng(0).standard_normal((size, size), np.float32) / np.float32(np.sqrt(size))


def _copy(runtime: Runtime) -> float:
    """Measure the bytes/s that are read and written with the largest array tried; a small one would fit in a cache."""
    function, started = runtime.compile(lambda x: x + 1), time.perf_counter()
    for side in (2048, 4096, 8192):
        seconds = _fastest(function, keras.ops.zeros((side, side), "float32"))
        rate = 2 * 4 * side**2 / seconds
        if seconds > LONGEST_SECONDS or seconds_since(started) > SECONDS:
            break
    return rate


def _fastest(function: Callable[[Any], Any], start: Any) -> float:
    """Time calls that each take the previous result; return the seconds of one call in the fastest of three batches."""

    def run(count: int) -> None:
        value = start
        for _ in range(count):
            value = function(value)
        keras.ops.convert_to_numpy(keras.ops.cast(value[:1, :1], "float32"))  # waits on every backend

    run(1)
    once = seconds_of(lambda: run(1))
    count = max(1, min(200, int(BATCH_SECONDS / once)))
    return min([once, *(seconds_of(lambda: run(count)) / count for _ in range(3))])
