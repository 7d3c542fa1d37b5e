"""The layouts of people's folders: every fixture is recognised, and read as it was drawn."""

import json
import re
import shutil
from pathlib import Path

import annotation_fixtures  # noqa: F401 - registers its fixtures
import fsspec
import numpy as np
import pytest
from layout_fixtures import FIXTURES, VOC_CLASSES, Written, layout_of, save, save_text, voc_palette
from PIL import Image

from bench import api
from bench.config import catalog
from bench.config.grid import expand
from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.core.files import VARIABLE
from bench.data.reading.decode import digest_of
from bench.data.source import open_source
from bench.datasets import folder, layouts, mask_survey
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
    found = folder.load(place, **written.params)
    assert found.classes == written.classes
    labels = {sample.name: found.read(sample)[1] for sample in found.samples}
    assert labels.keys() == written.labels.keys()
    for name, mask in written.labels.items():
        assert (labels[name] == mask).all(), name
    if written.splits:
        assert {sample.name: sample.split for sample in found.samples} == written.splits


def test_every_layout_has_a_fixture():
    assert {layout_of(name) for name in FIXTURES} == set(layouts.layouts())


def test_every_layout_has_a_section_in_the_documents():
    page = (Path(__file__).parents[1] / "docs/data.md").read_text(encoding="utf-8")
    assert not [name for name in layouts.layouts() if not re.search(rf"^### {name}$|`layout={name}`", page, re.M)]


@every_fixture
def test_a_folder_is_recognised_by_its_own_layout_alone(here, name):
    FIXTURES[name](here)
    assert [found.name for found in layouts.fitting(here)] == [layout_of(name)]


@every_fixture
def test_labels_and_splits_are_read_as_they_were_drawn(here, name):
    check(here, FIXTURES[name](here))


@every_fixture
def test_a_sound_folder_has_no_warning_and_says_its_layout(here, name):
    params = FIXTURES[name](here).params
    found = open_source(catalog.find_dataset(f"folder:{here}")[0], here, params)
    assert found.warnings == ()
    assert {sample.split for sample in found.samples} == {"train", "val", "test"}
    assert found.notes[0].startswith(f"read as the layout {layout_of(name)} (")


@every_fixture
def test_an_address_is_read_as_its_folder_is(here, name):
    params = FIXTURES[name](here).params
    memory = fsspec.filesystem("memory")
    for path in here.rglob("*"):
        if path.is_file():
            memory.pipe(f"/{name}/data/{path.relative_to(here).as_posix()}", path.read_bytes())
    spec = catalog.find_dataset(f"folder:{here}")[0]
    local, remote = (open_source(spec, place, params) for place in (here, f"memory://{name}/data"))
    assert [_facts(sample) for sample in local.samples] == [_facts(sample) for sample in remote.samples]
    assert (local.notes, local.warnings) == (remote.notes[1:], remote.warnings)
    for sample, other in zip(local.samples, remote.samples, strict=True):
        for one, same in zip(local.dataset.read(sample), remote.dataset.read(other), strict=True):
            assert (one == same).all()


def _facts(sample):
    return sample.name, sample.split, sample.group, sample.token, digest_of(sample)


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
    params = FIXTURES[name](here).params
    contents = layouts.choose(here).read(here, **params)
    if not isinstance(contents.labels, Masks):
        pytest.skip("its labels have no file of their own")
    item = next(item for item in contents.items if item.split in ("", "train"))
    item.labels.unlink()
    found = folder.load(here)
    sample = next((sample for sample in found.samples if sample.name == item.name), None)
    if sample is None:
        assert any(note.startswith("1 of ") and note.endswith("no mask and are left out") for note in found.notes)
        return
    with pytest.raises(DataFault, match=r"missing\.$") as error:
        found.read(sample)
    assert error.value.kind == "missing"
    assert "\n" not in str(error.value)


@every_fixture
def test_a_layout_can_be_chosen_by_name(here, name):
    params = FIXTURES[name](here).params
    assert folder.load(here, layout=layout_of(name), **params).notes == folder.load(here, **params).notes


