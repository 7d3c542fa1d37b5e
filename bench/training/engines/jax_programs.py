"""The programs that JAX compiles while a model is built, kept in segbench's cache for other processes.

Initial weights are drawn by a program for each shape, 88 for U-Net on MobileNetV2, which XLA takes 9 s to compile on
two cores and 3 s to load. Training and prediction are never among them, so the time and memory of their compilation
are measured as they are.
"""

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from bench.core.errors import BenchError
from bench.core.files import cache_folder, name_part


@contextmanager
def keep_programs() -> Iterator[None]:
    """Keep what is compiled inside, and load what is kept; do neither if the cache can't be written."""
    settings: Any = jax.config  # which has its names at run time only
    places = {
        "jax_compilation_cache_dir": _folder(),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    if not places["jax_compilation_cache_dir"] or settings.jax_compilation_cache_dir:
        yield
        return
    before = {name: getattr(settings, name) for name in places}
    with warnings.catch_warnings():  # JAX warns of a damaged entry, and compiles the program again
        warnings.filterwarnings("ignore", message=".*persistent compilation cache.*")
        _set(places)
        try:
            yield
        finally:
            _set(before)


def _set(values: dict[str, Any]) -> None:
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # which it has decided on once and for all otherwise


def _folder() -> str:
    """Return the folder of this machine's programs; empty if it can't be written."""
    try:
        folder = cache_folder("programs") / name_part(platform.node())
        folder.mkdir(exist_ok=True)
    except (BenchError, OSError):
        return ""
    return str(folder) if os.access(folder, os.W_OK) else ""
