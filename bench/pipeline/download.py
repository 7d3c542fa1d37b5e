"""Archives fetched and verified by tensorflow-datasets' download manager, unpacked as their publishers made them.

Only the archives are taken from there, not its decoded records: the data set's adapter reads the same
files as with --data-dir, so pixels and splits don't depend on the way that the data came.
"""

import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.errors import BenchError
from bench.pipeline.cache import cache_folder, check_space
from bench.spec import DatasetSpec

_COMPLETE = ".complete"


def fetch(spec: DatasetSpec) -> Path:
    """The folder with a data set's unpacked archives, downloaded at the first call.

    BenchError when the data set can't be downloaded (it needs --data-dir then), when
    tensorflow-datasets is not installed, without network, or when a checksum is wrong.
    """
    if not spec.archives:
        raise BenchError(
            f"The data set '{spec.name}' can't be downloaded. Get it from {spec.homepage or 'its publishers'} "
            "and give its folder with --data-dir."
        )
    root = cache_folder("downloads")
    folder = root / spec.archives
    with FileLock(f"{folder}.lock"):
        if not (folder / _COMPLETE).exists():
            _download(spec, root, folder)
    return folder


def _download(spec: DatasetSpec, root: Path, folder: Path) -> None:
    builder, manager_class = _tensorflow_datasets(spec)
    url_infos = builder.url_infos
    # The archives, what they unpack to, and a little for the file system's blocks.
    check_space(root, int(2.2 * sum(int(info.size) for info in url_infos.values())), f"Downloading '{spec.name}'")
    try:
        manager = manager_class(
            download_dir=root / "archives",
            dataset_name=spec.archives,
            url_infos=url_infos,
            force_checksums_validation=True,
        )
        unpacked = manager.download_and_extract(list(url_infos))
    except Exception as error:  # the net, HTTP, TLS, checksums and tar each have their own
        reason = str(error).strip().splitlines()
        raise BenchError(
            f"The archives of '{spec.name}' can't be downloaded ({reason[0] if reason else type(error).__name__}). "
            f"Get {' and '.join(url_infos)}, unpack them into one folder and give it with --data-dir."
        ) from error
    _gather([Path(path) for path in unpacked], folder)


def _gather(unpacked: list[Path], folder: Path) -> None:
    """Move what the archives hold into one folder, and mark it complete at the end."""
    folder.mkdir(exist_ok=True)
    for archive in unpacked:
        for item in archive.iterdir():
            shutil.rmtree(folder / item.name, ignore_errors=True)  # of a run that was broken off
            shutil.move(item, folder / item.name)
        archive.rmdir()  # the manager would take an empty folder for unpacked
    (folder / _COMPLETE).touch()


def _tensorflow_datasets(spec: DatasetSpec) -> tuple[Any, Any]:
    """The builder that knows URLs and checksums, and the download manager's class."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise BenchError(
            f"Downloading '{spec.name}' needs tensorflow-datasets (pip install tensorflow-datasets). "
            f"Or get the data from {spec.homepage} and give its folder with --data-dir."
        ) from error
    return tfds.builder_cls(spec.archives), tfds.download.DownloadManager
