"""The pack: the same bytes for every reader, written once, rewritten when it or its sources change."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_pets, write_table
from PIL import Image

from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import RESIZES, DatasetSpec
from bench.data import pack, pack_writer
from bench.data.geometry import resize_labels
from bench.data.packing import unfinished as unfinished_rows
from bench.data.packing.manifest import DATA_FILES
from bench.data.reading import decode
from bench.data.source import open_source
from bench.datasets import DATASETS
from bench.datasets.airbus import Airbus

PETS, BINARY, SHAPES, AIRBUS = (
    next(s for s in DATASETS if s.name == name) for name in ("pets", "pets-binary", "shapes", "airbus")
)
SIZE = (24, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pets(tmp_path) -> Path:
    return write_fake_pets(tmp_path / "pets")


@pytest.fixture
def reads(monkeypatch):
    """The names of the samples that were decoded."""
    names = []

    def counting(source, sample, size, resize):
        names.append(sample.name)
        return decode.read_row(source, sample, size, resize)

    monkeypatch.setattr(pack_writer, "read_row", counting)
    return names


# ---------------------------------------------------------------- what is in it


def test_a_pack_has_the_samples_at_the_size(pets):
    made = pack.prepare(PETS, SIZE, data_dir=pets)

    assert made.images.shape == (12, 24, 32, 3)
    assert made.labels.shape == (12, 24, 32)
    assert isinstance(made.images, np.memmap)
    assert made.images.dtype == made.labels.dtype == np.uint8
    assert made.classes == ("pet", "background", "border")
    assert made.notes == ()
    assert set(np.unique(made.labels)) == {0, 1, 2}
    parts = {split: made.indexes(split).tolist() for split in ("train", "val", "test")}
    assert sorted(row for rows in parts.values() for row in rows) == list(range(12))
    assert parts["val"]
    assert len(parts["test"]) == 4
    assert made.indexes("test").dtype == np.int64


def test_rows_are_the_adapters_pixels_resized(pets):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    row = made.names.index("beagle_4")
    picture = Image.open(pets / "images" / "beagle_4.jpg")
    trimap = Image.open(pets / "annotations" / "trimaps" / "beagle_4.png")

    np.testing.assert_array_equal(made.images[row], picture.resize((32, 24), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(made.labels[row] + 1, trimap.resize((32, 24), Image.Resampling.NEAREST))
    assert made.original_sizes[row] == (40, 50)
    np.testing.assert_array_equal(made.truth(row) + 1, np.asarray(trimap))


def test_the_policy_says_what_becomes_of_another_aspect_ratio(pets, reads):
    made = {policy: pack.prepare(PETS, (32, 32), resize=policy, data_dir=pets) for policy in RESIZES}
    for policy, one in made.items():
        np.testing.assert_array_equal(one.labels[4], resize_labels(one.truth(4), (32, 32), policy))
        assert json.loads((one.path / pack_writer.MANIFEST).read_text())["aspect"] == policy
        # of 40 x 50, 26 rows of 32 are picture
        assert (one.labels == 255).all(axis=2).sum(axis=1).tolist() == [6 if policy == "letterbox" else 0] * 12
    assert len({one.path for one in made.values()}) == 3
    assert {one.fingerprint for one in made.values()} == {made["stretch"].fingerprint}
    assert "stretch" not in made["stretch"].path.name
    assert len(reads) == 36
    assert pack.prepare(PETS, (32, 32), resize="crop", data_dir=pets).path == made["crop"].path
    assert len(reads) == 36


def test_a_pack_is_read_only(pets):
    with pytest.raises(ValueError, match="read-only"):
        pack.prepare(PETS, SIZE, data_dir=pets).images[0] = 0


def test_shapes_are_drawn_at_the_size_of_the_pack():
    made = pack.prepare(SHAPES, SIZE)
    assert made.images.shape == (540, 24, 32, 3)
    assert [len(made.indexes(split)) for split in ("train", "val", "test")] == [400, 40, 100]
    assert made.original_sizes[0] == SIZE


# ---------------------------------------------------------------- when it is written


def test_the_second_call_decodes_nothing(pets, reads):
    first = pack.prepare(PETS, SIZE, data_dir=pets)
    assert len(reads) == 12
    second = pack.prepare(PETS, SIZE, data_dir=pets)
    assert len(reads) == 12
    assert (second.path, second.fingerprint, second.names) == (first.path, first.fingerprint, first.names)
    np.testing.assert_array_equal(second.images, first.images)


def test_a_changed_source_file_is_noticed(pets):
    before = pack.prepare(PETS, SIZE, data_dir=pets)
    row, path = before.names.index("beagle_2"), pets / "images" / "beagle_2.jpg"
    old = np.array(before.images)
    status = path.stat()
    Image.new("RGB", (50, 40), (1, 2, 3)).save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # the size alone is told apart, too

    after = pack.prepare(PETS, SIZE, data_dir=pets)
    assert (after.images[row] < 8).all()
    assert after.fingerprint != before.fingerprint
    np.testing.assert_array_equal(before.images, old)  # whoever reads the old pack goes on reading it


def test_a_file_touched_without_a_change_keeps_the_fingerprint(pets, reads):
    before = pack.prepare(PETS, SIZE, data_dir=pets)
    os.utime(pets / "images" / "beagle_2.jpg", ns=(0, 10**18))
    assert pack.prepare(PETS, SIZE, data_dir=pets).fingerprint == before.fingerprint
    assert len(reads) == 24


@pytest.mark.parametrize(
    ("name", "harm"),
    [(name, "removed") for name in pack_writer.DATA_FILES]
    + [
        (name, "cut") for name in pack_writer.DATA_FILES if name != pack_writer.INSTANCES
    ],  # pets have none: it is empty
)
def test_a_broken_pack_is_written_anew(pets, name, harm):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    images, truth = np.array(made.images), made.truth(11)
    if harm == "cut":
        os.truncate(made.path / name, (made.path / name).stat().st_size - 1)
    else:
        (made.path / name).unlink()

    again = pack.prepare(PETS, SIZE, data_dir=pets)
    np.testing.assert_array_equal(again.images, images)
    np.testing.assert_array_equal(again.truth(11), truth)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 0}'])
def test_a_broken_manifest_is_written_anew(pets, reads, text):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    (made.path / pack_writer.MANIFEST).write_text(text)
    assert pack.prepare(PETS, SIZE, data_dir=pets).fingerprint == made.fingerprint
    assert len(reads) == 24


def test_an_interrupted_preparation_leaves_nothing_that_counts(pets, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(pack_writer, "read_row", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pack.prepare(PETS, SIZE, data_dir=pets)
    assert len(pack.prepare(PETS, SIZE, data_dir=pets).names) == 12


def test_two_processes_that_prepare_at_once_write_one_pack(pets, tmp_path):
    code = (
        "import sys; from pathlib import Path; from bench.datasets import DATASETS; from bench.data import pack;"
        "calls = [];"
        "made = pack.prepare(DATASETS[0], (64, 64), data_dir=Path(sys.argv[1]), progress=lambda *a: calls.append(a));"
        "print(made.fingerprint, int(made.images.sum()), len(calls))"
    )
    write_fake_pets(tmp_path / "many", count=60, size=(200, 200))
    command = [sys.executable, "-c", code, str(tmp_path / "many")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = [process.communicate(timeout=60)[0].split() for process in processes]

    assert len({tuple(line[:2]) for line in lines}) == 1
    assert sorted(line[2] for line in lines) == ["0", "0", "60"]  # one decoded, the others waited


def test_progress_counts_to_the_end(pets):
    calls = []
    pack.prepare(PETS, SIZE, data_dir=pets, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 12) for i in range(1, 13)]


# ---------------------------------------------------------------- the fingerprint


def test_the_fingerprint_does_not_depend_on_size_or_place(pets, tmp_path):
    made = pack.prepare(PETS, SIZE, data_dir=pets)
    moved = write_fake_pets(tmp_path / "elsewhere")
    assert pack.prepare(PETS, (16, 16), data_dir=pets).fingerprint == made.fingerprint
    assert pack.prepare(PETS, SIZE, data_dir=moved).fingerprint == made.fingerprint
    assert pack.prepare(PETS, SIZE, data_dir=moved).path != made.path


def test_the_fingerprint_depends_on_content_and_selection(pets, tmp_path):
    prints = {pack.prepare(PETS, SIZE, data_dir=pets).fingerprint, pack.prepare(SHAPES, SIZE).fingerprint}
    prints.add(pack.prepare(PETS, SIZE, data_dir=write_fake_pets(tmp_path / "other", seed=1)).fingerprint)
    prints.add(pack.prepare(PETS, SIZE, data_dir=write_fake_pets(tmp_path / "fewer", count=10)).fingerprint)
    assert len(prints) == 4


# ---------------------------------------------------------------- bad input


def harm_three(pets: Path) -> None:
    (pets / "images" / "Abyssinian_1.jpg").write_bytes(b"not a picture")
    (pets / "annotations" / "trimaps" / "beagle_4.png").unlink()
    Image.new("L", (50, 41), 1).save(pets / "annotations" / "trimaps" / "beagle_12.png")


def test_one_error_lists_all_that_is_corrupt_or_missing(pets, cache):
    harm_three(pets)
    with pytest.raises(BenchError) as caught:
        pack.prepare(PETS, SIZE, data_dir=pets)

    message = str(caught.value)
    assert message.startswith("3 of the 12 samples of 'pets' can't be read.")
    assert "--skip-corrupt" in message
    assert [name in message for name in ("Abyssinian_1.jpg", "beagle_4.png", "beagle_12.png")] == [True] * 3
    assert not list(cache.glob("packs/*/manifest.json"))


def test_skip_corrupt_leaves_them_out_and_says_so(pets, reads):
    whole = pack.prepare(PETS, SIZE, data_dir=pets)
    pixels = {name: np.array(whole.images[i]) for i, name in enumerate(whole.names)}
    harm_three(pets)

    made = pack.prepare(PETS, SIZE, data_dir=pets, skip_corrupt=True)
    assert len(made.names) == len(made.images) == len(made.labels) == 9
    assert made.notes == ("3 corrupt samples left out: Abyssinian_1, beagle_4, beagle_12",)
    assert made.fingerprint != whole.fingerprint
    for i, name in enumerate(made.names):
        np.testing.assert_array_equal(made.images[i], pixels[name])
        assert made.truth(i).shape == made.original_sizes[i] == (40, 50)
    count = len(reads)
    assert pack.prepare(PETS, SIZE, data_dir=pets, skip_corrupt=True).names == made.names
    assert len(reads) == count
    with pytest.raises(BenchError, match="3 of the 12"):  # a pack with gaps is no answer without the option
        pack.prepare(PETS, SIZE, data_dir=pets)
    assert pack.prepare(PETS, SIZE, data_dir=pets, skip_corrupt=True).names == made.names


def test_skipping_a_whole_split_is_an_error(pets):
    for line in (pets / "annotations" / "test.txt").read_text().splitlines():
        (pets / "images" / f"{line.split()[0]}.jpg").write_bytes(b"")
    with pytest.raises(BenchError, match=r"Without its 4 corrupt samples 'pets' has no test images"):
        pack.prepare(PETS, SIZE, data_dir=pets, skip_corrupt=True)


def test_an_empty_split_is_an_error(pets):
    (pets / "annotations" / "test.txt").write_text("")
    with pytest.raises(BenchError, match=r"'pets' in '.*' has no test images \(train 7, val 1, test 0\)"):
        pack.prepare(PETS, SIZE, data_dir=pets)


def test_labels_that_are_no_class_are_an_error(pets):
    spec = replace(PETS, classes=("pet", "background"))
    with pytest.raises(BenchError, match=r"the labels \[2\] are not classes\. Accepted: 0 to 1 and 255"):
        pack.prepare(spec, SIZE, data_dir=pets)


def test_too_little_disk_is_said_before_writing(pets, monkeypatch, cache, reads):
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr("bench.core.files.shutil.disk_usage", lambda path: usage)
    # 12 x (4096 x 4096 x 4 + 16384) bytes = 0.75 GiB
    with pytest.raises(BenchError, match=r"'pets' at 4096x4096 needs 0\.8 GiB .* 0\.0 GiB are free.*SEGBENCH_CACHE"):
        pack.prepare(PETS, (4096, 4096), data_dir=pets)
    assert reads == []
    assert list(cache.glob("packs/*/")) == []


def test_a_cache_folder_that_can_not_be_made_is_an_error(pets, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(BenchError, match=r"The cache folder .* can't be made.*SEGBENCH_CACHE"):
        pack.prepare(PETS, SIZE, data_dir=pets)


# ---------------------------------------------------------------- a plug-in's data set

PLUGIN = """
import numpy as np
from bench.plugin import Sample

