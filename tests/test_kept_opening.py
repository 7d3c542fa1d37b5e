"""What opening a data set has found is kept, and taken again only while code, parameters and files are the same."""

import os
import pickle
import random
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from fakes import WRITERS, write_fake_airbus, write_table

from bench.config import catalog
from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.files import VARIABLE, cache_path
from bench.core.specs import Param
from bench.data import pack, source
from bench.data.facts import file_facts
from bench.data.loading import stream
from bench.data.loading.open_images import open_images
from bench.data.opened import call_adapter, folder_state, question
from bench.data.opened.kept_samples import KeptSamples, keep_opening, recall_opening
from bench.data.reading.decode import read_row
from bench.data.source import open_source
from bench.datasets import airbus, tiles
from bench.trials.trained_input import stored_values
from bench.trials.trained_input.stored_values import values_of_source

TABLE = "train_ship_segmentations_v2.csv"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Keep the opening of small folders too, and of files that were written a moment ago."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(question, "FEWEST", 0)
    monkeypatch.setattr(folder_state, "SETTLED_NS", -(10**18))


@pytest.fixture
def calls(monkeypatch):
    """The names of the data sets whose adapters were called."""
    found, call = [], call_adapter.call_adapter
    for module in (call_adapter, source):
        monkeypatch.setattr(module, "call_adapter", lambda spec, *more: found.append(spec.name) or call(spec, *more))
    return found


@pytest.fixture(params=WRITERS)
def given(request, tmp_path):
    """A spec and the folder of its data."""
    folder = WRITERS[request.param](tmp_path / request.param)
    if request.param == "folder":
        return catalog.find_dataset(f"folder:{folder}", None)
    return catalog.find_dataset(request.param, str(folder))


@pytest.fixture
def ships(tmp_path):
    return write_fake_airbus(tmp_path / "airbus")


def opened(folder, **params):
    return open_source(catalog.find_dataset("airbus", str(folder))[0], folder, params)


def said(found):
    """Return all that a source says of its data, and not how it was opened."""
    left_out = {"dataset", "stamps", "state"}
    texts = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in left_out}
    return {**texts, "samples": list(found.samples), "settled": found.settled, "counts": found.counts}


def in_place(path, old, new):
    """Replace bytes of a file by as many others, and set its time back."""
    state, content = path.stat(), path.read_bytes()
    assert old in content and len(old) == len(new)
    path.write_bytes(content.replace(old, new, 1))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_later_command_calls_no_adapter_and_finds_the_same(given, calls):
    first = open_source(*given)
    assert len(calls) == 1 and first.state
    again = open_source(*given)
    assert len(calls) == 1 and again.state == first.state
    assert said(again) == said(first)
    for sample in (again.samples[0], again.samples[-1]):
        one, other = (read_row(found, sample, (16, 24), "stretch") for found in (first, again))
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("image", "labels"))
        assert (one.truth, one.instances, one.digest) == (other.truth, other.instances, other.digest)
    assert len(calls) == (1 if first.spec.name == "airbus" else 2)  # to read; airbus only reads its table again


def test_a_later_command_chooses_and_groups_as_the_first(ships, calls):
    fewer = {"balance": 1, "sample_splits": "train"}
    for params in ({}, fewer, {"split": "random"}, {"group_by": r"0000(\d+)"}, {"empty_fraction": 0.9}):
        first = opened(ships, **params)
        assert said(opened(ships, **params)) == said(first)
    assert len(calls) == 5


def add(folder):
    shutil.copy(folder / "train_v2" / "000000001.jpg", folder / "train_v2" / "0000000ff.jpg")


def remove(folder):
    (folder / "train_v2" / "000000001.jpg").unlink()


def swap(folder):
    """Let two files of one size and time change places."""
    one, other, aside = (folder / "train_v2" / name for name in ("000000001.jpg", "000000007.jpg", "aside"))
    one.rename(aside), other.rename(one), aside.rename(other)


def relink(folder):
    """Let a link lead to another file."""
    link = folder / "train_v2" / "000000002.jpg"
    link.unlink()
    link.symlink_to(folder.parent / "other.jpg")