@every_fixture
def test_classes_json_counts_before_the_layouts_classes(here, name):
    params = FIXTURES[name](here).params
    contents = layouts.choose(here).read(here, **params)
    if not isinstance(contents.labels, Masks):
        pytest.skip("its labels have no values")
    masks = [item.labels for item in contents.items]
    facts = mask_survey.survey(masks).values()
    coloured = any(found.kind == "colours" for found in facts)
    values = sorted({value for found in facts for value in (found.colours if coloured else found.values)})
    given = {"classes": {"first": values[0], "other": values[1:]}, "from": "palette" if coloured else "index"}
    save_text(here / "classes.json", json.dumps(given))
    found = folder.load(here)
    assert found.classes == ("first", "other")
    for sample in found.samples[:3]:
        mask = np.array(Image.open(sample.files[1]))
        first = (mask == [*bytes.fromhex(values[0][1:])]).all(-1) if coloured else mask == values[0]
        assert (found.read(sample)[1] == ~first).all()


@pytest.mark.parametrize("name", layouts.layouts())
def test_a_layout_chosen_for_a_folder_of_another_kind_is_one_line(here, name):
    save_text(here / "unlike" / "anything.txt", "x")
    with pytest.raises(BenchError) as error:
        open_source(catalog.find_dataset(f"folder:{here}")[0], here, {"layout": name})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, table",
    [
        ("voc:labelme", "class_names.txt"),
        ("cvat-masks", "labelmap.txt"),
        ("ade20k:names", "objectInfo150.txt"),
        ("camvid:kaggle", "class_dict.csv"),
        ("nnunet", "dataset.json"),
        ("roboflow-masks", "train/_classes.csv"),
    ],
)
def test_a_table_of_classes_in_another_encoding_is_named(here, name, table):
    FIXTURES[name](here)
    (here / table).write_bytes("Straße".encode("latin-1"))
    with pytest.raises(BenchError, match=rf"{Path(table).name}: .*can't (be read|decode)"):
        folder.load(here)


def test_an_unknown_layout_is_told_the_known_ones(here):
    FIXTURES["images-masks"](here)
    with pytest.raises(BenchError, match=r"Unknown layout 'vocc'\. Did you mean 'voc'\? Available: .*images-masks"):
        folder.load(here, layout="vocc")
    with pytest.raises(BenchError, match=r"Unknown layout 'VOC'\. Did you mean 'voc'\?"):
        folder.load(here, layout="VOC")


def test_annotations_of_an_inner_folder_are_not_those_of_the_folder_around_it(here):
    FIXTURES["coco"](here / "first")
    FIXTURES["images-masks"](here / "second")
    says = r"Its folder first is read as coco: give folder:.*first\. So are second \(images-masks\)\."
    with pytest.raises(BenchError, match=says):
        folder.load(here)


def test_inner_folders_of_one_layout_are_read_together_only_if_it_is_named(here):
    for name in ("monday", "tuesday"):
        FIXTURES["labelme"](here / name)
        (here / name / "labels.txt").unlink()
    with pytest.raises(BenchError, match="layout=labelme reads all of them together"):
        folder.load(here)
    assert len(folder.load(here, layout="labelme").samples) == 24


def test_annotation_files_are_named_and_many_left_out_images_are_a_warning(here):
    FIXTURES["coco"](here)
    for number in range(13):
        save(np.zeros((4, 6, 3), np.uint8), here / "others" / f"{number}.jpg")
    found = folder.load(here)
    assert any(note.startswith("annotations of annotations/instances_") for note in found.notes)
    (warning,) = found.warnings
    assert re.match(r"13 images are in no annotation file and left out \(the first: others/0\.jpg\)", warning)


def test_a_file_in_the_place_of_a_folder_says_which_folder_to_give(here):
    FIXTURES["coco"](here)
    file = here / "annotations/instances_train2017.json"
    with pytest.raises(BenchError, match=r"is a file\. Give the folder"):
        folder.load(file)


