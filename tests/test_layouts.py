"""The layouts of people's folders: every fixture is recognised, and read as it was drawn."""

from pathlib import Path

import pytest
from layout_fixtures import FIXTURES, Written, layout_of

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.datasets import folder, layouts
from bench.datasets.layout import Masks


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def here(tmp_path):
    return tmp_path / "mine"


every_fixture = pytest.mark.parametrize("name", FIXTURES)


def check(place: Path, written: Written) -> None:
    """Compare all that is read from a folder with what was drawn."""
    found = folder.load(place)
    assert found.classes == written.classes
    labels = {sample.name: found.read(sample)[1] for sample in found.samples}
    assert labels.keys() == written.labels.keys()
    for name, mask in written.labels.items():
        assert (labels[name] == mask).all(), name
    if written.splits:
        assert {sample.name: sample.split for sample in found.samples} == written.splits


def test_every_layout_has_a_fixture():
    assert {layout_of(name) for name in FIXTURES} == set(layouts.layouts())


@every_fixture
def test_a_folder_is_recognised_by_its_own_layout_alone(here, name):
    FIXTURES[name](here)
    assert [found.name for found in layouts.fitting(here)] == [layout_of(name)]


@every_fixture
def test_labels_and_splits_are_read_as_they_were_drawn(here, name):
    check(here, FIXTURES[name](here))


@every_fixture
def test_a_sound_folder_has_no_warning_and_says_its_layout(here, name):
    FIXTURES[name](here)
    found = folder.load(here)
    assert found.warnings == ()
    assert found.notes[0].startswith(f"read as the layout {layout_of(name)} (")


@every_fixture
def test_what_systems_leave_in_folders_changes_nothing(here, name):
    written = FIXTURES[name](here)
    for path in list(here.rglob("*")):
        if path.is_file():
            (path.parent / f"._{path.name}").write_bytes(b"\0\5\26\7")
            (path.parent / "Thumbs.db").write_bytes(b"x")
            (path.parent / ".DS_Store").write_bytes(b"x")
    check(here, written)


@every_fixture
def test_a_missing_mask_is_one_line_that_names_it(here, name):
    FIXTURES[name](here)
    contents = layouts.choose(here).read(here)
    if not isinstance(contents.labels, Masks):
        pytest.skip("its labels have no file of their own")
    item = next(item for item in contents.items if item.split in ("", "train"))
    item.labels.unlink()
    found = folder.load(here)
    (sample,) = [sample for sample in found.samples if sample.name == item.name]
    with pytest.raises(DataFault, match=r"missing\.$") as error:
        found.read(sample)
    assert error.value.kind == "missing"
    assert "\n" not in str(error.value)


@every_fixture
def test_a_layout_can_be_chosen_by_name(here, name):
    FIXTURES[name](here)
    assert folder.load(here, layout=layout_of(name)).notes == folder.load(here).notes


def test_an_unknown_layout_is_told_the_known_ones(here):
    FIXTURES["images-masks"](here)
    with pytest.raises(BenchError, match=r"The layout 'vocc' is unknown\. Accepted: .*images-masks"):
        folder.load(here, layout="vocc")


def test_a_folder_around_the_data_set_says_which_to_give(here):
    FIXTURES["images-masks"](here / "unpacked")
    with pytest.raises(BenchError, match=r"Its folder unpacked is read as images-masks: give folder:.*unpacked\."):
        folder.load(here)


def test_a_folder_that_two_layouts_fit_is_an_error_that_names_both(here, monkeypatch):
    FIXTURES["images-masks"](here)
    one = layouts.layouts()["images-masks"]
    monkeypatch.setattr(layouts, "layouts", lambda: {"a": one, "b": one})
    with pytest.raises(BenchError, match=r"as images-masks \(.*\) and images-masks \(.*\)\. Say which with .*layout="):
        folder.load(here)
