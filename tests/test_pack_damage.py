"""A pack that isn't as it was written, or isn't the one that is asked for, is made again, with a line."""

import errno
import json
import os
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_pets
from typer.testing import CliRunner

from bench.cli import app
from bench.core.errors import BenchError
from bench.core.files import VARIABLE, UnwritableCache
from bench.data import pack
from bench.data.packing import checksums, manifest
from bench.data.packing.manifest import DATA_FILES, IMAGES, LABELS, MANIFEST
from bench.data.packing.packed import Pack
from bench.datasets import DATASETS

PETS, BINARY, AIRBUS = (next(s for s in DATASETS if s.name == name) for name in ("pets", "pets-binary", "airbus"))
SIZE = (24, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def ships(tmp_path) -> Path:
    return write_fake_airbus(tmp_path / "airbus", ships=(0, 1, 2, 0, 1, 0, 3, 1, 0, 2, 0, 0))


@pytest.fixture
def pets(tmp_path) -> Path:
    return write_fake_pets(tmp_path / "pets")


def content(made: Pack) -> list[bytes]:
    return [(made.path / name).read_bytes() for name in DATA_FILES]


def flip(path: Path, bits: int, seed: int) -> None:
    """Flip that many bits of a file, and give it the time that it had."""
    data, status = bytearray(path.read_bytes()), path.stat()
    for place in random.Random(seed).sample(range(8 * len(data)), bits):
        data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# Files


@pytest.mark.parametrize("bits", [1, 2, 1000])
@pytest.mark.parametrize("name", DATA_FILES)
def test_flipped_bits_are_noticed_wherever_they_are(ships, capfd, name, bits):
    made = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    before, seed = content(made), random.SystemRandom().randrange(10**6)
    flip(made.path / name, bits, seed)
    capfd.readouterr()
    again = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    assert content(again) == before, f"seed {seed}"
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and f"is made again: its {name} is damaged" in lines[0], lines
    pack.prepare(AIRBUS, SIZE, data_dir=ships)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", DATA_FILES)
def test_a_file_of_zeros_or_with_more_at_its_end_is_noticed(ships, name):
    made = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    before = content(made)
    for harmed in (bytes((made.path / name).stat().st_size), (made.path / name).read_bytes() + b"\0"):
        (made.path / name).write_bytes(harmed)
        assert content(pack.prepare(AIRBUS, SIZE, data_dir=ships)) == before


@pytest.mark.parametrize("together", [1, 2, 64])
def test_the_line_counts_the_blocks_that_are_damaged(pets, capfd, monkeypatch, together):
    monkeypatch.setattr(checksums, "BLOCK", 1000)
    monkeypatch.setattr(checksums, "_PART", together)
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    size = (made.path / LABELS).stat().st_size  # 12 x 24 x 32 = 9,216
    with (made.path / LABELS).open("r+b") as file:
        file.seek(1999)
        file.write(b"\7\7")  # the last byte of the second block and the first of the third
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert f"labels.u8 is damaged (2 of {-(-size // 1000)} blocks" in capfd.readouterr().err


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 4000, 4001])
@pytest.mark.parametrize("together", [1, 2, 64])
def test_a_file_has_the_checksums_of_the_array_that_it_maps(tmp_path, monkeypatch, size, together):
    monkeypatch.setattr(checksums, "BLOCK", 1000)
    monkeypatch.setattr(checksums, "_PART", together)
    array = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    (tmp_path / "file").write_bytes(array.tobytes())
    found = checksums.of_file(tmp_path / "file")
    assert found == checksums.of_array(array) == [zlib.crc32(array[i : i + 1000]) for i in range(0, size, 1000)]


def test_a_disk_that_can_not_be_read_counts_as_damage(pets, capfd, monkeypatch):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    before = content(made)
    opened = Path.open

    def broken(path, mode="r", *args, **kwargs):
        if path.name == IMAGES and path.parent == made.path and mode == "rb":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, mode, *args, **kwargs)

    with monkeypatch.context() as bad:
        bad.setattr(Path, "open", broken)
        pack.prepare(PETS, SIZE, data_dir=pets)
    assert "its images.u8 can't be read (Input/output error)" in capfd.readouterr().err
    assert content(pack.prepare(PETS, SIZE, data_dir=pets)) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("name", [MANIFEST, *DATA_FILES])
