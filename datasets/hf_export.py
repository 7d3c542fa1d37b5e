"""Open a data set of Hugging Face's `datasets` for library_export.py, in a child process.

This is the only file that imports the library. Its name is that of a folder of this repository, so that the repository
must not be on the path.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bench
from bench.core.errors import BenchError
from bench.datasets.library_export import Opened, Row, answer, copy, one_line
from bench.datasets.library_features import Feature
from bench.datasets.library_folders import HF_SAVED

_ID2LABEL = "id2label.json"  # value -> name of the class, as people put it beside their masks


def export(**request: Any) -> dict[str, str]:
    """Write the images and masks of a data set to the folder `target`; download the data set first if need be."""
    return answer(_export, request)


def _export(source: str, data_dir: str | None, config: str, image: str, mask: str, target: str) -> None:
    library = _library()
    folder = Path(data_dir) if data_dir else None
    local = folder if folder and (_is_saved(folder) or folder.name == source.rpartition("/")[2]) else None
    try:
        found = _load(library, str(local or source), config, None if local else folder)
    except Exception as error:
        raise BenchError(f"hf:{source} can't be opened: {_advice(error, local)}") from error
    splits = dict(found) if isinstance(found, library.DatasetDict) else {str(found.split or "all"): found}
    classes = _id2label(source, local)
    copy(_opened(library, f"hf:{source}", splits, classes, local), image, mask, Path(target))


def _library() -> Any:
    """Import Hugging Face's library, wherever this process was started."""
    root = Path(bench.__file__).resolve().parents[1]
    sys.path = [entry for entry in sys.path if Path(entry).resolve() != root]
    try:
        import datasets  # noqa: TID251
    except ImportError as error:
        raise BenchError(f"hf: needs Hugging Face's datasets ({error}): pip install 'segbench[hf]'.") from error
    datasets.disable_progress_bars()
    return datasets


def _is_saved(folder: Path) -> bool:
    return any((folder / name).exists() for name in HF_SAVED)


def _load(library: Any, source: str, config: str, cache: Path | None) -> Any:
    if _is_saved(Path(source)):
        return library.load_from_disk(source)
    return library.load_dataset(source, config or None, cache_dir=str(cache) if cache else None)


def _advice(error: Exception, local: Path | None) -> str:
    """Write the library's message in one line, with what the user can do."""
    text = one_line(error)
    if "onfig name is missing" in text or "BuilderConfig" in text:
        return f"{text} Say which with --dataset-param config=NAME."
    if local:
        return f"{text} '{local}' must have been written by save_to_disk, or be a copy of the data set's repository."
    return (
        f"{text} hf:PATH reads a data set on disk, and --data-dir gives Hugging Face's cache if it isn't in its place."
    )


def _id2label(source: str, local: Path | None) -> dict[str, list[int]] | None:
    """Read the names of the classes from the file that many data sets have beside their images."""
    file = local / _ID2LABEL if local else _fetched(source)
    if not file or not file.is_file():
        return None
    classes: dict[str, list[int]] = {}
    try:
        for value, name in json.loads(file.read_text(encoding="utf-8-sig")).items():
            classes.setdefault(str(name), []).append(int(value))
    except (ValueError, AttributeError) as error:
        raise BenchError(f"{file}: it isn't a table of values and names ({error}).") from error
    return dict(sorted(classes.items(), key=lambda entry: min(entry[1])))


def _fetched(source: str) -> Path | None:
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(source, _ID2LABEL, repo_type="dataset"))
    except Exception:  # noqa: BLE001 - the repository has no such file, or can't be reached: then there are no names
        return None


def _opened(
    library: Any, title: str, splits: Mapping[str, Any], classes: dict[str, list[int]] | None, local: Path | None
) -> Opened:
    first = next(iter(splits.values()))

    def rows(split: str, wanted: Sequence[str]) -> Iterator[Row]:
        table = splits[split].select_columns(list(dict.fromkeys(wanted)))
        for name in wanted:
            if isinstance(table.features[name], library.Image):
                table = table.cast_column(name, library.Image(decode=False))
        for row in table:
            yield {name: _value(row[name]) for name in wanted}

    return Opened(
        title=title,
        features={name: _feature(library, feature, classes) for name, feature in first.features.items()},
        rows=rows,
        splits=list(splits),
        bytes=sum(int(table.dataset_size or 0) for table in splits.values()),
        watched=local,
    )


def _value(value: Any) -> Any:
    """Return the bytes of an image's file where the library gives them or a path; anything else as it is."""
    if not isinstance(value, dict) or not {"bytes", "path"} <= set(value):
        return value
    if value["bytes"] is not None:
        return value["bytes"]
    return Path(value["path"]).read_bytes() if value["path"] else None


def _feature(library: Any, feature: Any, classes: dict[str, list[int]] | None) -> Feature:
    text = " ".join(repr(feature).split())
    if isinstance(feature, library.Image):
        return Feature("image", text, classes)
    if isinstance(feature, library.Value):
        return Feature("name" if feature.dtype in ("string", "large_string", "int32", "int64") else "other", text)
    inner = _elements(feature)
    if inner is not None:
        names = getattr(inner, "names", None)
        return Feature("array", text, {name: [value] for value, name in enumerate(names)} if names else classes)
    return Feature("other", text)


def _elements(feature: Any) -> Any:
    """Return what a feature of two or three dimensions is made of; None for any other."""
    if type(feature).__name__ in ("Array2D", "Array3D"):
        return feature
    for _ in range(2):
        if isinstance(feature, list):
            feature = feature[0]
        elif not hasattr(feature, "feature"):
            return None
        else:
            feature = feature.feature
    return feature if hasattr(feature, "dtype") and not hasattr(feature, "feature") else None