class Squares:
    samples = tuple(Sample(f"s{i}", split, f"s{i}", token=f"s{i}") for i, split in enumerate(["train"] * 3 + ["test"]))
    notes = ("made by hand",)

    def read(self, sample):
        return np.full((8, 8, 3), VALUE, np.uint8), np.ones((8, 8), np.uint8)

def load(data_dir):
    return Squares()
"""


def test_a_plug_in_is_read_and_another_one_of_that_name_has_another_pack(tmp_path):
    for number in (1, 7):
        path = tmp_path / str(number) / "squares.py"
        path.parent.mkdir()
        path.write_text(PLUGIN.replace("VALUE", str(number)))
        spec = DatasetSpec("squares", f"{path}:load", ("no", "yes"), needs_data_dir=False)
        made = pack.prepare(spec, (8, 8))
        assert (made.images == number).all()
        assert made.notes == ("made by hand",)


@pytest.mark.parametrize("own", ["def decode(self, path): 1 / 0", "scale = 2", "decode = scale = None"])
def test_an_attribute_of_a_plug_in_that_is_named_as_in_the_protocol_is_its_own(tmp_path, own):
    (tmp_path / "squares.py").write_text(PLUGIN.replace("VALUE", "3").replace("    notes", f"    {own}\n    notes"))
    spec = DatasetSpec("squares", f"{tmp_path / 'squares.py'}:load", ("no", "yes"), needs_data_dir=False)
    assert (pack.prepare(spec, (8, 8)).images == 3).all()
    source = open_source(spec)
    assert not decode.is_reduced(source, source.samples[0], (8, 8), "stretch")


def interrupt(*args):
    raise KeyboardInterrupt


# ---------------------------------------------------------------- objects, and a part of a data set


@pytest.fixture
def ships(tmp_path) -> Path:
    return write_fake_airbus(tmp_path / "airbus", ships=(0, 1, 2, 0, 1, 0, 3, 1, 0, 2, 0, 0))


def test_objects_are_kept_at_native_size(ships, pets):
    made = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    row = made.names.index("000000006")  # three ships that touch
    instances = made.instances(row)
    assert instances.dtype == np.uint16
    assert np.bincount(instances.ravel())[1:].tolist() == [240, 240, 240]
    np.testing.assert_array_equal(instances > 0, made.truth(row))
    assert made.instances(made.names.index("000000000")).max() == 0
    assert pack.prepare(PETS, SIZE, data_dir=pets).instances(0) is None


def test_objects_of_another_size_are_refused(ships, monkeypatch):
    wrong, read = np.zeros((96, 95), np.uint16), Airbus.decode
    monkeypatch.setattr(Airbus, "decode", lambda *args: replace(read(*args), instances=wrong))
    with pytest.raises(BenchError, match=r"the instances are uint16 \(96, 95\), not uint16 \(96, 96\)"):
        pack.prepare(AIRBUS, SIZE, data_dir=ships)


def test_a_part_of_a_data_set_is_a_pack_of_its_own(ships, reads):
    whole = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    part = pack.prepare(AIRBUS, SIZE, data_dir=ships, params={"empty_fraction": 0.5})
    assert (len(whole.names), len(part.names)) == (12, 9)
    assert part.path != whole.path
    assert part.fingerprint != whole.fingerprint
    assert pack.prepare(AIRBUS, SIZE, data_dir=ships).path == whole.path
    assert len(reads) == 21
    assert part.notes == ("9 of 12 images chosen (empty_fraction 0.5)",)


def test_a_part_that_leaves_a_split_empty_is_refused(tmp_path):
    ships = write_fake_airbus(tmp_path / "few", ships=(0, 0, 0, 0, 0, 0, 1))
    with pytest.raises(BenchError, match=r"few' with balance_ships 1, empty_fraction 0\.0 has no .* images \(train"):
        pack.prepare(AIRBUS, SIZE, data_dir=ships, params={"balance_ships": 1, "empty_fraction": 0.0})


def test_a_changed_table_is_noticed(ships, reads):
    before = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    table = ships / "train_ship_segmentations_v2.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()]
    write_table(table, rows[0], [(name, "1 2") if name == "000000003.jpg" else (name, text) for name, text in rows[1:]])
    after = pack.prepare(AIRBUS, SIZE, data_dir=ships)
    assert after.fingerprint != before.fingerprint
    assert after.truth(after.names.index("000000003")).sum() == 2


def test_corrupt_rows_of_a_table_are_left_out_and_counted(ships):
    with (ships / "train_ship_segmentations_v2.csv").open("a") as file:
        file.write("00000000b.jpg,5 0\nabsent.jpg,1 2\n")
    with pytest.raises(BenchError) as error:
        pack.prepare(AIRBUS, SIZE, data_dir=ships)
    assert "2 of the 13 samples of 'airbus' can't be read" in str(error.value)
    assert "segmentations_v2.csv, row 18, 00000000b.jpg: the run-length text can't be read" in str(error.value)
    assert "segmentations_v2.csv, row 19, absent.jpg: " in str(error.value)
    made = pack.prepare(AIRBUS, SIZE, data_dir=ships, skip_corrupt=True)
    assert len(made.names) == 11
    assert made.notes == ("2 corrupt samples left out: 00000000b, absent",)


def test_a_message_lists_only_so_many_problems(ships):
    with (ships / "train_ship_segmentations_v2.csv").open("a") as file:
        file.writelines(f"absent{number}.jpg,\n" for number in range(60))
    with pytest.raises(BenchError) as error:
        pack.prepare(AIRBUS, SIZE, data_dir=ships)
    assert str(error.value).count("missing") == 50
    assert str(error.value).endswith("and 10 more")


def test_a_disk_that_fills_under_a_pack_is_one_line_and_leaves_nothing(pets, cache, monkeypatch):
    def full(descriptor, offset, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BenchError, match="No space left on device"):
        pack.prepare(PETS, SIZE, data_dir=pets)
    assert not [path for path in cache.rglob("*") if path.name.endswith(".part")]


def test_the_space_of_a_pack_is_reserved_before_it_is_filled(pets, monkeypatch, cache):
    sizes = []

    def looking(*args):
        sizes.extend(path.stat().st_blocks * 512 for path in cache.rglob("images.u8"))
        return decode.read_row(*args)

    monkeypatch.setattr(pack_writer, "read_row", looking)
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert min(sizes) >= 12 * 24 * 32 * 3


# ---------------------------------------------------------------- taken up again


def stopped(pets, monkeypatch, after, error=KeyboardInterrupt):
    """Pack until some samples have been read; return the bytes of the images that are there then."""
    names = []

    def until(source, sample, size, resize):
        if len(names) == after:
            raise error
        names.append(sample.name)
        return decode.read_row(source, sample, size, resize)

    with monkeypatch.context() as broken:
        broken.setattr(pack_writer, "read_row", until)
        broken.setattr(pack_writer, "threads_for", lambda folder: 1)
        with pytest.raises(error):
            pack.prepare(PETS, SIZE, data_dir=pets)


def packed(cache):
    """The content of the only pack, without its manifest's first line."""
    (folder,) = [path for path in (cache / "packs").iterdir() if path.is_dir()]
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def unfinished(cache):
    (folder,) = (cache / "packs").glob("*.part")
    return folder


