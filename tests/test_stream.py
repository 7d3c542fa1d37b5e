"""A data set that isn't packed: the same batches, scores and fingerprint as with a pack; where packs are kept."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import psutil
import pytest
from fakes import write_fake_airbus, write_fake_carvana, write_fake_pets
from running import CONFIG, run

from bench.core import leftovers
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import Budget
from bench.data.batches import Crop, TrainingBatches, evaluation
from bench.data.loading import loader, stream
from bench.data.loading.loader import Places
from bench.data.loading.open_images import open_images
from bench.datasets import DATASETS
from bench.trials import plan
from bench.trials.identity import trial_key

SPECS = {spec.name: spec for spec in DATASETS}
WRITERS = {"pets": write_fake_pets, "airbus": write_fake_airbus, "carvana": write_fake_carvana}
SIZE = (24, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def both(name, folder=None, size=SIZE):
    return [open_images(SPECS[name], size, kept=kept, data_dir=folder) for kept in ("disk", "none")]


def same(one, other):
    return (one is None and other is None) or np.array_equal(one, other)


# ---------------------------------------------------------------- the same as a pack


@pytest.mark.parametrize("name", WRITERS)
def test_without_a_pack_facts_and_evaluated_rows_are_those_of_the_pack(tmp_path, name):
    packed, streamed = both(name, WRITERS[name](tmp_path / name))
    for field in ("fingerprint", "protocol", "names", "groups", "splits", "classes"):
        assert getattr(packed, field) == getattr(streamed, field)
    for split in ("train", "val", "test"):
        pairs = [evaluation(one, one.indexes(split), 4, native=True) for one in (packed, streamed)]
        for given, found in zip(*pairs, strict=True):
            assert same(given.images, found.images) and same(given.labels, found.labels)
            for row, other in zip(given.rows, found.rows, strict=True):
                assert row.original_size == other.original_size and same(row.truth(), other.truth())
                assert same(row.instances(), other.instances())


@pytest.mark.needs("grain")
def test_workers_give_the_batches_of_the_pack_also_after_a_checkpoint(monkeypatch):
    packed, streamed = both("shapes")
    train, val = packed.indexes("train")[:30], packed.indexes("val")
    crop = Crop((12, 16), 0.5)
    given, found = (TrainingBatches(one, train, 8, seed=3, crop=crop) for one in (packed, streamed))
    for (images, labels), (others, more) in islice(zip(given, found, strict=False), 9):
        assert same(images, others) and same(labels, more)
    assert given.state() == found.state()
    found.restore(given.state())
    assert same(next(given)[0], next(found)[0])
    monkeypatch.setattr(stream, "FEW", 8)
    for _ in range(2):  # the workers of a split are kept, and begin again
        for row, other in zip(packed.rows(val), streamed.rows(val), strict=True):
            assert same(row.image, other.image) and same(row.labels, other.labels)


def test_a_limited_number_of_batches_ends_and_is_the_beginning_of_the_endless_one():
    (packed, streamed), train = both("shapes"), np.arange(30)
    some = list(TrainingBatches(streamed, train, 8, seed=1, most=2))
    assert len(some) == 2
    for (images, _), (others, _) in zip(some, TrainingBatches(packed, train, 8, seed=1), strict=False):
        assert same(images, others)


@pytest.mark.needs("grain", "jax")
def test_a_trial_without_a_pack_has_the_scores_of_the_packed_one(tmp_path):
    config = replace(CONFIG, backend="jax", budget=Budget(6, "steps"), batch_size=4, class_weights="balanced")
    records = [run([replace(config, pack=kept)], results=tmp_path / kept)[0] for kept in ("none", "memory")]
    assert [record.status for record in records] == ["ok", "ok"], [record.reason for record in records]
    assert records[0].metrics == records[1].metrics and records[0].validation == records[1].validation
    assert records[0].key == records[1].key
    assert [record.config["pack"] for record in records] == ["none", "memory"]


def test_where_images_are_kept_is_not_in_the_key():
    keys = {trial_key(replace(CONFIG, pack=kept), "f") for kept in ("auto", "memory", "disk", "none")}
    assert len(keys) == 1


def test_places_are_those_of_the_order_wherever_a_worker_begins():
    given = [int(i) for i in islice(TrainingBatches(None, np.arange(5), 2, seed=4)._order, 20)]
    for together in (1, 4):
        places = Places(TrainingBatches(None, np.arange(5), 2, seed=4)._order, together)
        groups = [given[i : i + together] for i in range(0, 20, together)]
        assert [places[i].tolist() for i in range(1, len(groups), 2)] == groups[1::2]
        assert [places[i].tolist() for i in (3, 1, 4)] == [groups[i] for i in (3, 1, 4)]


# ---------------------------------------------------------------- what can't be read


@pytest.mark.parametrize("few", [64, pytest.param(1, marks=pytest.mark.needs("grain"))])
def test_a_broken_picture_is_named_in_one_line(tmp_path, monkeypatch, few):
    folder = write_fake_pets(tmp_path / "pets")
    _, streamed = both("pets", folder)
    monkeypatch.setattr(stream, "FEW", few)
    broken = folder / "images" / f"{streamed.names[3]}.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(BenchError) as caught:
        list(streamed.rows(np.arange(12)))
    assert str(broken) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(BenchError, match=f"changed while it was in use.*{streamed.names[3]}"):
        streamed.check_unchanged()


def test_without_a_pack_corrupt_images_can_not_be_left_out(tmp_path):
    with pytest.raises(BenchError, match=r"--skip-corrupt needs a pack.*--pack disk"):
        open_images(SPECS["pets"], SIZE, kept="none", data_dir=write_fake_pets(tmp_path), skip_corrupt=True)


# ---------------------------------------------------------------- where packs are kept


@pytest.fixture
def full(monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("bench.core.files.shutil.disk_usage", lambda path: usage)


def test_auto_keeps_a_pack_where_there_is_room_and_says_with_sizes_where_not(tmp_path, capsys, full, monkeypatch):
    folder = write_fake_pets(tmp_path / "pets")
    assert not open_images(SPECS["pets"], (4096, 4096), kept="auto", data_dir=folder).packed
    said = capsys.readouterr().err
    assert "needs 0.8 GiB" in said and "0.0 GiB are free" in said and "--pack none" in said
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    assert open_images(SPECS["pets"], SIZE, kept="auto", data_dir=folder).packed


def test_a_pack_that_has_no_room_and_is_asked_for_is_an_error_with_the_way_out(tmp_path, full):
    with pytest.raises(BenchError, match=r"needs .* GiB in .*--pack none"):
        open_images(SPECS["pets"], SIZE, kept="disk", data_dir=write_fake_pets(tmp_path / "pets"))


def test_a_pack_in_memory_is_no_map_and_must_fit(monkeypatch):
    config = replace(CONFIG, pack="memory")
    found = plan.read_pack(config)
    assert not isinstance(found.images, np.memmap) and isinstance(plan.prepare_pack(config).images, np.memmap)
    monkeypatch.setattr(plan, "free_memory", lambda: 1000)
    with pytest.raises(BenchError, match=r"has .* GiB, and 0\.0 GiB of memory are free.*--pack disk"):
        plan.read_pack(config)


# ---------------------------------------------------------------- hashes


def test_files_are_hashed_once_and_a_change_without_a_new_size_or_time_is_found(tmp_path, monkeypatch):
    folder = write_fake_pets(tmp_path / "pets")
    hashed = []
    hash_of = stream._hash
    monkeypatch.setattr(stream, "_hash", lambda sample: hashed.append(sample.name) or hash_of(sample))
    options = {"kept": "none", "data_dir": folder}
    first = open_images(SPECS["pets"], SIZE, **options)
    assert len(hashed) == 12
    assert open_images(SPECS["pets"], (8, 8), **options).fingerprint == first.fingerprint and len(hashed) == 12
    changed = folder / "images" / f"{first.names[0]}.jpg"
    status, content = changed.stat(), bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.write_bytes(content)
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(BenchError, match=f"Files of 1 samples have other contents.*{first.names[0]}.*touch"):
        open_images(SPECS["pets"], SIZE, **options, verify_data=True)


# ---------------------------------------------------------------- processes

_READS_FOR_EVER = """
import numpy as np, os, sys
from multiprocessing import shared_memory
shared_memory._SHM_NAME_PREFIX = os.environ["MEMORY"]  # also in its workers, which import this file
from bench.data.batches import TrainingBatches
from bench.data.loading.open_images import open_images
from bench.datasets import DATASETS
if __name__ == "__main__":
    spec = next(spec for spec in DATASETS if spec.name == "shapes")
    data = open_images(spec, (32, 32), kept="none")
    for batch in TrainingBatches(data, np.arange(100), 4, seed=0):
        print("batch", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.needs("grain")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_and_shared_memory_go_with_a_trial_that_is_killed(tmp_path, number):
    script = tmp_path / "reads.py"
    script.write_text(_READS_FOR_EVER)
    own = f"t{os.getpid()}_"  # other tests have shared memory too
    command = [sys.executable, str(script)]
    marks = leftovers.mark_of(tmp_path) | {"MEMORY": f"/{own}"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          start_new_session=True, env={**os.environ, **marks}) as process:  # fmt: skip
        assert process.stdout.readline() == b"batch\n"
        assert _shared_memory(own)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.send_signal(number)
        process.wait(20)
        leftovers.end_leftovers(tmp_path, process.pid)
        until = time.monotonic() + 20
        while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
            assert time.monotonic() < until
            time.sleep(0.05)
    assert not _shared_memory(own)


def _shared_memory(beginning):
    return {name for name in os.listdir("/dev/shm") if name.startswith(beginning)}


def test_samples_ahead_fit_into_shared_memory(monkeypatch):
    monkeypatch.setattr(loader.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2**20}))
    assert loader._room() <= max(2**19, loader.AHEAD_BYTES if not loader._SHARED_MEMORY.is_dir() else 0)


@pytest.mark.parametrize("bytes_of_one", [2**17, 2**20, 2**22, 2**25])
@pytest.mark.parametrize("room", [0, 1, 3, 20, 10**6])
def test_what_a_worker_sends_and_keeps_ready_fits_but_is_at_least_one_sample(room, bytes_of_one):
    together, ahead = loader._counts(room, bytes_of_one)
    assert together >= 1 and ahead >= 1
    assert together == 1 or together * bytes_of_one <= loader.TOGETHER_BYTES
    assert together * ahead <= max(1, min(room, loader.AHEAD))
