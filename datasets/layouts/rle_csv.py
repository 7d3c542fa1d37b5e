"""Run-length tables, as of Kaggle's competitions: a CSV file in which each row has an image and the runs of one object.

    train.csv, images/NAME.jpg                     the images may lie anywhere in the folder
    ImageId,ClassId,EncodedPixels                  the columns; the class is optional

`columns=ImageId:ClassId:EncodedPixels` or `columns=ImageId:EncodedPixels` names them; known names are found.
`order=column` or `order=row` says how pixels are counted; nothing in a table tells, so it must be given.
`base=0` counts them from 0 instead of 1. `table=train.csv` chooses one of several tables.
A row with an empty text is an image without objects; an image without rows is left out. A name such as `0a1b.jpg_3` is
the image 0a1b.jpg and the class 3. Columns height and width, if there are any, are the size that the runs are for.
Labels: without classes, 1 is the foreground; else the classes, sorted, from 1 on. A later row lies on top.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from bench.core.errors import BenchError
from bench.core.specs import Param
from bench.datasets.annotated import Annotated, Shape, class_table, contents
from bench.datasets.drawing import Bounds, Region
from bench.datasets.image_index import MOST_FILES, chosen_files, files_near, heads
from bench.datasets.layout import Contents, Layout, Size
from bench.datasets.pairing import SUFFIXES
from bench.datasets.rle import Order, rle_decode
from bench.datasets.rle_table import Row, read_header, read_table

_RUNS = re.compile(r'(?:^|[,;])"?\d+ \d+(?: \d+ \d+|"?\s*(?:,|$))', re.MULTILINE)
_IMAGE = ("imageid", "image_id", "image", "img", "id", "filename", "file_name", "image_name", "imageid_classid",
          "image_label")  # fmt: skip
_CLASS = ("classid", "class_id", "class", "label", "category")
_TEXT = ("encodedpixels", "encoded_pixels", "rle_mask", "rle", "encoding", "segmentation", "annotation", "pixels")
_FOREGROUND = "foreground"


@dataclass(frozen=True)
class Runs:
    """The runs of one object."""

    text: str
    order: Order
    base: int

    @property
    def bounds(self) -> Bounds:
        return 0, 0, 1, 1  # runs past the last pixel are an error

    def region(self, size: Size) -> Region:
        """Decode the text; BenchError says what is wrong with it."""
        return Region(0, 0, rle_decode(self.text, size, self.order, base=self.base) > 0)


def fits(folder: Path) -> bool:
    """Return whether there is a CSV file with runs among its first rows."""
    return any(_has_runs(path, head) for path, head in heads(folder, ".csv", MOST_FILES))


def _has_runs(path: Path, head: str) -> bool:
    return "submission" not in path.name.lower() and bool(_RUNS.search(head.partition("\n")[2]))


def read(folder: Path, columns: str = "", order: Order | None = None, base: int = 1, table: str = "") -> Contents:
    """Read the table and the images that it names."""
    path = _table(folder, table)
    if order not in ("column", "row"):
        given = f"order={order} is unknown: " if order else ""
        raise BenchError(
            f"{path}: {given}its runs can go down the columns or along the rows, and fit both. Say which with "
            "--dataset-param order=column (as Airbus, Severstal, HuBMAP) or order=row (as Carvana)."
        )
    if base not in (0, 1):
        raise BenchError(f"The first pixel has the number {base}. Accepted: base=0 and base=1.")
    header = read_header(path)
    image, label, text = _columns(path, header, columns)
    sizes = [name for wanted in ("height", "width") for name in header if name.lower() == wanted]
    more = ([label] if label else []) + (sizes if len(sizes) == 2 else [])
    by_image: dict[str, list[tuple[str, Row]]] = {}
    for name, rows in read_table(path, image, text, *more).items():
        own, joined = (name, "") if label else _parted(name)
        by_image.setdefault(own, []).extend((row.more[0] if label else joined, row) for row in rows)
    names = {found for rows in by_image.values() for found, row in rows if found and row.text.strip()}
    classes, labels = class_table(_called(name) for name in sorted(names, key=_number_or_text))
    if not names:
        classes, labels = ("background", _FOREGROUND), {}
    images = [
        _image(path, name, rows, labels, Runs("", order, base), bool(label), len(sizes) == 2)
        for name, rows in by_image.items()
    ]
    note = f"runs are counted by {order} from {base}"
    return contents(folder, images, classes, notes=[note], near=[path.parent / "train_images", path.parent / "train"])


def _table(folder: Path, name: str) -> Path:
    there = list(files_near(folder, ".csv", anywhere=True))
    found = [path for path in there if path.name == name] if name else chosen_files(folder, ".csv", _has_runs)
    if len(found) != 1:
        shown = ", ".join(path.name for path in found or there) or "none"
        what = f"called {name}" if name else "with runs"
        raise BenchError(
            f"'{folder}' has {len(found)} CSV files {what}, and one is read. There is: {shown}. Say which with "
            "--dataset-param table=NAME."
        )
    return found[0]


def _columns(path: Path, header: list[str], given: str) -> tuple[str, str, str]:
    """Return the names of the columns of image, class (empty: none) and runs."""
    if given:
        names = [name.strip() for name in re.split("[:,]", given)]
        if len(names) not in (2, 3):
            raise BenchError(f"{path}: columns={given} names {len(names)} columns; give image:rle or image:class:rle.")
        return names[0], names[1] if len(names) == 3 else "", names[-1]
    image, label, text = ([name for name in header if name.lower() in known] for known in (_IMAGE, _CLASS, _TEXT))
    if len(image) != 1 or len(text) != 1 or len(label) > 1:
        raise BenchError(
            f"{path}: which of its columns {', '.join(header)} are the image, the class and the runs isn't clear. "
            "Say so with --dataset-param columns=image:class:rle or columns=image:rle."
        )
    return image[0], label[0] if label else "", text[0]


def _parted(name: str) -> tuple[str, str]:
    """Part a name such as 0a1b.jpg_3 into image and class; the class is empty for any other."""
    image, _, label = name.rpartition("_")
    return (image, label) if PurePath(image).suffix.lower() in SUFFIXES else (name, "")


def _called(name: str) -> str:
    return f"class_{name}" if name.isdecimal() else name


def _number_or_text(name: str) -> tuple[bool, int, str]:
    return (False, int(name), "") if name.isdecimal() else (True, 0, name)


def _image(
    path: Path, name: str, rows: list[tuple[str, Row]], labels: dict[str, int], runs: Runs, has_class: bool, sized: bool
) -> Annotated:
    shapes = []
    for label, row in rows:
        if not row.text.strip():
            continue
        if labels and not label:
            raise BenchError(f"{path}, row {row.number}, {name}: it has runs and no class.")
        form = Runs(row.text, runs.order, runs.base)
        shapes.append(Shape(labels[_called(label)] if labels else 1, form, f"row {row.number}"))
    size = _size(path, name, rows[0][1], has_class) if sized else None
    entry = [[label, row.text] for label, row in rows]
    return Annotated(name, size, path, [runs.order, runs.base, entry], tuple(shapes))


def _size(path: Path, name: str, row: Row, has_class: bool) -> Size:
    height, width = row.more[has_class:]
    if not height.isdecimal() or not width.isdecimal():
        raise BenchError(f"{path}, row {row.number}, {name}: its size is {height!r} x {width!r}, not pixels.")
    return int(height), int(width)


LAYOUT = Layout(
    name="rle-csv",
    summary="A CSV table of run lengths, as of Kaggle's competitions; `order` must be given.",
    files="a CSV file with a column of runs",
    fits=fits,
    read=read,
    deep=True,
    params=(
        Param("columns", "str", "", "image:rle or image:class:rle, the table's columns; empty: known names"),
        Param("order", "str", "", "whether pixels are counted down the columns or along the rows"),
        Param("base", "int", 1, "the number of the first pixel", (0, 1)),
        Param("table", "str", "", "the name of the CSV file, if there are several"),
    ),
)
