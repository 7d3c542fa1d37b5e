"""A trial's process opens what its run has opened: from one file, without the data set's own."""

import json
import os
import random
import shutil
from dataclasses import fields

import numpy as np
import pytest
from fakes import WRITERS, write_fake_pets

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.trial_config import TrialConfig
from bench.data import pack
from bench.data.opened import table_file
from bench.data.opened.planned import keep_opened, reopened
from bench.data.packing.manifest import DATA_FILES, MANIFEST
from bench.trials import plan

SIZE = (16, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(params=WRITERS)
def config(request, tmp_path):
    """A configuration with a small data set of each adapter."""
    folder = WRITERS[request.param](tmp_path / request.param)
    name = f"folder:{folder}" if request.param == "folder" else request.param
    given = None if request.param == "folder" else str(folder)
    return catalog.resolve_config(TrialConfig("unet", name, data_dir=given, image_size=SIZE))


@pytest.fixture
def pets(tmp_path):
    return write_fake_pets(tmp_path / "pets")


def packed(folder, size=SIZE):
    return pack.prepare(catalog.datasets().get("pets"), size, data_dir=folder)


def same(one, other):
    """Tell whether two packs are equal in every field."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def test_a_trial_opens_what_was_planned_without_the_files_it_was_made_from(config, tmp_path, capfd):
    prepared = plan.prepare_pack(config)
    opened = keep_opened(prepared)
    (folder,) = [path for path in tmp_path.iterdir() if path.name != "cache"]
    folder.rename(tmp_path / "elsewhere")
    found = plan.read_planned(config, prepared.fingerprint, opened)
    assert type(found) is type(prepared) and same(found, prepared)
    assert capfd.readouterr().err == ""


def test_a_file_is_written_once_and_again_when_what_it_says_has_changed(pets, tmp_path):
    made = packed(pets)
    path = keep_opened(made)
    before = os.stat(path).st_ino
    assert keep_opened(packed(pets)) == path and os.stat(path).st_ino == before
    picture = next((pets / "images").iterdir())
    shutil.copy(picture, pets / "images" / "in_no_list.jpg")  # which a note tells
    again = packed(pets)
    assert again.notes != made.notes
    assert keep_opened(again) == path and os.stat(path).st_ino != before
    assert same(reopened(path, made.fingerprint), again)


def test_another_pack_is_never_taken_for_the_planned_one(pets, tmp_path):
    made = packed(pets)
    path = keep_opened(made)
    assert reopened(path, "0" * 16) is None
    shutil.copy(path, tmp_path / "old.arrow")
    other = write_fake_pets(tmp_path / "other", seed=1)
    shutil.rmtree(pets)
    other.rename(pets)
    changed = packed(pets)
    assert changed.path == made.path and changed.fingerprint != made.fingerprint
    assert reopened(path, made.fingerprint) is None  # it went with its pack
    shutil.copy(tmp_path / "old.arrow", path)
    assert reopened(path, made.fingerprint) is None


@pytest.mark.parametrize("name", [MANIFEST, *DATA_FILES])
def test_a_damaged_pack_is_left_to_those_who_can_make_it_again(pets, name, capfd):
    made = packed(pets)
    path, file = keep_opened(made), made.path / name
    content = bytearray(file.read_bytes())
    file.write_bytes(b"\0" + content[1:] if content else b"\0")
    assert reopened(path, made.fingerprint) is None
    file.unlink()
    assert reopened(path, made.fingerprint) is None


def test_a_damaged_file_is_not_taken(pets):
    made = packed(pets)
    path = keep_opened(made)
    with open(path, "rb") as file:
        content = file.read()
    dice = random.Random(seed := random.SystemRandom().randrange(10**6))
    for _ in range(200):
        harmed = bytearray(content)
        harmed[dice.randrange(len(harmed))] ^= 1 << dice.randrange(8)
        with open(path, "wb") as file:
            file.write(harmed[: dice.choice([len(harmed), dice.randrange(len(harmed))])])
        found = reopened(path, made.fingerprint)
        assert found is None or same(found, made), f"seed {seed}"  # such as a space that became a tab
    for other in (b"", b"\n", b"[]\n", content[:100] + content):
        with open(path, "wb") as file:
            file.write(other)
        assert reopened(path, made.fingerprint) is None
    assert keep_opened(made) == path and same(reopened(path, made.fingerprint), made)


def test_a_file_of_another_format_is_made_again(pets, monkeypatch):
    made = packed(pets)
    with monkeypatch.context() as later:
        later.setattr(table_file, "FORMAT", 2)
        path = keep_opened(made)
    assert reopened(path, made.fingerprint) is None
    keep_opened(made)
    assert reopened(path, made.fingerprint)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
def test_a_fifo_in_the_place_of_the_file_is_not_waited_for(pets):
    made = packed(pets)
    path = keep_opened(made)
    os.unlink(path)
    os.mkfifo(path)
    assert reopened(path, made.fingerprint) is None


def test_a_cache_that_can_not_be_written_keeps_nothing(pets, monkeypatch):
    made = packed(pets)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(table_file, "write_atomically", full)
    assert keep_opened(made) == ""
    config = catalog.resolve_config(TrialConfig("unet", "pets", data_dir=str(pets), image_size=SIZE))
    assert plan.read_planned(config, made.fingerprint, "").fingerprint == made.fingerprint


def test_data_that_is_not_the_planned_is_refused(pets, tmp_path):
    config = catalog.resolve_config(TrialConfig("unet", "pets", data_dir=str(pets), image_size=SIZE))
    with pytest.raises(BenchError, match="The data of pets changed after the run was planned"):
        plan.read_planned(config, "0" * 16, "")


def test_a_request_names_the_file(pets, tmp_path):
    from bench.results.store import ResultsFolder
    from bench.trials.scheduling.life import _request

    config = catalog.resolve_config(TrialConfig("unet", "pets", data_dir=str(pets), image_size=SIZE))
    (trial,) = plan.plan([config], ResultsFolder(tmp_path / "results"), ["cpu"])
    assert reopened(json.loads(json.dumps(_request(trial)))["opened"], trial.fingerprint)