@pytest.fixture
def whole(pets, cache):
    """What an uninterrupted process writes."""
    pack.prepare(PETS, SIZE, data_dir=pets)
    found = packed(cache)
    shutil.rmtree(cache)
    return found


@pytest.mark.parametrize("after", [0, 1, 7, 11])
def test_an_interrupted_pack_goes_on_where_it_was(pets, cache, monkeypatch, reads, capfd, whole, after):
    stopped(pets, monkeypatch, after)
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole
    assert len(reads) == 12 - after
    assert ("of 12 images were packed before" in capfd.readouterr().err) == (after > 0)


def test_an_interruption_while_a_pack_is_taken_up_loses_nothing_of_it(pets, cache, monkeypatch, reads, whole):
    stopped(pets, monkeypatch, 8)
    crc, looked = unfinished_rows._crc, []

    def until(*parts):
        looked.append(parts)
        if len(looked) == 4:
            raise KeyboardInterrupt
        return crc(*parts)

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(unfinished_rows, "_crc", until)
        pack.prepare(PETS, SIZE, data_dir=pets)
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole
    assert len(reads) == 12 - 8


HARM = {
    "a torn line": lambda part: cut(part / "journal.jsonl", 5),
    "no journal": lambda part: (part / "journal.jsonl").unlink(),
    "an empty journal": lambda part: (part / "journal.jsonl").write_bytes(b""),
    "garbage in the journal": lambda part: append(part / "journal.jsonl", b"[1, \xff]\n{}\n[]\n"),
    "lost bytes of an image": lambda part: cut(part / "images.u8", 100),
    "zeros for an image": lambda part: append(part / "images.u8", bytes(500), -500),
    "lost labels": lambda part: (part / "truth.runs").write_bytes(b""),
    "reserved space": lambda part: append(part / "images.u8", bytes(5000)),
    "no file": lambda part: (part / "labels.u8").unlink(),
    "a link": lambda part: ((part / "labels.u8").unlink(), (part / "labels.u8").symlink_to("images.u8")),
}


