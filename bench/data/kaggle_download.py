"""Download competition data through kagglehub, which fetches, resumes and verifies with the user's credentials.

downloads/kaggle-NAME/           the unpacked archives, where a competition has them
downloads/kaggle-NAME.complete   the folder with the data, written last
"""

import shutil
import zipfile
from pathlib import Path
from types import ModuleType

from filelock import FileLock

from bench.core.errors import BenchError
from bench.core.files import cache_folder, check_space
from bench.core.specs import DatasetSpec, KaggleSource

_TOKEN_PAGE = "https://www.kaggle.com/settings"


def fetch(spec: DatasetSpec, source: KaggleSource) -> Path:
    """Return the folder with a competition's data; the first call downloads them.

    BenchError without kagglehub, credentials, room on the disk or network, or for a broken archive: one message
    that says how to get the files by hand.
    """
    folder = _folder(spec)
    with FileLock(f"{folder}.lock"):
        if known := _known(folder):
            return known
        kagglehub = _library(spec, source)
        from kagglehub.config import get_cache_folder

        for place in (_existing(Path(get_cache_folder())), folder.parent):
            check_space(place, int(2.1 * source.size), f"Downloading '{spec.name}'")  # archives, and what is in them
        try:
            found = _unpacked(kagglehub, source, folder) if source.files else _whole(kagglehub, source)
        except Exception as error:  # the net, HTTP, the competition's rules and zip each have their own
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise BenchError(f"'{spec.name}' can't be downloaded from Kaggle ({lines[0]}). {source.by_hand}") from error
        folder.with_suffix(".complete").write_text(str(found))
    return found


def is_here(spec: DatasetSpec, source: KaggleSource) -> bool:
    """Tell whether `fetch` has nothing to download; raise BenchError if it could not download."""
    if _known(_folder(spec)):
        return True
    _library(spec, source)
    return False


def _folder(spec: DatasetSpec) -> Path:
    return cache_folder("downloads") / f"kaggle-{spec.name}"


def _known(folder: Path) -> Path | None:
    complete = folder.with_suffix(".complete")
    if not complete.exists():
        return None
    folder = Path(complete.read_text())
    return folder if folder.is_dir() else None


def _library(spec: DatasetSpec, source: KaggleSource) -> ModuleType:
    """Import kagglehub after checking that there are credentials."""
    missing = f"The data set '{spec.name}' is not on this machine, and can't be downloaded:"
    try:
        import kagglehub
        from kagglehub.config import get_kaggle_credentials
    except ImportError as error:
        raise BenchError(
            f"{missing} kagglehub is not installed (pip install 'segbench[kaggle]'). {source.by_hand}"
        ) from error
    try:
        credentials = get_kaggle_credentials()
    except ValueError as error:  # a file of credentials that is broken
        raise BenchError(f"{missing} {error}. {source.by_hand}") from error
    if not credentials:
        raise BenchError(f"{missing} there are no credentials of Kaggle ({_TOKEN_PAGE} makes them). {source.by_hand}")
    return kagglehub


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _whole(kagglehub: ModuleType, source: KaggleSource) -> Path:
    return Path(kagglehub.competition_download(source.competition))


def _unpacked(kagglehub: ModuleType, source: KaggleSource, folder: Path) -> Path:
    """Fetch and unpack the archives; zipfile compares every file with its checksum."""
    for name in source.files:
        archive = Path(kagglehub.competition_download(source.competition, path=name))
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    shutil.rmtree(folder / "__MACOSX", ignore_errors=True)  # what a Mac put into the archives
    return folder
