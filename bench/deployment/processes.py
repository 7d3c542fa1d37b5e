"""Processes that measure: on the CPU, each with the cores that it is given."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.core.child_process import ChildEnded, ask
from bench.core.errors import BenchError
from bench.core.surroundings import usable_cores
from bench.deployment.export_run import CHILD_SECONDS
from bench.profiling.environment import cpu_device
from bench.profiling.gpu import VISIBLE
from bench.profiling.host.share import Share

_NO_GPU = {VISIBLE: "-1", "JAX_PLATFORMS": "cpu"}


def ask_process(target: str, request: dict[str, Any], backend: str | None) -> dict[str, Any]:
    """Return the answer of a function of bench/deployment/; raise BenchError if it has none."""
    try:
        (answer,) = ask(f"bench.deployment.{target}", [request], backend, CHILD_SECONDS)
    except ChildEnded as ended:
        raise BenchError(f"The process of {target.partition(':')[2]} ended: {ended}") from ended
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer


def check_threads(threads: Sequence[int]) -> None:
    """Raise BenchError unless the machine has that many cores for this process."""
    there = len(usable_cores())
    if wrong := [count for count in threads if not 1 <= count <= there]:
        raise BenchError(f"--threads is {wrong[0]}. Accepted: 1 to {there}, the cores of this process.")


@contextmanager
def without_gpu() -> Iterator[None]:
    """Let processes that are started inside see no GPU, so that Keras runs where the files run."""
    before = {name: os.environ.get(name) for name in _NO_GPU}
    os.environ.update(_NO_GPU)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def cores(count: int) -> Iterator[str]:
    """Let processes that are started inside use that many cores only; yield the name of this device."""
    there = usable_cores()
    share = Share(tuple(there[:count]), len(there), 1)
    with share.starting():
        yield cpu_device(share)
