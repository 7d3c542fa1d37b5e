"""CVAT for images: exact labels of each shape, order by z_order, and faults that name the image and the shape."""

from pathlib import Path

import numpy as np
import pytest
from annotation_fixtures import cvat_xml
from layout_fixtures import save, save_text

from bench.core.dataset_protocol import DataFault
from bench.core.errors import BenchError
from bench.datasets import folder

SIZE = (5, 8)


@pytest.fixture
def here(tmp_path):
    for name in ("a", "b", "c"):
        save(np.zeros((*SIZE, 3), np.uint8), tmp_path / "images" / f"{name}.png")
    return tmp_path


def image(name: str, *shapes: str, **more) -> str:
    attributes = {"id": 0, "name": f"{name}.png", "width": SIZE[1], "height": SIZE[0]} | more
    head = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"<image {head}>{''.join(shapes)}</image>"


def write(here: Path, *shapes: str, names=("cat", "dog"), **more) -> Path:
    xml = cvat_xml(image("a", *shapes, **more), image("b"), image("c"), labels=names)
    save_text(here / "annotations.xml", xml)
    return here


def box(left, top, right, bottom, label="cat", more="") -> str:
    return f'<box label="{label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" {more}/>'


def labels(here: Path, name: str = "images/a") -> list:
    dataset = folder.load(here)
    (sample,) = [sample for sample in dataset.samples if sample.name == name]
    return dataset.read(sample)[1].tolist()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (box(1, 1, 3, 4), ["00000000", "01100000", "01100000", "01100000", "00000000"]),
        (box(1, 2, 6, 3, more='rotation="90"'), ["00010000"] * 5),  # 5 x 1 around (3.5, 2.5) becomes 1 x 5
        (
            '<polygon label="cat" points="6.00,0.00;8.00,0.00;8.00,2.00;6.00,2.00"/>',
            ["00000011", "00000011", "00000000", "00000000", "00000000"],
        ),
        (
            '<polyline label="cat" points="0,0;3.2,0.4"/>',
            ["11110000", "00000000", "00000000", "00000000", "00000000"],
        ),
        (
            '<mask label="cat" rle="1, 1, 2, 2" left="2" top="3" width="3" height="2"/>',
            ["00000000", "00000000", "00000000", "00010000", "00011000"],
        ),
    ],
)
def test_each_shape_covers_its_pixels(here, shape, expected):
    write(here, shape)
    assert labels(here) == [[int(letter) for letter in row] for row in expected]


def test_an_ellipse_is_turned_clockwise(here):
    write(here, '<ellipse label="cat" cx="4" cy="2.5" rx="3" ry="1" rotation="45"/>')
    y, x = np.mgrid[:5, :8] + 0.5
    along, across = ((x - 4) + (y - 2.5)) / 2**0.5, ((y - 2.5) - (x - 4)) / 2**0.5
    assert labels(here) == ((along / 3) ** 2 + across**2 < 1).astype(int).tolist()


def test_a_larger_z_order_lies_on_top(here):
    write(here, box(0, 0, 2, 1, more='z_order="1"'), box(1, 0, 3, 1, "dog", 'z_order="0"'), box(1, 0, 2, 1, "dog"))
    assert labels(here)[0][:4] == [1, 1, 2, 0]


def test_the_labels_of_meta_give_the_order(here):
    write(here, box(0, 0, 1, 1, "dog"), names=("dog", "background", "ant"))
    assert folder.load(here).classes == ("background", "dog", "ant")


def test_what_has_no_pixels_is_counted(here):
    points, tag = '<points label="cat" points="1,1"/>', '<tag label="cat"/>'
    write(here, box(0, 0, 1, 1), points, points, tag, box(-9, -9, -2, -2))
    notes = " | ".join(folder.load(here).notes)
    assert "2 shapes of the kind points aren't drawn" in notes
    assert "1 shapes of the kind tag aren't drawn" in notes
    assert "1 shapes lie wholly outside their image and aren't drawn (the first: shape 5 (box) of a.png)" in notes
    assert "2 images have no annotation and are all background (the first: b.png)" in notes


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (box(0, 0, 1, 1, "cow"), r"the label 'cow' isn't among cat, dog"),
        (box(0, 0, "x", 1), "xbr is 'x', not a number"),
        (box(0, 0, "nan", 1), "xbr is 'nan', not a number"),
        ('<box label="cat" xtl="0"/>', "ytl is None, not a number"),
        ('<polygon label="cat" points="1,2;3"/>', "not a list of"),
        ('<polygon label="cat"/>', "not a list of"),
    ],
)
def test_a_damaged_shape_is_named(here, shape, says):
    write(here, shape)
    with pytest.raises(BenchError, match=rf"annotations\.xml, a\.png.*{says}") as error:
        folder.load(here)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rle", ["1, 2", "a, b", "-1, 7", "6, 1", ""])
def test_a_damaged_mask_is_a_fault(here, rle):
    write(here, f'<mask label="cat" rle="{rle}" left="0" top="0" width="3" height="2"/>')
    with pytest.raises(DataFault, match=r"annotations\.xml, a\.png, shape 1 \(mask\): ") as error:
        labels(here)
    assert error.value.kind == "unreadable"


def test_sizes_and_missing_images_are_faults(here):
    write(here, box(0, 0, 1, 1), width=9)
    with pytest.raises(DataFault, match=r"a\.png: it was annotated at 5x9 pixels and has 5x8"):
        labels(here)
    (here / "images" / "b.png").unlink()
    with pytest.raises(DataFault, match=r"b\.png: missing"):
        labels(here, "b")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<annotations><version>1.1</version>", "can't be read as XML"),
        ("<annotations><version>1.1</version><track id='0'/></annotations>", "CVAT for images 1.1"),
        ("<annotations><version>1.1</version></annotations>", "have no image"),
        ("<annotations><version>1.1</version><image id='3'/></annotations>", "the image with the id 3 has no name"),
        (
            '<!DOCTYPE a [<!ENTITY x "y">]><annotations><version>1.1</version>&x;</annotations>',
            "it has a document type",
        ),
    ],
)
def test_a_damaged_or_dangerous_file_is_one_line(here, text, says):
    save_text(here / "annotations.xml", text)
    with pytest.raises(BenchError, match=says) as error:
        folder.load(here)
    assert "\n" not in str(error.value)


def test_tasks_need_the_same_labels(here):
    save_text(here / "one" / "annotations.xml", cvat_xml(image("a", box(0, 0, 1, 1)), labels=("cat", "dog")))
    save_text(here / "two" / "annotations.xml", cvat_xml(image("b"), labels=("dog", "cat")))
    with pytest.raises(BenchError, match=r"two.annotations\.xml: its labels are dog, cat, but cat, dog in .*one"):
        folder.load(here, layout="cvat-images")
    save_text(here / "two" / "annotations.xml", cvat_xml(image("b", box(0, 0, 1, 1, "dog")), labels=("cat", "dog")))
    found = folder.load(here, layout="cvat-images")
    assert found.read(next(sample for sample in found.samples if sample.name == "images/b"))[1][0][0] == 2


def test_a_file_without_meta_has_the_labels_of_its_shapes(here):
    body = image("a", box(0, 0, 1, 1, "b"), box(1, 0, 2, 1, "a"))
    save_text(here / "annotations.xml", f"<annotations>{body}</annotations>")
    assert folder.load(here).classes == ("background", "a", "b")