def test_a_fifo_in_a_pack_is_not_waited_for(pets, capfd, name):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    before = content(made)
    (made.path / name).unlink()
    os.mkfifo(made.path / name)
    assert content(pack.prepare(PETS, SIZE, data_dir=pets)) == before
    assert f"is made again: its {name} can't be read" in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
@pytest.mark.parametrize("ending", ["", ".part"])
@pytest.mark.parametrize("kind", ["file", "FIFO", "broken link", "link"])
def test_whatever_stands_where_a_pack_is_to_be_makes_room(pets, tmp_path, kind, ending):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    before, other = content(made), tmp_path / "other"
    made.path.rename(tmp_path / "moved")
    place = made.path.with_name(made.path.name + ending)
    if kind == "file":
        place.touch()
    elif kind == "FIFO":
        os.mkfifo(place)
    else:
        place.symlink_to(other)
    if kind == "link":
        other.mkdir()
        (other / MANIFEST).write_text("the user's")
    assert content(pack.prepare(PETS, SIZE, data_dir=pets)) == before
    assert not made.path.is_symlink()
    assert kind != "link" or (other / MANIFEST).read_text() == "the user's"


def test_a_pack_on_another_disk_may_be_linked_to(pets, tmp_path, capfd):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    made.path.rename(tmp_path / "disk")
    made.path.symlink_to(tmp_path / "disk")
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert made.path.is_symlink() and "made again" not in capfd.readouterr().err


def make_read_only(monkeypatch):
    def read_only(path):
        raise UnwritableCache(path, OSError(errno.EROFS, os.strerror(errno.EROFS)))

    monkeypatch.setattr(pack, "locked", read_only)


def test_a_damaged_pack_of_a_cache_that_can_not_be_written_is_refused(pets, monkeypatch):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    make_read_only(monkeypatch)
    assert pack.prepare(PETS, SIZE, data_dir=pets).fingerprint == made.fingerprint
    flip(made.path / LABELS, 3, seed=0)
    with pytest.raises(BenchError, match=r"can't be written.*SEGBENCH_CACHE.*its labels.u8 is damaged"):
        pack.prepare(PETS, SIZE, data_dir=pets)


# The manifest

CHANGES = {
    "fingerprint": "0123456789abcdef",
    "image_size": [32, 24],
    "label_pixels": [[0] * 256] * 3,
    "original_sizes": [[40, 50]] * 11,
    "truth_offsets": [0] * 13,
    "digests": ["0" * 64] * 12,
    "labelled_splits": [],
    "duplicates": ["none"],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_was_changed_is_not_believed(pets, capfd, name):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    before, path = (made.path / MANIFEST).read_bytes(), made.path / MANIFEST
    values = json.loads(before)
    for changed in ({**values, name: CHANGES[name]}, {key: value for key, value in values.items() if key != name}):
        capfd.readouterr()
        path.write_bytes(before.partition(b"\n")[0] + b"\n" + json.dumps(changed).encode()[1:])
        pack.prepare(PETS, SIZE, data_dir=pets)
        assert path.read_bytes() == before
        assert "is made again: its manifest.json " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("fingerprint", "0123456789abcdef", "its fingerprint is another one"),
        ("digests", ["0" * 64] * 12, "its fingerprint is another one"),
        ("digests", ["0" * 64] * 11, "its fingerprint is another one"),
        ("image_size", [32, 24], "it has another image size"),
        ("aspect", "crop", "its images were resized in another way"),
        ("dataset", "shapes", "it is of another data set"),
        ("stamps", [], "source files have changed"),
        ("adapter_hash", "0" * 16, "the code that reads the data has changed"),
        ("format", 3, "another version of segbench wrote it"),
    ],
)
def test_a_whole_manifest_of_another_pack_is_not_believed(pets, capfd, name, value, said):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    before = (made.path / MANIFEST).read_bytes()
    values = json.loads(before)
    del values["sha256"]
    manifest.write_manifest(made.path / MANIFEST, {**values, name: value})
    again = pack.prepare(PETS, SIZE, data_dir=pets)
    assert (again.path / MANIFEST).read_bytes() == before and again.fingerprint == made.fingerprint
    assert f"is made again: {said}." in capfd.readouterr().err


