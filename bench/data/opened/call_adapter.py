"""Call a data set's adapter: to open it, or again to read samples that are known."""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.code.import_by_name import import_by_name
from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.specs import DatasetSpec


def call_adapter(spec: DatasetSpec, folder: Path | None, own: Mapping[str, Any], bands: tuple[int, ...]) -> Any:
    """Open a data set by its adapter."""
    with without_collection():
        adapter = import_by_name(spec.adapter)
        dataset = adapter(folder, **own, **({"source": spec.source} if spec.source else {}))
        return dataset.choose_bands(bands) if bands and hasattr(dataset, "choose_bands") else dataset


def call_again(
    spec: DatasetSpec, folder: Path, own: Mapping[str, Any], bands: tuple[int, ...], samples: Sequence[Sample]
) -> Any:
    """Open the data set to read samples that are known: by `reread` beside its adapter, or else by the adapter.

    Raises:
        BenchError: the files say something else of a sample now.
    """
    reread = getattr(sys.modules[import_by_name(spec.adapter).__module__], "reread", None)
    with without_collection():
        dataset = reread(folder, samples) if reread else call_adapter(spec, folder, own, bands)
        if not reread:
            found = {sample.name: (sample.files, sample.token) for sample in dataset.samples}
            dataset = None if any(found.get(s.name) != (s.files, s.token) for s in samples) else dataset
    if dataset is None:
        raise BenchError(f"The files of '{spec.name}' changed while it was being opened. Run the same command again.")
    return dataset


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause the search for garbage, which would go through a million new objects that are none again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