CHANGES = {
    "a file is added": add,
    "a file is removed": remove,
    "a file is renamed": lambda folder: (folder / "train_v2" / "000000001.jpg").rename(folder / "train_v2" / "f.jpg"),
    "a row of the table has other numbers, and the table its old size and time": lambda folder: in_place(
        folder / TABLE, b"1931 8", b"1931 7"
    ),
    "the table names another tile, and has its old size and time": lambda folder: in_place(
        folder / TABLE, b"000000004.jpg", b"00000000f.jpg"
    ),
    "a picture has other bytes, and its old size and time": lambda folder: in_place(
        folder / "train_v2" / "000000001.jpg", b"JFIF", b"JFIX"
    ),
    "a picture has another time": lambda folder: os.utime(folder / "train_v2" / "000000001.jpg", (1, 1)),
    "two files change places": swap,
    "a link leads elsewhere": relink,
    "what a link leads to is written again": lambda folder: in_place(folder.parent / "linked.jpg", b"JFIF", b"JFIX"),
    "a folder is added": lambda folder: (folder / "train_v2" / "more").mkdir(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_opening_is_not_taken_after_any_change_of_the_folder(ships, calls, what):
    for name in ("linked", "other"):
        shutil.copy(ships / "train_v2" / "000000002.jpg", ships.parent / f"{name}.jpg")
    link = ships / "train_v2" / "000000002.jpg"
    link.unlink()
    link.symlink_to(ships.parent / "linked.jpg")
    for path in (ships / "train_v2" / "000000001.jpg", ships / "train_v2" / "000000007.jpg"):
        path.write_bytes(path.read_bytes().ljust(2**16, b"\0"))
        os.utime(path, (1000, 1000))
    before = opened(ships)
    CHANGES[what](ships)
    after = opened(ships)
    assert len(calls) == 2 and after.state != before.state
    shutil.rmtree(cache_path("opened"))
    assert said(opened(ships)) == said(after)


def test_an_opening_is_not_taken_after_a_change_of_the_code_or_of_a_parameter(ships, calls, monkeypatch):
    opened(ships)
    opened(ships, balance=9)
    assert len(calls) == 2
    monkeypatch.setattr(question, "_code", lambda: "other")
    opened(ships)
    assert len(calls) == 3


def test_a_file_whose_next_change_might_not_show_is_not_trusted(ships, calls, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(ships.parent / "cache"))
    monkeypatch.setattr(question, "FEWEST", 0)
    assert not opened(ships).state  # it was written a moment ago
    now = folder_state.time.time_ns
    monkeypatch.setattr(folder_state.time, "time_ns", lambda: now() + 10**10)
    assert opened(ships).state


def test_a_small_folder_a_plugin_and_a_file_of_a_parameter_are_opened_each_time(ships, monkeypatch):
    spec, seen = catalog.find_dataset("airbus", str(ships))[0], folder_state.look_at(ships)
    assert question.question_of(spec, ships, {}, seen)
    assert question.question_of(spec, ships, {}, folder_state.FolderState("", seen.stamps)) is None
    for other in ({"adapter": "mine.py:load"}, {"source": "tfds:voc"}):
        assert question.question_of(replace(spec, **other), ships, {}, seen) is None
    with_file = replace(spec, params=(Param("classes", "path", ""),))
    assert question.question_of(with_file, ships, {"classes": "here.json"}, seen) is None
    assert question.question_of(with_file, ships, {}, seen)
    monkeypatch.setattr(question, "FEWEST", len(seen.stamps) + 1)
    assert question.question_of(spec, ships, {}, seen) is None


def test_groups_that_lack_a_tile_which_can_not_be_read_now_are_not_kept(ships, calls, monkeypatch):
    make = tiles.tile_fact
    with monkeypatch.context() as now:
        now.setattr(tiles, "tile_fact", lambda path: None if path.name == "000000003.jpg" else make(path))
        assert not opened(ships).state
    assert opened(ships).state and len(calls) == 2
    opened(ships)
    assert len(calls) == 2


def estimated(folder):
    """Open the data as `--dry-run` does; return the source and the files that the steps which are left have to do."""
    with file_facts.sampling() as left:
        return opened(folder), sum(step.items for step in left)


def test_what_a_sample_has_found_is_kept_until_more_is_known(ships, calls, monkeypatch):
    monkeypatch.setattr(file_facts, "_SAMPLE", 2)
    first, left = estimated(ships)
    assert 0 < left < 10 and len(calls) == 1
    again, same_left = estimated(ships)
    assert same_left == left and len(calls) == 1 and again.state == first.state and said(again) == said(first)
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(ships.parent / "cache"))
    monkeypatch.setattr(question, "FEWEST", 0)
    monkeypatch.setattr(folder_state, "SETTLED_NS", -(10**18))
    whole = opened(ships)
    assert whole.state and whole.state != first.state
    found, left = estimated(ships)
    assert left == 0 and found.state == whole.state


def test_a_sample_is_taken_again_when_a_command_that_was_ended_has_found_more(ships, calls, monkeypatch):
    monkeypatch.setattr(file_facts, "_SAMPLE", 2)
    _, left = estimated(ships)
    make, calls_left = tiles.tile_fact, [5]

    def ending(path):
        calls_left[0] -= 1
        if calls_left[0] < 0:
            raise KeyboardInterrupt
        return make(path)

    with monkeypatch.context() as now:
        now.setattr(tiles, "tile_fact", ending)
        now.setattr(file_facts, "_AT_ONCE", 1)
        with pytest.raises(KeyboardInterrupt):
            opened(ships)
    assert estimated(ships)[1] < left and len(calls) == 3


def test_a_sample_is_never_taken_for_the_whole(ships, calls, monkeypatch):
    monkeypatch.setattr(file_facts, "_SAMPLE", 2)
    estimated(ships)
    assert len(calls) == 1
    assert " sampled" not in opened(ships).state and len(calls) == 2


def test_a_damaged_file_is_not_taken(ships):
    first = opened(ships)
    (file,) = cache_path("opened").iterdir()
    content = file.read_bytes()
    dice = random.Random(seed := random.SystemRandom().randrange(10**6))
    for _ in range(50):
        harmed = bytearray(content)
        harmed[dice.randrange(len(harmed))] ^= 1 << dice.randrange(8)
        file.write_bytes(harmed[: dice.choice([len(harmed), dice.randrange(len(harmed))])])
        assert said(opened(ships)) == said(first), f"seed {seed}"


def test_a_cache_that_can_not_be_written_costs_time_only(ships, calls):
    cache_path("opened").parent.mkdir(parents=True, exist_ok=True)
    cache_path("opened").write_bytes(b"")  # in the place of the folder
    first = opened(ships)
    assert said(opened(ships)) == said(first) and len(calls) == 2


def test_files_elsewhere_and_names_that_are_no_utf_8_are_not_kept(tmp_path):
    folder, file = tmp_path / "data", tmp_path / "kept.arrow"

    def keeps(name, *files):
        return keep_opening(file, "state", folder, [Sample(name, "train", name, files, "token")], {})

    assert keeps("a", folder / "a.jpg", folder / "b" / "a.png")
    (sample,) = recall_opening(file, "state", folder).samples
    assert sample == Sample("a", "train", "a", (folder / "a.jpg", folder / "b" / "a.png"), "token")
    assert recall_opening(file, "other", folder) is None
    assert keeps("a") and recall_opening(file, "state", folder).samples[0].files == ()
    for files in ([tmp_path / "a.jpg"], [folder / ".." / "a.jpg"], [Path("a.jpg")], [folder / "a.jpg"] * 5):
        assert keeps("a", *files) is None
    assert keeps("\udcff", folder / "a.jpg") is None


def test_samples_of_different_numbers_of_files_are_kept_in_order(tmp_path):
    given = [
        Sample(str(number), split, "g", tuple(tmp_path / f"{number}{end}" for end in ends), "")
        for number, (split, ends) in enumerate([("train", ""), ("val", "ab"), ("test", "c"), ("train", "abc")])
    ]
    keep_opening(tmp_path / "kept", "state", tmp_path, given, {})
    found = recall_opening(tmp_path / "kept", "state", tmp_path).samples
    assert isinstance(found, KeptSamples) and len(found) == 4 and found.by_split == {"train": 2, "val": 1, "test": 1}
    assert list(found) == given and list(found[1:3]) == given[1:3]


def test_a_folder_that_changes_before_its_first_sample_is_read_is_refused(ships):
    opened(ships)
    again = opened(ships)
    in_place(ships / TABLE, b"1931 8", b"1931 7")
    with pytest.raises(BenchError, match=r"'airbus' changed while it was being opened. Run the same command again"):
        read_row(again, again.samples[1], (16, 16), "stretch")


def test_a_table_that_changes_before_a_trial_without_a_pack_reads_it_is_refused(ships):
    opened(ships)
    again = opened(ships)
    rows = (ships / TABLE).read_text(encoding="utf-8").splitlines()
    (ships / TABLE).write_text("\n".join(rows[:-4]), encoding="utf-8")  # without the last tile
    with pytest.raises(BenchError, match="changed while it was being opened"):
        read_row(again, again.samples[1], (16, 16), "stretch")


def test_other_processes_get_the_data_set_itself(ships):
    opened(ships)
    again = opened(ships)
    assert isinstance(pickle.loads(pickle.dumps(again.dataset)), airbus.Airbus)
    assert type(pickle.loads(pickle.dumps(again.samples))) is tuple


def test_the_first_image_is_looked_at_once_for_a_forecast(given, monkeypatch):
    first = values_of_source(open_source(*given))
    assert first is not None and first.bands == 3
    monkeypatch.setattr(stored_values, "with_values", None)
    assert values_of_source(open_source(*given)) == first


# ---------------------------------------------------------------- with a pack


def packed(folder, **options):
    return pack.prepare(catalog.datasets().get("airbus"), (16, 16), data_dir=folder, **options)


@pytest.fixture
def compared(monkeypatch):
    """The paths of packs that were compared with the source files."""
    found, compare = [], pack._found_or_made
    monkeypatch.setattr(pack, "_found_or_made", lambda path, *more: found.append(path) or compare(path, *more))
    return found


def test_a_pack_is_taken_without_its_sources_while_nothing_has_changed(ships, compared, calls):
    first = packed(ships)
    again = packed(ships)
    assert len(compared) == 1 and len(calls) == 1
    assert again.made_from and again.fingerprint == first.fingerprint and np.array_equal(again.images, first.images)
    assert (again.names, again.notes, again.warnings) == (first.names, first.notes, first.warnings)
    packed(ships, verify_data=True)
    packed(ships, skip_corrupt=True)
    assert len(compared) == 3
    in_place(ships / TABLE, b"1931 8", b"1931 7")
    assert packed(ships).fingerprint != first.fingerprint
    assert len(compared) == 4


def test_a_pack_is_made_again_after_a_tile_was_added_to_the_table(ships):
    first = packed(ships)
    add(ships)
    rows = [line.split(",") for line in (ships / TABLE).read_text(encoding="utf-8").splitlines()]
    write_table(ships / TABLE, rows[0], [*rows[1:], ("0000000ff.jpg", "")])
    assert len(packed(ships).names) == len(first.names) + 1


def test_without_a_pack_samples_are_hashed_and_sorted_once(ships, monkeypatch):
    spec = catalog.datasets().get("airbus")
    first = open_images(spec, (16, 16), kept="none", data_dir=ships)
    with monkeypatch.context() as later:
        later.setattr(stream, "_digests", None)
        again = open_images(spec, (24, 24), kept="none", data_dir=ships)
    for name in ("fingerprint", "digests", "names", "groups", "splits", "notes", "warnings"):
        assert getattr(again, name) == getattr(first, name)
    assert first.fingerprint == packed(ships).fingerprint
    in_place(ships / "train_v2" / "000000001.jpg", b"JFIF", b"JFIX")
    os.utime(ships / "train_v2" / "000000001.jpg", (1, 1))
    assert open_images(spec, (16, 16), kept="none", data_dir=ships).fingerprint != first.fingerprint


def test_without_a_pack_a_change_since_it_was_opened_is_found(ships):
    for _ in range(2):
        found = open_images(catalog.datasets().get("airbus"), (16, 16), kept="none", data_dir=ships)
    found.check_unchanged()
    os.utime(ships / "train_v2" / "000000001.jpg", (1, 1))
    with pytest.raises(BenchError, match="changed while it was in use"):
        found.check_unchanged()
