"""`--verify-data`: an interrupted check goes on, a finished one begins again, and facts follow what has changed."""

import os
import time

import pytest
from fakes import write_fake_airbus, write_fake_pets

from bench.config import catalog
from bench.core.files import VARIABLE
from bench.data import pack
from bench.data.facts import file_facts
from bench.data.loading.open_images import open_images
from bench.data.packing import hash_anew
from bench.data.source import open_source
from bench.datasets import mask_survey, tiles

KINDS = {"disk": "are as they were packed", "none": ""}
SIZE = (16, 16)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(file_facts, "_AT_ONCE", 1)


@pytest.fixture
def pets(tmp_path):
    return write_fake_pets(tmp_path / "pets")


@pytest.fixture
def hashed(monkeypatch):
    """The names of the samples whose files were hashed by a check; `left` is after how many it is interrupted."""
    digest, found = hash_anew.digest_of, Hashed()

    def hash_it(sample):
        if found.left == 0:
            raise KeyboardInterrupt
        found.left -= 1
        found.append(sample.name)
        return digest(sample)

    monkeypatch.setattr(hash_anew, "digest_of", hash_it)
    return found


class Hashed(list):
    left = -1


def verify(folder, kept="disk"):
    return open_images(catalog.datasets().get("pets"), SIZE, kept=kept, data_dir=folder, verify_data=True)


def interrupted(folder, hashed, kept):
    """Begin a check that is interrupted after some samples; return their names."""
    open_images(catalog.datasets().get("pets"), SIZE, kept=kept, data_dir=folder)
    hashed.left = 7
    with pytest.raises(KeyboardInterrupt):
        verify(folder, kept)
    hashed.left, names = -1, list(hashed)
    hashed.clear()
    return names


@pytest.mark.parametrize("kept", KINDS)
def test_an_interrupted_check_goes_on_and_the_next_one_begins_again(pets, hashed, kept, capfd):
    before = interrupted(pets, hashed, kept)
    verify(pets, kept)
    lost = os.cpu_count() or 1
    assert 12 - len(before) <= len(hashed) <= 12 - len(before) + 2 * lost
    said = capfd.readouterr().err
    assert "of 12 samples were hashed by a check that was interrupted" in said and KINDS[kept] in said
    hashed.clear()
    verify(pets, kept)
    assert len(hashed) == 12
    assert "interrupted" not in capfd.readouterr().err


def test_a_file_that_changes_after_it_was_hashed_by_an_interrupted_check_is_hashed_again(pets, hashed, capfd):
    first = interrupted(pets, hashed, "disk")[0]
    path = pets / "images" / f"{first}.jpg"
    change_keeping_size_and_time(path)
    verify(pets)
    assert first in hashed
    assert f"1 of its 12 samples have other files now: {first}." in capfd.readouterr().err


def test_a_check_that_was_interrupted_long_ago_begins_again(pets, hashed, monkeypatch):
    interrupted(pets, hashed, "disk")
    now = time.time
    monkeypatch.setattr(hash_anew.time, "time", lambda: now() + 2 * 24 * 3600)
    verify(pets)
    assert len(hashed) == 12


def test_a_check_whose_rest_can_not_be_removed_takes_nothing_from_it(pets, hashed, monkeypatch):
    interrupted(pets, hashed, "disk")
    now = time.time
    monkeypatch.setattr(hash_anew.time, "time", lambda: now() + 2 * 24 * 3600)
    with monkeypatch.context() as stuck:
        stuck.setattr(hash_anew.Path, "unlink", refuse)
        verify(pets)
    assert len(hashed) == 12


def refuse(path, missing_ok=False):
    raise PermissionError(13, "no", str(path))


def change_keeping_size_and_time(path):
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    time.sleep(0.02)  # longer than a tick of the file system's clock
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def noting(function, seen):
    return lambda path, *more: seen.append(path.name) or function(path, *more)


def test_a_tile_that_has_its_old_size_and_time_is_looked_at_again(tmp_path, monkeypatch):
    folder, seen, spec = write_fake_airbus(tmp_path / "airbus"), [], catalog.datasets().get("airbus")
    open_source(spec, folder)
    monkeypatch.setattr(tiles, "tile_fact", noting(tiles.tile_fact, seen))
    open_source(spec, folder)
    assert not seen
    change_keeping_size_and_time(folder / "train_v2" / "000000003.jpg")
    open_source(spec, folder)
    assert seen == ["000000003.jpg"]


def test_a_mask_that_has_its_old_size_and_time_is_looked_at_again(tmp_path, pets, monkeypatch):
    (tmp_path / "mine").mkdir()
    (pets / "images").rename(tmp_path / "mine" / "images")
    (pets / "annotations" / "trimaps").rename(tmp_path / "mine" / "masks")
    spec, folder = catalog.find_dataset(f"folder:{tmp_path / 'mine'}", None)
    open_source(spec, folder)
    seen, mask = [], next((tmp_path / "mine" / "masks").iterdir())
    monkeypatch.setattr(mask_survey, "_facts", noting(mask_survey._facts, seen))
    open_source(spec, folder)
    assert not seen
    status, content = mask.stat(), mask.read_bytes()
    time.sleep(0.02)
    mask.write_bytes(content)
    os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns))
    open_source(spec, folder)
    assert seen == [mask.name]


def test_counts_follow_a_mask_that_has_its_old_size_and_time(pets):
    spec, params = catalog.datasets().get("pets"), {"balance": 3, "sample_splits": "train"}
    open_source(spec, pets, params)
    log = next((pets.parent / "cache" / "facts").glob("counts-*.log"))
    before = log.stat().st_size
    open_source(spec, pets, params)
    assert log.stat().st_size == before
    for mask in (pets / "annotations" / "trimaps").iterdir():
        status, content = mask.stat(), mask.read_bytes()
        time.sleep(0.02)
        mask.write_bytes(content)
        os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns))
    open_source(spec, pets, params)
    assert log.stat().st_size > before


def test_both_sizes_of_a_pack_are_checked(pets, hashed):
    for size in (SIZE, (24, 24)):
        pack.prepare(catalog.datasets().get("pets"), size, data_dir=pets)
    for size in (SIZE, (24, 24)):
        pack.prepare(catalog.datasets().get("pets"), size, data_dir=pets, verify_data=True)
    assert len(hashed) == 24
