"""Download, verify and unpack archives by tensorflow-datasets' download manager.

Only its manager is used, not its decoded records: the data set's adapter reads the same files as with --data-dir, so
pixels and splits don't depend on how the data was obtained.

    downloads/HASHES/            the contents of the archives, in one folder; `.complete` is written last
    downloads/HASHES.archives/   the downloaded archives, until all of them are unpacked
"""

import shutil
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import cache_folder, check_space, locked
from bench.core.specs import DatasetSpec
from bench.data import kaggle_download

_COMPLETE = ".complete"


def fetch(spec: DatasetSpec) -> Path:
    """Return the folder with a data set's unpacked archives; the first call downloads them.

    Competition data comes from Kaggle.

    Raises:
        BenchError: the data set can't be downloaded (it needs --data-dir then), tensorflow-datasets is not
            installed, there is no network, or a checksum is wrong.
    """
    if spec.kaggle:
        return kaggle_download.fetch(spec, spec.kaggle)
    if not spec.archives:
        raise BenchError(
            f"The data set '{spec.name}' can't be downloaded. Get it from {spec.homepage or 'its publishers'} "
            "and give its folder with --data-dir."
        )
    root = cache_folder("downloads")
    folder = root / "-".join(sha256[:8] for _, _, sha256 in spec.archives)  # data sets may share archives
    if (folder / _COMPLETE).exists():  # also in a read-only cache
        return folder
    with locked(folder):
        if not (folder / _COMPLETE).exists():
            archives = folder.with_name(f"{folder.name}.archives")
            _gather(_download(spec, archives), folder)
            shutil.rmtree(archives)
    return folder


def _download(spec: DatasetSpec, archives: Path) -> list[Path]:
    """Download, verify and unpack the archives, and return the folders; complete archives from earlier are reused."""
    for part in archives.glob("*.tmp.*"):  # a partial file from an interrupted run
        shutil.rmtree(part)
    # The archives, their unpacked contents, and a little for the file system's blocks.
    check_space(archives.parent, int(2.2 * sum(size for _, size, _ in spec.archives)), f"Downloading '{spec.name}'")
    urls = [url for url, _, _ in spec.archives]
    try:
        _reach(urls[0])
        return [Path(path) for path in _manager(spec, archives).download_and_extract(urls)]
    except ImportError as error:
        raise BenchError(
            f"Downloading '{spec.name}' needs tensorflow-datasets ({error}); install it with "
            f"`pip install tensorflow-datasets`. {_by_hand(spec)}"
        ) from error
    except Exception as error:  # network, HTTP, TLS, checksums and tar each raise their own errors
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise BenchError(f"The archives of '{spec.name}' can't be downloaded ({lines[0]}). {_by_hand(spec)}") from error


def _reach(url: str) -> None:
    """Fail at once if there is no network; the manager would retry for minutes."""
    import requests  # the manager uses it too, so proxies and certificates are the same

    requests.head(url, timeout=10)


def _manager(spec: DatasetSpec, archives: Path) -> Any:
    """Make the download manager, with the size and checksum that each archive must have."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo

    infos = {url: UrlInfo(size=size, checksum=sha, filename=Path(url).name) for url, size, sha in spec.archives}
    return tfds.download.DownloadManager(download_dir=archives, url_infos=infos, force_checksums_validation=True)


def _by_hand(spec: DatasetSpec) -> str:
    urls = " and ".join(url for url, _, _ in spec.archives)
    return f"Or get {urls}, unpack into one folder and give it with --data-dir."


def _gather(unpacked: list[Path], folder: Path) -> None:
    """Move the archives' contents into one folder, and mark it complete at the end."""
    folder.mkdir(exist_ok=True)
    for archive in unpacked:
        for item in archive.iterdir():
            shutil.rmtree(folder / item.name, ignore_errors=True)  # left by an interrupted run
            shutil.move(item, folder / item.name)
    (folder / _COMPLETE).touch()
