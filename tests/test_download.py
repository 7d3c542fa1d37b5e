"""Downloads: the real manager with a local server, and every way in which it can fail."""

import functools
import hashlib
import http.server
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_pets

from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import DatasetSpec
from bench.data import download, pack
from bench.datasets import DATASETS

PETS = DATASETS[0]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path) -> Path:
    return write_fake_pets(tmp_path / "pets")


@pytest.fixture
def served(tmp_path, pets):
    """The spec of `pets` with archives that a server on this machine has."""
    web = tmp_path / "web"
    web.mkdir()
    for part in ("images", "annotations"):
        with tarfile.open(web / f"{part}.tar.gz", "w:gz") as tar:
            tar.add(pets / part, part)
    handler = functools.partial(QuietHandler, directory=str(web))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        archives = [(f"{url}/{path.name}", path.stat().st_size, sha256(path)) for path in sorted(web.iterdir())]
        yield replace(PETS, archives=tuple(archives))
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.needs("tensorflow_datasets")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorflow-datasets' own imports
def test_a_download_reads_the_same_pixels_and_splits_as_the_folder(served, pets, cache):
    by_net = pack.prepare(served, (16, 16))
    by_hand = pack.prepare(served, (16, 16), data_dir=pets)

    assert by_net.fingerprint == by_hand.fingerprint
    assert by_net.splits == by_hand.splits
    np.testing.assert_array_equal(by_net.images, by_hand.images)
    np.testing.assert_array_equal(by_net.labels, by_hand.labels)
    assert not list(cache.glob("downloads/*.archives"))


@pytest.mark.needs("tensorflow_datasets")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_wrong_checksum_is_an_error_that_says_how_to_go_on(served):
    url, size, sha = served.archives[0]
    wrong = replace(served, archives=((url, size, sha[::-1]), *served.archives[1:]))

    with pytest.raises(BenchError, match=r"wrong checksum.*--data-dir"):
        download.fetch(wrong)


@pytest.fixture
def manager(pets, tmp_path, monkeypatch):
    """A manager that needs no server."""
    fake = FakeManager(pets, tmp_path / "unpacked")
    monkeypatch.setattr(download, "_manager", fake)
    monkeypatch.setattr(download, "_reach", lambda url: None)
    return fake


def test_the_second_fetch_downloads_nothing(manager):
    assert download.fetch(PETS) == download.fetch(PETS)
    assert manager.calls == [[url for url, _, _ in PETS.archives]]


def test_a_download_broken_off_is_finished_by_the_next_fetch(manager, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(download.shutil, "move", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download.fetch(PETS)

    folder = download.fetch(PETS)
    assert len(list((folder / "images").iterdir())) == 12
    assert (folder / "annotations" / "trainval.txt").is_file()


@pytest.mark.needs("tensorflow_datasets")
def test_no_network_is_an_error_at_once_that_says_how_to_go_on():
    # Nobody listens at port 1 of this machine.
    offline = replace(PETS, archives=(("http://127.0.0.1:1/images.tar.gz", 5, "0" * 64),))
    begin = time.perf_counter()
    with pytest.raises(BenchError, match=r"'pets' can't be downloaded.*images\.tar\.gz.*--data-dir"):
        download.fetch(offline)
    assert time.perf_counter() - begin < 15  # the manager alone retries for minutes


def test_without_tensorflow_datasets_the_error_says_how_to_go_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setattr(download, "_reach", lambda url: None)
    with pytest.raises(BenchError, match=r"pip install tensorflow-datasets.*--data-dir"):
        download.fetch(PETS)


def test_a_data_set_without_archives_asks_for_a_folder():
    spec = DatasetSpec("mine", "x:y", ("a", "b"), homepage="https://example.org")
    with pytest.raises(BenchError, match=r"'mine' can't be downloaded.*example\.org.*--data-dir"):
        download.fetch(spec)


def test_too_little_disk_is_said_before_downloading(monkeypatch):
    usage = type("Usage", (), {"free": 10**9})
    monkeypatch.setattr("bench.core.files.shutil.disk_usage", lambda path: usage)
    with pytest.raises(BenchError, match=r"needs 1\.7 GiB .*0\.9 GiB are free"):  # 2.2 x 811,092,049 bytes
        download.fetch(PETS)


def interrupt(*args):
    raise KeyboardInterrupt


class FakeManager:
    """A manager that unpacks the parts of a folder instead of archives; once, like the real one."""

    def __init__(self, source: Path, target: Path):
        self.source, self.target = source, target
        self.calls: list[list[str]] = []

    def __call__(self, spec, archives):
        archives.mkdir(exist_ok=True)
        return self

    def download_and_extract(self, urls):
        self.calls.append(urls)
        for part in ("images", "annotations"):
            (self.target / part).mkdir(parents=True, exist_ok=True)
            if len(self.calls) == 1:
                (self.source / part).rename(self.target / part / part)
        return [self.target / "images", self.target / "annotations"]
