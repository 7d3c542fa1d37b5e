"""Facts in the tags of TIFF files that concern a data set: where images lie on the map, and what counts as alpha."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import tifffile

from bench.core.dataset_protocol import DataFault
from bench.datasets.files.geo_tags import check_extents
from bench.datasets.files.opening import kind_of_file, opened_head, opened_tiff
from bench.datasets.files.tiff_file import alpha_of, geo_extent, main_pages

_SUFFIXES = (".tif", ".tiff", ".gtif", ".gtiff", ".btf", ".tf8")  # other files aren't opened for this

Found = TypeVar("Found")


def check_same_extent(image: Path, mask: Path) -> None:
    """Raise DataFault if an image and its mask are GeoTIFF files of other parts of the map."""
    if not all(path.suffix.lower() in _SUFFIXES for path in (image, mask)):
        return
    of_image, of_mask = (_look(path, geo_extent) for path in (image, mask))
    if of_image and of_mask:
        check_extents(mask, of_mask, of_image)


def alpha_note(path: Path) -> str:
    """Say that a band of an image is left out because its file marks it as alpha; an empty text if none is."""
    page = _look(path, lambda tiff: main_pages(tiff)[0]) if path.suffix.lower() in _SUFFIXES else None
    if page is None or not (alpha := alpha_of(page)) or (page.samplesperpixel < 3 and page.bitspersample <= 8):
        return ""  # a photograph's grey is three bands
    bands = ",".join(str(band + 1) for band in range(page.samplesperpixel))
    return f"band {alpha[0] + 1} is left out, since {path.name} marks it as alpha; --bands {bands} takes it as a band"


def _look(path: Path, look: Callable[[tifffile.TiffFile], Found]) -> Found | None:
    """Look at a TIFF file; return None for any other, and for one that can't be read, which is reported later."""

    def use(file: IO[bytes]) -> Found | None:
        if kind_of_file(file) != "tiff":
            return None
        with opened_tiff(file) as tiff:
            return look(tiff)

    try:
        found: Found | None = opened_head(path, use)
    except DataFault:
        return None
    return found
