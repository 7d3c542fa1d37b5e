"""Groups, splits and the choice of images: the same on every machine, for every data set, as ever for airbus."""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pytest
from fakes import write_fake_airbus, write_fake_carvana, write_fake_folder, write_fake_pets
from PIL import Image
from typer.testing import CliRunner

from bench import api
from bench.cli import app
from bench.config import catalog
from bench.core.dataset_protocol import DataFault, Sample
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.core.specs import DatasetSpec, Param
from bench.data.selection.choose import Selection, select
from bench.data.selection.object_counts import count_objects, foreground_tenths
from bench.data.source import open_source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def ships(tmp_path):
    return write_fake_airbus(tmp_path / "airbus", ships=[0] * 30 + [1] * 12 + [2] * 4, size=(32, 32))


def opened(name, folder, **params):
    spec, data_dir = catalog.find_dataset(name, folder)
    return open_source(spec, data_dir, params)


def own(folder, **params):
    return opened(f"folder:{folder}", None, **params)


def splits(source):
    return {sample.name: sample.split for sample in source.samples}


def digest(source):
    lines = sorted(f"{s.name}\t{s.split}\t{s.group}\t{s.token}\n" for s in source.samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


# ---------------------------------------------------------------- as ever


@pytest.mark.parametrize(
    "params, count, expected",
    [
        ({}, 46, "999bacf2639b91d4"),
        ({"balance_ships": 5}, 14, "6faa29d610e79d86"),
        ({"balance": 5}, 14, "6faa29d610e79d86"),
        ({"balance_ships": 4, "empty_fraction": 0.3}, 12, "26c21e631e48a252"),
        ({"empty_fraction": 0.2}, 22, "af2d591af609a318"),
    ],
)
def test_airbus_has_the_tiles_and_splits_that_it_always_had(ships, params, count, expected):
    source = opened("airbus", ships, **params)
    assert (len(source.samples), digest(source)) == (count, expected)


def test_carvana_has_the_splits_that_it_always_had(tmp_path):
    folder = write_fake_carvana(tmp_path / "cars", cars=20, views=2, size=(8, 12))
    assert digest(opened("carvana", folder)) == "7763c68658043cda"


# ---------------------------------------------------------------- thinning


def ships_of(source):
    counts = source.dataset.object_counts()
    return Counter(counts[sample.name] for sample in source.samples)


def test_a_share_of_the_empty_images_is_kept(ships):
    half = opened("airbus", ships, empty_fraction=0.5)
    assert ships_of(half) == {0: 15, 1: 12, 2: 4}
    assert half.notes == ("31 of 46 images chosen (empty_fraction 0.5)",)
    assert set(splits(opened("airbus", ships, empty_fraction=0.2))) < set(splits(half))


def test_at_most_so_many_images_of_each_number_of_objects(ships):
    assert ships_of(opened("airbus", ships, balance=5)) == {0: 5, 1: 5, 2: 4}
    assert ships_of(opened("airbus", ships, balance=5, empty_fraction=0.1)) == {0: 3, 1: 5, 2: 4}


def test_choosing_images_moves_none_to_another_split(ships):
    every = splits(opened("airbus", ships))
    assert splits(opened("airbus", ships, balance=4, empty_fraction=0.3)).items() <= every.items()


def test_only_the_training_split_is_thinned_if_asked_for(ships):
    every, thinned = splits(opened("airbus", ships)), splits(opened("airbus", ships, balance=2, sample_splits="train"))
    assert {k: v for k, v in thinned.items() if v != "train"} == {k: v for k, v in every.items() if v != "train"}
    train = Counter(open_counts(ships)[name] for name, split in thinned.items() if split == "train")
    assert max(train.values()) == 2


def open_counts(ships):
    return opened("airbus", ships).dataset.object_counts()


def test_both_names_of_a_parameter_are_refused(ships):
    with pytest.raises(BenchError, match="another name of it"):
        opened("airbus", ships, balance=5, balance_ships=4)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"balance": -1}, "The parameter balance is -1. Accepted: 0 for all images"),
        ({"empty_fraction": 1.5}, "The parameter empty_fraction is 1.5. Accepted: a share from 0 to 1"),
        ({"empty_fraction": float("nan")}, "The parameter empty_fraction is nan"),
        ({"split": "tags"}, "The parameter split is 'tags'. Accepted: group, random"),
        ({"sample_splits": "val"}, "The parameter sample_splits is 'val'. Accepted: all, train"),
    ],
)
def test_impossible_choices_are_refused(ships, params, says):
    with pytest.raises(BenchError) as error:
        opened("airbus", ships, **params)
    assert says in str(error.value)