def cut(path, count):
    os.truncate(path, path.stat().st_size - count)


def append(path, content, place=0):
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_END)
        file.write(content)


@pytest.mark.parametrize("name", HARM)
def test_whatever_a_killed_process_has_left_the_pack_is_the_same(pets, cache, monkeypatch, reads, whole, name):
    stopped(pets, monkeypatch, 8)
    HARM[name](unfinished(cache))
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole
    assert 4 <= len(reads) <= 12


def test_of_what_was_packed_only_rows_before_a_changed_file_are_taken_up(pets, monkeypatch, reads):
    place = [sample.name for sample in open_source(PETS, pets).samples].index("beagle_4")
    stopped(pets, monkeypatch, 11)
    reads.clear()
    os.utime(pets / "images" / "beagle_4.jpg", (1, 1))
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert len(reads) == 12 - place


@pytest.mark.parametrize("after", [1, 7, 11])
def test_what_was_packed_before_a_disk_was_full_stays(pets, cache, monkeypatch, reads, capfd, whole, after):
    append = unfinished_rows.Unfinished.append

    def full(files, number, row):
        if number < after:
            return append(files, number, row)
        files._files[0].write(row.image.tobytes()[:100])  # half a row
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(unfinished_rows.Unfinished, "append", full)
        with pytest.raises(BenchError, match="No space left on device"):
            pack.prepare(PETS, SIZE, data_dir=pets)
    assert f"What was packed stays in '{unfinished(cache)}'" in capfd.readouterr().err
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole
    assert len(reads) == 12 - after


