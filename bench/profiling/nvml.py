"""The GPU that this process computes on, as NVIDIA's management library tells it; any part of it may be missing.

The library comes with the driver, its Python side with the package nvidia-ml-py (`pip install 'segbench[gpu]'`). What
can't be read is an `Unreadable` with the reason, never another exception: a GPU may vanish while a trial runs.
"""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

Value = TypeVar("Value")


class Unreadable(Exception):
    """Why NVML gives no answer."""


class Nvml:
    """NVML and the first GPU that CUDA_VISIBLE_DEVICES leaves; Unreadable where there is none."""

    def __init__(self) -> None:
        self.library = _library()
        self.read("nvmlInit", with_handle=False)
        self.handle = _ask(self.library, lambda: _handle(self.library))

    def read(self, function: str, *arguments: Any, with_handle: bool = True) -> Any:
        """What a function of NVML answers; Unreadable when it raises, or when the installed version lacks it."""
        if not hasattr(self.library, function):
            raise Unreadable(f"nvidia-ml-py has no {function}")
        called = (self.handle, *arguments) if with_handle else arguments
        return _ask(self.library, lambda: getattr(self.library, function)(*called))


def _library() -> ModuleType:
    try:
        import pynvml
    except ImportError as error:
        raise Unreadable("nvidia-ml-py is not installed (pip install 'segbench[gpu]')") from error
    return pynvml


def _ask(library: ModuleType, question: Callable[[], Value]) -> Value:
    try:
        return question()
    except library.NVMLError as error:
        raise Unreadable(f"NVML: {error}") from error


def _handle(library: ModuleType) -> Any:
    """By UUID (of a GPU or of a MIG part of one) or index, as CUDA_VISIBLE_DEVICES names it."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return library.nvmlDeviceGetHandleByUUID(first)
    return library.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0)