def test_a_layout_that_doesnt_fit_says_what_it_needs_and_what_the_folder_looks_like(here):
    FIXTURES["images-masks"](here)
    for name in ("voc", "cvat-masks", "nnunet"):
        with pytest.raises(BenchError, match=rf"The layout {name} needs .*looks like images-masks: give that"):
            folder.load(here, layout=name)


def test_a_folder_of_a_library_is_told_its_prefix(here):
    save_text(here / "saved" / "dataset_dict.json", "{}")
    save_text(here / "prepared" / "dataset_info.json", '{"name": "scenes"}')
    save_text(here / "prepared" / "features.json", "{}")
    for name, says in (("saved", "write hf:.*saved"), ("prepared", "write tfds:scenes --data-dir .*prepared")):
        with pytest.raises(BenchError, match=says):
            folder.load(here / name)


@pytest.mark.parametrize(
    "name, says",
    [
        ("Folder:x", "Did you mean 'folder:x'.*hf:OWNER/NAME"),
        ("folders:x", "Did you mean 'folder:x'"),
        ("folder=x", "Did you mean 'folder:x'"),
        ("huggingface:x/y", "Data sets with a prefix: folder:PATH"),
        ("hf:absent", "There is no such folder"),
        ("hf:./absent", "There is no such folder"),
    ],
)
def test_a_wrong_prefix_or_path_is_told_what_there_is(name, says):
    with pytest.raises(BenchError, match=says):
        catalog.find_dataset(name)


def test_an_own_folder_given_to_hugging_face_is_told_its_prefix(here):
    FIXTURES["voc"](here)
    with pytest.raises(BenchError, match="read as voc: write folder:"):
        catalog.find_dataset(f"hf:{here}")


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


# ---------------------------------------------------------------- VOC and CVAT


def test_images_of_voc_without_a_mask_are_counted(here):
    FIXTURES["voc"](here)
    assert "12 of 24 images have no mask and are left out" in folder.load(here).notes


def test_a_listed_image_of_voc_needs_its_mask_but_for_the_test_list(here):
    written = FIXTURES["voc"](here)
    save_text(here / "ImageSets/Segmentation/test.txt", "2008_000003")
    check(here, written)
    save_text(here / "ImageSets/Segmentation/val.txt", "2008_000003", "2007_000011")
    save_text(here / "ImageSets/Segmentation/test.txt")
    found = folder.load(here)
    (sample,) = [sample for sample in found.samples if sample.name == "2008_000003"]
    with pytest.raises(DataFault, match=r"SegmentationClass/2008_000003\.\*: missing"):
        found.read(sample)


def test_a_name_in_two_lists_of_voc_is_refused(here):
    FIXTURES["voc"](here)
    save_text(here / "ImageSets/Segmentation/test.txt", "2007_000001")
    with pytest.raises(BenchError, match=r"train\.txt, row 2: '2007_000001' is also in the list of the split test"):
        folder.load(here)


def own_voc(place: Path, palette: list[int] | None, value: int = 1) -> None:
    """Write masks in VOC's arrangement under names that are not VOC's."""
    for number in range(4):
        mask = np.zeros((4, 6), np.uint8)
        mask[1:3] = value
        save(np.zeros((4, 6, 3), np.uint8), place / f"JPEGImages/mine{number}.jpg")
        save(mask, place / f"SegmentationClass/mine{number}.png", palette)


def test_own_masks_in_voc_folders_get_no_names_of_voc(here):
    own_voc(here, None)
    assert folder.load(here).classes == ("class_0", "class_1")
    own_voc(here, None, 255)
    assert folder.load(here).classes == ("background", "foreground")
    own_voc(here, [0, 0, 0, 9, 9, 200])
    assert folder.load(here).classes == ("class_0", "class_1")