def test_the_folder_of_another_pack_is_not_believed(pets, tmp_path):
    made, binary = pack.prepare(PETS, SIZE, data_dir=pets), pack.prepare(BINARY, SIZE, data_dir=pets)
    before = content(made)
    for name in (*DATA_FILES, MANIFEST):
        (made.path / name).write_bytes((binary.path / name).read_bytes())
    assert content(pack.prepare(PETS, SIZE, data_dir=pets)) == before


# While it is in use


def test_a_pack_that_is_damaged_while_it_is_in_use_is_noticed_at_the_end(ships):
    for name in DATA_FILES:
        made = pack.prepare(AIRBUS, SIZE, data_dir=ships)
        made.check_unchanged()
        flip(made.path / name, 1, seed=1)
        with pytest.raises(BenchError, match=f"was damaged while it was in use \\({name}: 1 of 1 blocks"):
            made.check_unchanged()


def test_a_pack_that_is_copied_back_or_replaced_while_it_is_in_use_stays_right(ships):
    made = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    truths = [made.truth(row).copy() for row in range(12)]
    for name in DATA_FILES:
        os.utime(made.path / name, ns=(0, 0))
    made.check_unchanged()
    os.utime(ships / "train_ship_segmentations_v2.csv", ns=(0, 0))
    (ships / "train_v2" / "000000003.jpg").touch()
    flip(made.path / MANIFEST, 1, seed=0)
    pack.prepare(AIRBUS, SIZE, data_dir=ships)  # writes other files in the place of these
    made.check_unchanged()
    assert all(np.array_equal(made.truth(row), truth) for row, truth in enumerate(truths))


# The sources


def change_keeping_size_and_time(path: Path) -> None:
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_sources_that_changed_with_size_and_time_kept_are_named_and_read_again(pets, capfd):
    before = pack.prepare(PETS, SIZE, data_dir=pets)
    change_keeping_size_and_time(pets / "images" / "beagle_4.jpg")
    calls = []
    after = pack.prepare(PETS, SIZE, data_dir=pets, verify_data=True, progress=lambda *counts: calls.append(counts))
    assert after.fingerprint != before.fingerprint
    assert "1 of its 12 samples have other files now: beagle_4." in capfd.readouterr().err
    assert calls == [(n, 12) for n in range(1, 13)]  # decoded
    assert pack.prepare(PETS, SIZE, data_dir=pets).fingerprint == after.fingerprint


def test_sources_are_also_verified_if_the_cache_can_not_be_written(pets, monkeypatch, capfd):
    pack.prepare(PETS, SIZE, data_dir=pets)
    make_read_only(monkeypatch)
    pack.prepare(PETS, SIZE, data_dir=pets, verify_data=True)
    assert "The files of all 12 samples are as they were packed." in capfd.readouterr().err
    change_keeping_size_and_time(pets / "images" / "beagle_4.jpg")
    with pytest.raises(BenchError, match=r"can't be used: 1 of its 12 samples have other files now: beagle_4\."):
        pack.prepare(PETS, SIZE, data_dir=pets, verify_data=True)


def test_many_changed_sources_are_counted(tmp_path, capfd):
    pets = write_fake_pets(tmp_path / "many", count=20)
    pack.prepare(PETS, SIZE, data_dir=pets)
    for path in (pets / "images").glob("*.jpg"):
        change_keeping_size_and_time(path)
    pack.prepare(PETS, SIZE, data_dir=pets, verify_data=True)
    line = capfd.readouterr().err
    assert "20 of its 20 samples" in line and line.endswith(" and 10 more.\n")


def bench(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_commands_verify_data(pets, tmp_path):
    command = ("prepare", "pets", "--data-dir", pets, "--image-size", 32, "--verify-data")
    assert bench(*command).exit_code == 0
    assert "The files of all 12 samples are as they were packed." in bench(*command).stderr
    change_keeping_size_and_time(pets / "annotations" / "trimaps" / "beagle_2.png")
    answer = bench(*command)
    assert "beagle_2" in answer.stderr and "Traceback" not in answer.output


@pytest.mark.parametrize(
    "words",
    [
        ("prepare", "shapes", "--verify-data", "--check"),
        ("prepare", "shapes", "--verify-data", "--export-masks", "x"),
        ("run", "--arch", "unet", "--dataset", "shapes", "--verify-data", "--dry-run"),
    ],
)
def test_verifying_without_a_pack_is_refused(words):
    answer = bench(*words)
    assert answer.exit_code == 2 and "--verify-data" in answer.output