def test_a_disk_that_is_full_for_the_manifest_loses_no_row(pets, cache, monkeypatch, reads, whole):
    def full(path, manifest):
        path.write_bytes(b"{")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(pack_writer, "write_manifest", full)
        with pytest.raises(BenchError, match="No space left on device"):
            pack.prepare(PETS, SIZE, data_dir=pets)
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole and not reads


def test_a_sample_that_was_broken_is_looked_at_again(pets, cache, monkeypatch, reads, whole):
    """Its file can be read the second time, with size and time as they were: what follows it is packed anew."""
    image, read = pets / "images" / "beagle_4.jpg", decode.read_row
    place = [sample.name for sample in open_source(PETS, pets).samples].index("beagle_4")

    def flaky(source, sample, size, resize):
        if sample.name == "beagle_4":
            raise BenchError(f"{image}: the disk is gone.")
        return read(source, sample, size, resize)

    with monkeypatch.context() as broken:
        broken.setattr(decode, "read_row", flaky)
        stopped(pets, monkeypatch, 11)
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    assert packed(cache) == whole
    assert len(reads) >= 12 - place


def test_a_file_that_is_mended_after_a_failed_pack_costs_no_row_before_it(pets, cache, reads, whole):
    image = pets / "images" / "beagle_4.jpg"
    place, content = [sample.name for sample in open_source(PETS, pets).samples].index("beagle_4"), image.read_bytes()
    image.write_bytes(b"no image")
    with pytest.raises(BenchError, match="can't be read"):
        pack.prepare(PETS, SIZE, data_dir=pets)
    with pytest.raises(BenchError, match="can't be read"):  # nor is a row lost by asking twice
        pack.prepare(PETS, SIZE, data_dir=pets)
    image.write_bytes(content)
    reads.clear()
    pack.prepare(PETS, SIZE, data_dir=pets)
    found = packed(cache)
    assert all(found[name] == whole[name] for name in DATA_FILES)
    assert 12 - place <= len(reads) <= 13 - place  # the mended one was looked at first
    assert not list((cache / "packs").glob("*.part"))
