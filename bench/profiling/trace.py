"""Write a profiler trace of some training steps, for TensorBoard with its profile plug-in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.profiling.runtime import Runtime

FOLDER = "trace"  # in the trial's folder
STEPS = 5


def write_trace(runtime: Runtime, step: Callable[[], Any], folder: Path) -> str:
    """Trace STEPS steps with the backend's own profiler; return an empty text, or a line that says why it failed.

    Args:
        step: one awaited training step that has run before, so that compilation is not traced.
    """
    try:
        folder.mkdir(exist_ok=True)
        with runtime.profiler(folder):
            for number in range(STEPS):
                with runtime.mark_step(number):
                    step()
    except Exception as error:  # noqa: BLE001 - whatever the profiler raises, it must not lose the trial
        reason = str(error).strip() or type(error).__name__
        return f"The trace was not written: {reason.splitlines()[0]}"
    return "" if any(path.is_file() for path in folder.rglob("*")) else "The trace was not written: it is empty."
