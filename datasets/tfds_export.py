"""Open a data set of tensorflow-datasets for library_export.py, in a child process.

The library imports TensorFlow only to read records that have no random access (its default format), and to prepare some
data sets. Images and masks keep the bytes of their files, so that every format gives the same pixels.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.datasets.library_export import Opened, Row, answer, copy, one_line
from bench.datasets.library_features import Feature


def export(**request: Any) -> dict[str, str]:
    """Write the images and masks of a data set to the folder `target`; prepare the data set first if need be."""
    return answer(_export, request)


def _export(source: str, data_dir: str | None, image: str, mask: str, target: str) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # records are read on the CPU
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise BenchError(
            f"tfds:{source} needs tensorflow-datasets ({error}): pip install tensorflow-datasets importlib-resources."
        ) from error
    builder = _builder(tfds, source, data_dir)
    _prepare(builder, source)
    copy(_opened(tfds, builder), image, mask, Path(target))


def _builder(tfds: Any, source: str, data_dir: str | None) -> Any:
    """Find the builder by its name, or the data in `data_dir`, which may be the folder of a version."""
    if data_dir and (Path(data_dir) / "features.json").exists():
        return tfds.builder_from_directory(data_dir)
    try:
        return tfds.builder(source, **({"data_dir": data_dir} if data_dir else {}))
    except Exception as error:
        name = source.partition("/")[0].partition(":")[0]
        known = tfds.list_builders(with_community_datasets=False)
        if name in known:
            raise BenchError(f"tfds:{source} can't be opened: {one_line(error)}") from error
        place = Path(data_dir or tfds.core.constants.DATA_DIR).expanduser() / name
        if place.is_dir():
            there = sorted(path.name for path in place.iterdir() if not path.name.startswith("."))
            raise BenchError(f"There is no tfds:{source}. '{place}' has: {', '.join(there) or 'nothing'}.") from error
        near = unknown_name_message("data set of tensorflow-datasets", name, known, []).replace(" Available: none.", "")
        raise BenchError(
            f"{near} It is none of the {len(known)} that the library knows, and isn't prepared in '{place.parent}' "
            "(another folder: --data-dir)."
        ) from error


def _prepare(builder: Any, source: str) -> None:
    """Download and prepare the data set unless it is prepared."""
    if builder.info.splits:
        return
    try:
        _reach(builder)
        builder.download_and_prepare()
    except Exception as error:
        raise BenchError(
            f"tfds:{source} isn't prepared in '{builder.data_dir}' and can't be downloaded: {one_line(error)} "
            "--data-dir gives the folder of one that is prepared."
        ) from error


def _reach(builder: Any) -> None:
    """Fail at once if there is no network; the library would retry for minutes."""
    import requests

    urls = [url for url in getattr(builder, "url_infos", None) or {} if url.startswith("http")]
    for host in {urlsplit(url)[:2] for url in urls[:1]}:
        requests.head("://".join(host), timeout=10)


def _opened(tfds: Any, builder: Any) -> Opened:
    features = builder.info.features

    def rows(split: str, wanted: Sequence[str]) -> Iterator[Row]:
        # The bytes of an image's file are taken as they are; floats are stored as four bytes of a PNG's pixel.
        raw = {name: tfds.decode.SkipDecoding() for name in wanted if _is_file(tfds, features[name])}
        for row in _rows(tfds, builder, split, raw):
            yield {name: row[name] for name in wanted}

    return Opened(
        title=f"tfds:{builder.info.full_name}",
        features={name: _feature(tfds, feature) for name, feature in features.items()},
        rows=rows,
        splits=list(builder.info.splits),
        bytes=int(builder.info.dataset_size or 0),
        watched=Path(builder.data_dir),
    )


def _rows(tfds: Any, builder: Any, split: str, decoders: dict[str, Any]) -> Iterator[Any]:
    """Iterate over a split in the order of its files; TensorFlow is imported if records have no random access."""
    with suppress(NotImplementedError, ValueError):
        return iter(builder.as_data_source(split, decoders=decoders))
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    read = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False, read_config=in_order)
    return iter(tfds.as_numpy(read))


def _is_file(tfds: Any, feature: Any) -> bool:
    return isinstance(feature, tfds.features.Image) and feature.np_dtype.kind != "f"


def _feature(tfds: Any, feature: Any) -> Feature:
    text = " ".join(repr(feature).split())
    if isinstance(feature, tfds.features.LabeledImage):
        return Feature("labels", text, _classes(feature))
    if isinstance(feature, tfds.features.Image):
        return Feature("image", text)
    if isinstance(feature, tfds.features.Text) or (
        type(feature).__name__ == "Scalar" and feature.np_dtype.kind in "iuO"
    ):
        return Feature("name", text)
    if type(feature) is tfds.features.Tensor and len(feature.shape) in (2, 3):
        return Feature("array", text)
    return Feature("other", text)


def _classes(feature: Any) -> dict[str, list[int]] | None:
    """Return the classes of labels; only their number may be known, and then the library names them by digits."""
    if not feature.num_classes:
        return None
    names = [f"class_{name}" if name.isdigit() else name for name in feature.names]
    return {name: [value] for value, name in enumerate(names)} if len(set(names)) == len(names) else None