def blank(folder, names):
    for name in names:
        mask = folder / "masks" / f"{name}.png"
        Image.fromarray(np.zeros_like(np.asarray(Image.open(mask)))).save(mask)


def test_a_folder_is_thinned_by_its_share_of_foreground_and_the_count_is_cached(tmp_path, cache, monkeypatch):
    folder = write_fake_folder(tmp_path / "mine", count=30)
    blank(folder, [f"s{i}" for i in range(10)])
    kept = own(folder, empty_fraction=0.2, sample_splits="train")
    trained = {name for name, split in splits(kept).items() if split == "train"}
    empty = {f"s{i}" for i in range(10)}
    before = {name for name, split in splits(own(folder)).items() if split == "train"}
    assert trained - empty == before - empty
    assert len(trained & empty) == round(0.2 * len(before & empty))
    (file,) = (cache / "facts").glob("counts-*.log")
    monkeypatch.setattr(
        "bench.data.selection.object_counts.foreground_tenths", lambda *_: 1 / 0
    )  # nothing is read again
    assert splits(own(folder, empty_fraction=0.2, sample_splits="train")) == splits(kept)
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(cache))
    file.write_text("")  # a damaged cache is no reason to fail
    assert splits(own(folder, empty_fraction=0.2, sample_splits="train")) == splits(kept)


@pytest.mark.parametrize(
    "labels, background, expected",
    [
        ([0, 0, 0, 0], 0, 0),
        ([0, 0, 0, 1], 0, 3),  # 2.5 tenths
        ([2, 1, 1, 1], 0, 10),
        ([1, 1, 1, 1], 1, 0),  # pets: class 1 is the background
        ([255, 255, 0, 1], 0, 5),  # of the labelled pixels
        ([255, 255, 255, 255], 0, 0),
    ],
)
def test_the_share_of_foreground_is_in_tenths_of_the_labelled_pixels(labels, background, expected):
    assert foreground_tenths(np.array([labels], np.uint8), background) == expected