def test_own_masks_in_vocs_colours_are_doubted_until_classes_json_names_them(here):
    own_voc(here, voc_palette())
    found = folder.load(here)
    assert found.classes == VOC_CLASSES
    assert len(found.warnings) == 1
    assert "If the classes are your own, name them in classes.json or class_names.txt" in found.warnings[0]
    save_text(here / "classes.json", '["ground", "crack"]')
    found = folder.load(here)
    assert (found.classes, found.warnings) == (("ground", "crack"), ())


@pytest.mark.parametrize("line", ["car", "car:1,2::", "car:1,2,300::", ":1,2,3::", "car:1,2,3::\ncar:4,5,6::",
                                  "car:1,2,3::\nbus:1,2,3::"])  # fmt: skip
def test_a_labelmap_that_cant_be_read_names_its_row(here, line):
    FIXTURES["cvat-masks"](here)
    save_text(here / "labelmap.txt", "background:0,0,0::", line)
    with pytest.raises(BenchError, match=r"labelmap\.txt, row [23]: ('|there is no colour)"):
        folder.load(here)


def test_a_colour_that_labelmap_lacks_is_a_fault(here):
    FIXTURES["cvat-masks"](here)
    save_text(here / "labelmap.txt", "background:0,0,0::", "car:184,61,245::")
    found = folder.load(here)
    with pytest.raises(
        DataFault, match=r"the colours \[#fafa37\] are not classes\. Accepted: #000000, #b83df5, #e0e0c0"
    ):
        found.read(found.samples[0])


# ---------------------------------------------------------------- the others


def groups(place: Path) -> set[str]:
    return {sample.group for sample in folder.load(place).samples}


def test_cities_and_drives_are_groups_unless_they_are_too_few(here, tmp_path):
    FIXTURES["cityscapes"](here)
    assert groups(here) == {"aachen", "bochum", "bremen", "cologne", "ulm"}
    FIXTURES["camvid"](tmp_path / "camvid")
    assert groups(tmp_path / "camvid") == {"0001TP", "0006R0", "0016E5", "Seq05VD"}
    for city in ("bochum", "bremen", "cologne"):
        for part in ("leftImg8bit", "gtFine"):
            shutil.rmtree(here / part / "train" / city)
    assert {"train/aachen/aachen_000000_000019", "train/aachen/aachen_000004_000019"} < groups(here)
    assert "1 cities are too few to be divided: images of one may be in two splits" in folder.load(here).notes


def test_cityscapes_can_have_train_ids(here):
    written = FIXTURES["cityscapes"](here)
    for path in (here / "gtFine").rglob("*_labelIds.png"):
        ids = np.array(Image.open(path))
        save(np.select([ids == 7, ids == 26], [0, 13], 255).astype(np.uint8),
             path.with_name(path.name.replace("labelIds", "labelTrainIds")))  # fmt: skip
        path.unlink()
    check(here, written)


def test_every_label_id_of_cityscapes_that_is_not_evaluated_is_ignored(here):
    FIXTURES["cityscapes"](here)
    path = here / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    save(np.resize(np.arange(34, dtype=np.uint8), (32, 48)), path)
    found = folder.load(here)
    (sample,) = [sample for sample in found.samples if sample.files[1] == path]
    assert (found.read(sample)[1] != 255).sum() == 19 * 45  # 32 * 48 pixels: 45 rounds of 34, then 0 to 5


def test_folders_like_ade20ks_without_its_names_can_be_read_in_two_ways(here):
    for place in ("training", "validation"):
        for number in range(3):
            save(np.zeros((4, 6, 3), np.uint8), here / f"images/{place}/{number}.jpg")
            save(np.resize(np.arange(2, dtype=np.uint8), (4, 6)), here / f"annotations/{place}/{number}.png")
    with pytest.raises(BenchError, match=r"can be read as ade20k \(.*\) and images-masks \(.*\)\. Say which with"):
        folder.load(here)
    assert folder.load(here, layout="images-masks").classes == ("class_0", "class_1")
    assert len(folder.load(here, layout="ade20k").classes) == 150


