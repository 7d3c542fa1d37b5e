"""A profiler's trace of some training steps, for TensorBoard with its profile plug-in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "trace"  # in the trial's folder
STEPS = 5


def write_trace(backend: str, step: Callable[[], Any], folder: Path) -> str:
    """Trace STEPS steps with the backend's own profiler; empty, or one line of why there is no trace.

    Args:
        step: one awaited training step, which has run before: compiling is not traced.
    """
    try:
        folder.mkdir(exist_ok=True)
        {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](step, folder)
    except Exception as error:  # noqa: BLE001 - no trial is lost for its trace, whatever the profiler throws
        reason = str(error).strip() or type(error).__name__
        return f"The trace was not written: {reason.splitlines()[0]}"
    return "" if any(path.is_file() for path in folder.rglob("*")) else "The trace was not written: it is empty."


def _tensorflow(step: Callable[[], Any], folder: Path) -> None:
    import tensorflow as tf

    with tf.profiler.experimental.Profile(str(folder)):
        for number in range(STEPS):
            with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
                step()


def _jax(step: Callable[[], Any], folder: Path) -> None:
    import jax

    with jax.profiler.trace(str(folder)):
        for number in range(STEPS):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                step()


def _torch(step: Callable[[], Any], folder: Path) -> None:
    from torch import profiler

    handler = profiler.tensorboard_trace_handler(str(folder))
    with profiler.profile(activities=list(profiler.supported_activities()), on_trace_ready=handler):
        for number in range(STEPS):
            with profiler.record_function(f"train {number}"):
                step()