@dataclass(frozen=True)
class Numbers:
    """Images of one row; an image's name tells its numbered objects."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    def instances(self, sample):
        if sample.name == "broken":
            raise DataFault("broken", "unreadable")
        return np.array([[int(digit) for digit in sample.name]], np.uint16)


def test_objects_are_counted_by_their_numbers_and_what_cannot_be_read_stays():
    names = ("0000", "0100", "5522", "1230", "broken")
    dataset = Numbers(tuple(Sample(name, "train", name, token=name) for name in names))
    spec = DatasetSpec("numbers", "x:load", ("background", "digit"))
    assert count_objects(dataset, dataset.samples, spec, "") == {"0000": 0, "0100": 1, "5522": 2, "1230": 3}
    chosen = select(spec, dataset, None, Selection(empty_fraction=0.0))
    assert [sample.name for sample in chosen.samples] == ["0100", "5522", "1230", "broken"]


# ---------------------------------------------------------------- groups


@pytest.fixture
def patients(tmp_path):
    """Return a folder of 30 images of 10 patients, three views of each."""
    folder = write_fake_folder(tmp_path / "scans", count=30, size=(8, 12))
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        for i in range(30):
            (folder / part / f"s{i}{suffix}").rename(folder / part / f"p{i // 3}_view{i % 3}{suffix}")
    return folder


def members(source):
    found = defaultdict(set)
    for sample in source.samples:
        found[sample.name.partition("_")[0]].add(sample.split)
    return found


@pytest.mark.parametrize("pattern", [r"(p\d+)_", r"^p\d{1,2}", r"p(\d+)_view(\d)"])
def test_what_a_pattern_groups_is_in_one_split(patients, pattern):
    assert any(len(found) > 1 for found in members(own(patients)).values())
    source = own(patients, group_by=pattern)
    assert all(len(found) == 1 for found in members(source).values())
    assert len({sample.group for sample in source.samples}) == 10
    assert set(splits(source).values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    "pattern, says",
    [
        ("(p[1-9])_", "finds no group in 3 of 30 names of 'folder:scans': p0_view0, p0_view1, p0_view2"),
        ("x*", "finds no group in 30 of 30 names"),
        ("(p", "which is no regular expression"),
        ("(q)|p", "finds no group in 30 of 30 names"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused_with_names(patients, pattern, says):
    with pytest.raises(BenchError) as error:
        own(patients, group_by=pattern)
    assert says in str(error.value)


def test_a_pattern_fits_names_in_any_unicode_form(tmp_path):
    folder = write_fake_folder(tmp_path / "cars", count=6, size=(8, 12))
    for i in range(6):
        for part, suffix in (("images", ".jpg"), ("masks", ".png")):
            name = unicodedata.normalize("NFC" if i % 2 else "NFD", f"K\xfche {i // 2}.{i}")
            (folder / part / f"s{i}{suffix}").rename(folder / part / f"{name}{suffix}")
    source = own(folder, group_by="K\xfche \\d")
    assert {sample.group for sample in source.samples} == {f"K\xfche {i}" for i in range(3)}


def test_python_takes_the_parameter_that_has_the_name_of_an_argument(patients):
    read = api.load_dataset(f"folder:{patients}", split="val", group_by="p[0-9]", dataset_params={"split": "random"})
    single = own(patients, group_by="p[0-9]", split="random")
    assert [sample.name for sample in read.samples] == [sample.name for sample in single.of_split("val")]


@pytest.mark.parametrize("head, ending", [("name,group", ""), ("\ufeffGroup , Name", ""), ("name,group", ".jpg")])
def test_a_table_groups_a_folder(patients, head, ending):
    order = [part.strip().lower() for part in head.strip("\ufeff").split(",")]
    rows = [{"name": f"p{i}_view{j}{ending}", "group": f"patient {i}"} for i in range(10) for j in range(3)]
    lines = [head, *(",".join(row[name] for name in order) for row in rows), ""]
    (patients / "groups.csv").write_text("\n".join(lines), encoding="utf-8")
    source = own(patients)
    assert all(len(found) == 1 for found in members(source).values())
    assert {sample.group for sample in source.samples} == {f"patient {i}" for i in range(10)}
    assert {s.group for s in own(patients, group_by=r"p\d").samples} == {f"p{i}" for i in range(10)}


@pytest.mark.parametrize(
    "text, says",
    [
        ("name;group\np0_view0;1\n", "its first line is 'name;group'. Accepted: UTF-8 with the columns name,group"),
        ("", "its first line is ''"),
        ("name,group\np0_view0,1\n", "it has no row for 29 of 30 images: p0_view1"),
        ("name,group\np0_view0,1\np0_view0,2\n", "row 3: 'p0_view0' is also in the group '1'"),
        ("name,group\np0_view0\n", "row 2: the name or the group is empty"),
        ("name,group\np\xe4,1\n".encode("latin-1"), "can't be read"),
    ],
)
def test_a_table_that_leaves_doubt_is_refused(patients, text, says):
    (patients / "groups.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BenchError) as error:
        own(patients)
    assert "groups.csv" in str(error.value)
    assert says in str(error.value)


def test_images_can_be_divided_one_by_one(patients):
    whole = own(patients, group_by="p[0-9]")
    single = own(patients, group_by="p[0-9]", split="random")
    assert splits(single) == splits(own(patients))
    assert [sample.group for sample in single.samples] == [sample.group for sample in whole.samples]
    cars = write_fake_carvana(patients.parent / "cars", cars=4, views=6, size=(8, 12))
    assert any(len(found) > 1 for found in members(opened("carvana", cars, split="random")).values())


def test_groups_that_official_lists_divide_are_named(tmp_path):
    pets = write_fake_pets(tmp_path / "pets")
    with pytest.raises(BenchError) as error:
        opened("pets", pets, group_by=r"^(\w+)_\d+$")
    assert "2 groups are in several splits: 'Abyssinian' (" in str(error.value)
    assert "leave out group_by" in str(error.value)
    with pytest.raises(BenchError, match="split=random can't be used with 'pets'"):
        opened("pets", pets, split="random")
    grouped = opened("pets", pets, group_by=r"_(\d+)$")
    assert {sample.group for sample in grouped.samples} == {str(i + 1) for i in range(12)}


def test_a_plug_ins_own_groups_that_its_own_splits_divide_are_a_warning():
    spec = DatasetSpec("mine", "x:load", ("background", "digit"))
    dataset = Numbers(tuple(Sample(f"{i}", ("train", "val", "test")[i % 3], "one", token=str(i)) for i in range(6)))
    (warning,) = select(spec, dataset, None, Selection()).warnings
    assert "the group is in several splits: 'one' (0 in train, 1 in val, 2 in test)" in warning


def test_a_data_sets_own_parameter_of_a_common_name_stays_its_own():
    spec = DatasetSpec("mine", "x:load", ("a", "b"), params=(Param("balance", "str", "left"),))
    assert [param.default for param in spec.all_params if param.name == "balance"] == ["left"]
    assert "group_by" in {param.name for param in spec.all_params}


# ---------------------------------------------------------------- the commands


def test_the_short_option_is_the_parameter(patients, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    runner = CliRunner()
    shown = runner.invoke(app, ["show-dataset", f"folder:{patients}", "--group-by", r"^p\d{1,2}"])
    assert shown.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in shown.output.splitlines() if line.split()}
    assert sum(int(rows[split][1]) for split in ("train", "val", "test")) == 10
    assert rows["empty_fraction"][0] == "1"
    wrong = runner.invoke(app, ["prepare", f"folder:{patients}", "--check", "--group-by", "q"])
    assert wrong.exit_code == 2
    assert "group_by 'q' finds no group" in wrong.stderr
    planned = ["run", "--arch", "unet", "--dataset", f"folder:{patients}", "--group-by", "(", "--dry-run"]
    assert "which is no regular expression" in runner.invoke(app, planned).stderr


# ---------------------------------------------------------------- doubts of groups


def test_an_empty_expression_is_refused(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=12)
    for given in ("", "  "):
        found = CliRunner().invoke(app, ["prepare", f"folder:{folder}", "--check", "--group-by", given])
        assert (found.exit_code, "--group-by is empty" in found.output) == (2, True)


def test_an_option_with_an_underscore_is_told_its_hyphen(tmp_path):
    found = CliRunner().invoke(app, ["prepare", f"folder:{tmp_path}", "--group_by", "a"])
    assert (found.exit_code, "Did you mean --group-by?" in found.output) == (2, True)


def test_groups_of_one_image_each_are_a_warning(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=12)
    (warning,) = own(folder, group_by=r"(\w+)").warnings
    assert warning.startswith("12 groups for 12 images: group_by keeps nothing together.")
    (folder / "groups.csv").write_text("name,group\n" + "".join(f"s{n},g{n}\n" for n in range(12)), encoding="utf-8")
    assert "groups.csv keeps nothing together" in own(folder).warnings[0]


def test_one_group_for_all_says_to_mark_what_differs(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=12)
    with pytest.raises(BenchError, match=r"all 12 names give the one group 's'. Put \( \) around"):
        own(folder, group_by="s")


def test_groups_that_a_random_split_parts_are_counted(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=20)
    (warning,) = own(folder, group_by=r"s\d", split="random").warnings
    assert re.match(r"by split=random, \d of 10 groups lie in several splits, .* too good: 's1' \(", warning)


def test_training_images_that_become_validation_are_counted(tmp_path):
    folder = write_fake_folder(tmp_path / "mine", count=40)
    for split, numbers in (("train", range(30)), ("test", range(30, 40))):
        (folder / f"{split}.txt").write_text("\n".join(f"s{n}" for n in numbers), encoding="utf-8")
    source = own(folder)
    moved = len(source.of_split("val"))
    says = f"{moved} of 30 training images are the validation split: about a tenth of the groups, by a hash"
    assert moved and says in source.notes
