"""A data set of very many files: what takes long is announced, shown, kept as it goes, and done once.

The slow tests do with 50,000 links to the excerpt's tiles what the others do with 900 links to drawn ones.
"""

import os
import random
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from excerpts import EXCERPTS, needs
from fakes import write_fake_airbus, write_table
from typer.testing import CliRunner

from bench import cli
from bench.core.files import VARIABLE
from bench.data.facts import file_facts
from bench.data.opened import folder_state, question
from bench.data.packing.room import needed_bytes
from bench.datasets import airbus, tiles
from bench.datasets.rle_table import read_table

TABLE = "train_ship_segmentations_v2.csv"
Calls = namedtuple("Calls", "tiles tables")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def calls(monkeypatch):
    """What was looked at: the names of tiles, and tables."""
    found = Calls([], [])
    monkeypatch.setattr(tiles, "tile_fact", _noting(tiles.tile_fact, found.tiles))
    monkeypatch.setattr(airbus, "read_table", _noting(airbus.read_table, found.tables))
    return found


def _noting(function, seen):
    return lambda path, *more: seen.append(path.name) or function(path, *more)


def linked(source: Path, folder: Path, count: int) -> Path:
    """Write so many links to the tiles of a set, with a table in which one in five has ships."""
    names = sorted(path for path in (source / "train_v2").iterdir())
    ships = [row.text for rows in read_table(source / TABLE, "ImageId", "EncodedPixels").values() for row in rows]
    ships, dice = [text for text in ships if text], random.Random(0)
    (folder / "train_v2").mkdir(parents=True)
    rows = []
    for number in range(count):
        name = f"{number:09x}.jpg"
        os.symlink(names[number % len(names)].resolve(), folder / "train_v2" / name)
        rows += [(name, dice.choice(ships)) for _ in range(dice.randint(1, 3))] if number % 5 == 0 else [(name, "")]
    write_table(folder / TABLE, ("ImageId", "EncodedPixels"), rows)
    return folder


@pytest.fixture(params=[pytest.param(900, id="drawn"), pytest.param(50_000, id="excerpt", marks=pytest.mark.slow)])
def many(request, tmp_path):
    """The folder, and its number of tiles."""
    if request.param == 900:
        source = write_fake_airbus(tmp_path / "few")
    elif (EXCERPTS / "airbus").is_dir():
        source = EXCERPTS / "airbus"
    else:
        pytest.skip(f"there is no excerpt in {EXCERPTS}")
    return linked(source, tmp_path / "airbus", request.param), request.param


def bench(*arguments):
    result = CliRunner().invoke(cli.app, [*map(str, arguments)], catch_exceptions=False)
    return result.exit_code, " ".join((result.output + result.stderr).split())


def dry_run(folder, *more):
    data = ("--dataset", "airbus", "--data-dir", folder)
    return bench("run", "--arch", "unet", *data, "--results", folder / "results", "--dry-run", *more)


PART = ("--dataset-param", "balance_ships=3")  # whose pack is small


def prepare(folder, *more):
    return bench("prepare", "airbus", "--data-dir", folder, "--image-size", 16, *PART, *more)


def test_a_dry_run_looks_at_a_few_files_and_says_what_is_to_come(many, calls):
    folder, count = many
    code, output = dry_run(folder)
    assert code == 0, output
    seen = len(calls.tiles)
    assert 0 < seen <= file_facts._SAMPLE
    assert calls.tables == [TABLE]
    assert "airbus: comparing tiles comes first: about" in output
    assert f"for {count - seen:,} files" in output
    assert f"airbus: {count:,} images are decoded to 128x128: about" in output
    assert "GiB are free" in output
    assert prepare(folder)[0] == 0
    assert len(calls.tiles) == len(set(calls.tiles)) == count
    code, output = dry_run(folder)
    assert "comparing" not in output
    assert len(calls.tiles) == count


def test_a_command_opens_the_data_set_once_and_a_later_one_not_at_all(many, calls, monkeypatch):
    monkeypatch.setattr(question, "FEWEST", 0)
    monkeypatch.setattr(folder_state, "SETTLED_NS", -(10**18))  # the links were made a moment ago
    folder, count = many
    assert prepare(folder, "--image-size", "16,24")[0] == 0
    assert len(calls.tiles) == count
    assert len(calls.tables) <= 2  # once to see what is left to do, and once when that is done
    calls.tables.clear()
    assert prepare(folder, "--image-size", "16,24")[0] == 0
    assert dry_run(folder, "--image-size", 16, *PART)[0] == 0
    assert calls.tables == []
    assert len(calls.tiles) == count


KILLED = """
import os, signal, sys
from bench import cli
from bench.datasets import tiles
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
make, left, end = tiles.tile_fact, [int(sys.argv.pop(1))], getattr(signal, sys.argv.pop(1))
def killing(path):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), end)
    return make(path)
tiles.tile_fact = killing
cli.app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_what_was_compared_before_a_kill_isn_t_compared_again(many, calls, name):
    folder, count = many
    after = count * 2 // 3
    command = ("prepare", "airbus", "--data-dir", folder, "--image-size", "16")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(after), name, *command], capture_output=True)
    assert ended.returncode == (-9 if name == "SIGKILL" else 130)
    assert prepare(folder)[0] == 0
    lost = file_facts._AT_ONCE * (os.cpu_count() or 1)
    assert count - after <= len(calls.tiles) <= count - after + lost


def test_a_disk_without_room_is_told_before_anything_takes_long(many, calls, monkeypatch):
    folder, count = many
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(2**40, 2**40, count * 4 * 64 * 64))
    code, output = bench("prepare", "airbus", "--data-dir", folder, "--image-size", 256)
    assert code == 2
    assert len(calls.tiles) <= file_facts._SAMPLE
    for advised in ("--image-size, such as 32", "balance_ships=N", "empty_fraction=F", VARIABLE):
        assert advised in output
    size = ("--image-size", 256)
    code, output = dry_run(folder, *size)
    assert code == 0
    assert "That doesn't fit: so they are decoded whenever they are needed (--pack none), or give a smaller" in output
    assert "That doesn't fit: give a smaller --image-size, such as 32" in dry_run(folder, *size, "--pack", "disk")[1]
    assert "are decoded to 256x256" not in dry_run(folder, *size, "--pack", "none")[1]


def test_the_check_for_room_counts_what_the_cache_keeps_of_the_files(many, calls, monkeypatch):
    folder, count = many
    usage, needed = namedtuple("usage", "total used free"), needed_bytes(count, (16, 16))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(2**40, 2**40, needed + 2**20))
    code, output = bench("prepare", "airbus", "--data-dir", folder, "--image-size", 16)
    assert code == 2 and "that are kept of their files, needs" in output and "balance_ships=N" in output
    assert len(calls.tiles) <= file_facts._SAMPLE


@needs("airbus")
def test_the_excerpt_s_tiles_are_all_different_places_but_for_two():
    paths = sorted((EXCERPTS / "airbus" / "train_v2").iterdir())
    assert len(set(tiles.overlapping(paths))) == len(paths) - 1
    assert np.frombuffer(tiles.tile_fact(paths[0]), np.uint64, 9).all()