def test_a_table_of_ade20k_without_150_names_is_refused(here):
    FIXTURES["ade20k"](here)
    save_text(here / "objectInfo150.txt", "Idx\tName", "1\twall")
    with pytest.raises(BenchError, match=r"objectInfo150\.txt: it has 1 names, not 150"):
        folder.load(here)


def test_label_colours_beside_camvid_count_before_the_published_ones(here):
    FIXTURES["camvid"](here)
    save_text(here / "label_colors.txt", "64 0 128\tvehicle", "128 64 128\t\tground", "0 0 0 Void")
    found = folder.load(here)
    assert found.classes == ("vehicle", "ground")
    assert set(np.unique(found.read(found.samples[0])[1])) == {0, 1, 255}
    save_text(here / "label_colors.txt", "64 0 vehicle")
    with pytest.raises(BenchError, match=r"label_colors\.txt, row 1: there is no colour with a name\. Accepted: r g b"):
        folder.load(here)


def test_values_in_camvids_folders_are_doubted_where_no_image_is_camvids(here):
    FIXTURES["camvid:segnet"](here)
    for path in list(here.rglob("*.png")):
        path.rename(path.with_name(path.name.replace("0001TP_", "own")))
    assert [text for text in folder.load(here).warnings if "no image is named as CamVid's" in text]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("imagesTr/road_001_0001.png", "", r"the case road_001 has 2 channels in files of their own"),
        ("imagesTr/scan_0000.nii.gz", "", r"scan_0000\.nii\.gz: \.nii\.gz holds 3D images, which are not read"),
        ("imagesTr/road.png", "", r"road\.png: the name has no channel\. Accepted: road_0000\.png"),
        ("dataset.json", '{"labels": {"background": 0, "all": [1, 2]}}', r"'all' is a region of several values"),
        ("dataset.json", '{"labels": {"background": 0}}', r"needs two names or more with different values"),
        ("dataset.json", '{"labels": {"background": 0, "a": "1"}}', r"needs two names or more with different values"),
        ("dataset.json", "[]", r'"labels" can\'t be read'),
        ("dataset.json", "{", r'"labels" can\'t be read'),
    ],
)
def test_what_nnunet_has_and_cant_be_read_is_refused_by_name(here, file, text, says):
    FIXTURES["nnunet"](here)
    save_text(here / file, text)
    with pytest.raises(BenchError, match=says) as error:
        folder.load(here)
    assert "\n" not in str(error.value)


def test_images_of_nnunet_without_labels_are_counted(here):
    FIXTURES["nnunet:version-1"](here)
    assert "12 images of imagesTs have no labels in labelsTs and are left out" in folder.load(here).notes


def test_copies_of_an_image_of_roboflow_are_a_group(here):
    FIXTURES["roboflow-masks"](here)
    assert groups(here) == {f"IMG_{number}_jpg" for number in range(6)}


def test_tables_of_roboflow_must_agree(here):
    FIXTURES["roboflow-masks"](here)
    save_text(here / "valid/_classes.csv", "Pixel Value, Class", "0, background", "1, hole")
    with pytest.raises(BenchError, match=r"valid/_classes\.csv: its classes differ from those of .*test/_classes\.csv"):
        folder.load(here)
    save_text(here / "valid/_classes.csv", "filename, background", "a.jpg, 1")
    with pytest.raises(BenchError, match=r"valid/_classes\.csv: it isn't a table of values and classes"):
        folder.load(here)


@pytest.mark.slow
@pytest.mark.needs("jax")
@every_fixture
def test_a_layout_trains(here, tmp_path, name):
    written = FIXTURES[name](here)
    options = {"arch": "unet", "param": {"filters": [[4, 8]]}, "backend": "jax", "image_size": (32, 32),
               "batch_size": 4, "budget": "2steps", "dataset_param": written.params}  # fmt: skip
    (record,) = api.run(expand({**options, "dataset": f"folder:{here}"}), results=tmp_path / "results")
    assert record.status == "ok", record.reason
