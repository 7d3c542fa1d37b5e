"""A data set whose samples are known already, and whose adapter opens it when the first sample is read."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.core.dataset_protocol import Dataset, Sample
from bench.core.errors import BenchError


class LateDataset:
    """A data set that is opened by the first question that isn't answered by what is known of it."""

    def __init__(self, open_it: Callable[[], Dataset], samples: Sequence[Sample], known: Mapping[str, Any], name: str):
        """Keep what is known: attributes of the data set by name; `samples` are those that may be read."""
        self._open, self._samples, self._known, self._name = open_it, samples, known, name
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
        """The data set; raise BenchError if it isn't as it was when its samples were listed."""
        with self._lock:
            if self._opened is None:
                self._opened = self._checked(self._open())
            return self._opened

    def _checked(self, dataset: Dataset) -> Dataset:
        found = {sample.name: (sample.files, sample.token) for sample in dataset.samples}
        if any(found.get(sample.name) != (sample.files, sample.token) for sample in self._samples):
            raise BenchError(
                f"The files of '{self._name}' changed while it was being opened. Run the same command again."
            )
        return dataset


def _same(dataset: Dataset) -> Dataset:
    return dataset
