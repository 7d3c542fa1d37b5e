"""Download competition data by kagglehub, which downloads, resumes and verifies with the user's credentials.

downloads/kaggle-NAME/           the unpacked archives, if the competition has archives
downloads/kaggle-NAME.complete   the path of the folder with the data, written last
"""

import shutil
import zipfile
from pathlib import Path
from types import ModuleType

from bench.core.errors import BenchError
from bench.core.files import cache_folder, check_space, locked, utf8
from bench.core.specs import DatasetSpec, KaggleSource

_TOKEN_PAGE = "https://www.kaggle.com/settings"


def fetch(spec: DatasetSpec, source: KaggleSource) -> Path:
    """Return the folder with a competition's data; the first call downloads it.

    Raises:
        BenchError: kagglehub, credentials, disk space or the network is missing, or an archive is broken; the message
            tells how to get the files by hand.
    """
    folder = _folder(spec)
    if known := _known(folder):  # also in a read-only cache
        return known
    with locked(folder):
        if known := _known(folder):
            return known
        kagglehub = _library(spec, source)
        from kagglehub.config import get_cache_folder

        for place in (_existing(Path(get_cache_folder())), folder.parent):
            check_space(place, int(2.1 * source.size), f"Downloading '{spec.name}'")  # archives and their contents
        try:
            found = _unpacked(kagglehub, source, folder) if source.files else _whole(kagglehub, source)
        except Exception as error:  # network, HTTP, the competition's rules and zip each raise their own errors
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise BenchError(f"'{spec.name}' can't be downloaded from Kaggle ({lines[0]}). {source.by_hand}") from error
        folder.with_suffix(".complete").write_bytes(utf8(str(found)))
    return found


def is_here(spec: DatasetSpec, source: KaggleSource) -> bool:
    """Return whether `fetch` has nothing to download; raise BenchError if it would be unable to download."""
    if _known(_folder(spec)):
        return True
    _library(spec, source)
    return False


def _folder(spec: DatasetSpec) -> Path:
    return cache_folder("downloads") / f"kaggle-{spec.name}"


def _known(folder: Path) -> Path | None:
    try:
        name = folder.with_suffix(".complete").read_text(encoding="utf-8", errors="surrogatepass")
    except (OSError, ValueError):
        return None
    return Path(name) if name and Path(name).is_dir() else None


def _library(spec: DatasetSpec, source: KaggleSource) -> ModuleType:
    """Return the module kagglehub, after checking that it is installed and has credentials."""
    missing = f"The data set '{spec.name}' is not on this machine and can't be downloaded:"
    try:
        import kagglehub
        from kagglehub.config import get_kaggle_credentials
    except ImportError as error:
        raise BenchError(
            f"{missing} kagglehub is not installed (pip install 'segbench[kaggle]'). {source.by_hand}"
        ) from error
    try:
        credentials = get_kaggle_credentials()
    except ValueError as error:  # a broken credentials file
        raise BenchError(f"{missing} {error}. {source.by_hand}") from error
    if not credentials:
        raise BenchError(f"{missing} there are no Kaggle credentials (create them at {_TOKEN_PAGE}). {source.by_hand}")
    return kagglehub


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _whole(kagglehub: ModuleType, source: KaggleSource) -> Path:
    return Path(kagglehub.competition_download(source.competition))


def _unpacked(kagglehub: ModuleType, source: KaggleSource, folder: Path) -> Path:
    """Download and unpack the archives; zipfile compares every file with its checksum."""
    for name in source.files:
        archive = Path(kagglehub.competition_download(source.competition, path=name))
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    shutil.rmtree(folder / "__MACOSX", ignore_errors=True)  # metadata that macOS put into the archives
    return folder
