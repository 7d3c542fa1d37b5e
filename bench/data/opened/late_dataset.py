"""A data set whose samples are known already, and whose adapter opens it when the first sample is read."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from bench.core.dataset_protocol import Dataset


class LateDataset:
    """A data set that is opened by the first question that isn't answered by what is known of it."""

    def __init__(self, open_it: Callable[[], Dataset], known: Mapping[str, Any]):
        """Keep how it is opened, and what is known of it: attributes by name."""
        self._open, self._known = open_it, known
        self._opened: Dataset | None = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python's own questions, as when it is copied
            raise AttributeError(name)
        return self._known[name] if name in self._known else getattr(self.opened, name)

    def __reduce__(self) -> tuple[Callable[[Dataset], Dataset], tuple[Dataset]]:
        """Send the data set itself to other processes."""
        return _same, (self.opened,)

    @property
    def opened(self) -> Dataset:
        """The data set, which is opened once."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened


def _same(dataset: Dataset) -> Dataset:
    return dataset
