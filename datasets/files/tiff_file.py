"""Read TIFF files to the bit: any depth, byte order, compression, tiles and strips, planes or pixels, one page or many.

Pages of one band each are the bands of an image. Reduced copies and masks of a page (its sub-file type) are no pages of
their own. A band counts as an alpha channel only if the tag ExtraSamples says so.
"""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

from bench.core.dataset_protocol import DataFault
from bench.data.reading.values import MOST_BANDS
from bench.datasets.files.geo_tags import Extent, extent_of, nodata_of
from bench.datasets.files.stored import Stored, check_area

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes; + is BigTIFF
_ORIENTATION = 274
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # photometric interpretation -> bands that are colours
_ALPHA = (1, 2)  # of ExtraSamples: associated and not
_WHITE_IS_0, _PALETTE = 0, 3  # photometric interpretations
_PLAIN = (1, 2)  # grey in which black is 0, and RGB
_WHOLE = (1, 4)  # sample formats
GEO = "pip install 'segbench[geo]'"

Page = Any  # tifffile.TiffPage, whose tags have types of their own


def read_tiff(path: Path, tiff: tifffile.TiffFile) -> Stored:
    """Read a file's values; raise DataFault for what is no image, and anything for a damaged file."""
    pages = main_pages(tiff)
    check_pages(path, pages)
    first = pages[0]
    for page in pages:
        _check_stored(path, tiff, page)
    try:
        values = _bands(tiff, pages)
    except ImportError as error:  # a decompressor that tifffile knows and this Python lacks
        raise _undecoded(path, first) from error
    alpha = alpha_of(first) if len(pages) == 1 else ()
    return Stored(values, alpha, nodata_of(first.tags), _valid(tiff, first), orientation_of(first))


def _bands(tiff: tifffile.TiffFile, pages: Sequence[Page]) -> np.ndarray:
    """Read the values of all pages, (H, W, C)."""
    if _has_hidden_pages(tiff):
        return np.moveaxis(tiff.series[0].asarray(maxworkers=1).reshape(-1, *size_of(pages[0])), 0, -1)
    return np.concatenate([_values(page) for page in pages], axis=2) if len(pages) > 1 else _values(pages[0])


def main_pages(tiff: tifffile.TiffFile) -> list[Page]:
    """Return the pages of a file without reduced copies and masks."""
    pages = _all_pages(tiff)
    return [page for page in pages if not (page.is_reduced or page.is_mask)] or pages[:1]


def _all_pages(tiff: tifffile.TiffFile) -> list[Page]:
    return list(tiff.pages)


def _has_hidden_pages(tiff: tifffile.TiffFile) -> bool:
    """Tell whether a file has pages of one band behind its only page, as ImageJ writes stacks of 4 GB and more."""
    first, *others = _all_pages(tiff)
    if others or first.samplesperpixel > 1 or not (tiff.is_imagej or tiff.is_shaped):
        return False
    return math.prod(tiff.series[0].shape) > math.prod(first.shape)


def has_many_pages(tiff: tifffile.TiffFile) -> bool:
    """Tell whether a file has several pages that are no reduced copies and masks."""
    return len(main_pages(tiff)) > 1 or _has_hidden_pages(tiff)


def check_pages(path: Path, pages: Sequence[Page]) -> None:
    """Raise DataFault unless pages are one image, or bands of one."""
    first = pages[0]
    if first.dtype is None:
        raise DataFault(f"{path}: values of {first.bitspersample} bits in this format are not read.", "depth")
    if len(pages) == 1:
        return
    if first.samplesperpixel > 1:
        raise DataFault(
            f"{path}: the file has {len(pages)} pages of {first.samplesperpixel} bands; pages are read as bands if "
            "each has one. Save each page as a file.",
            "depth",
        )
    for number, page in enumerate(pages[1:], 2):
        if (page.shaped, page.dtype) != (first.shaped, first.dtype):
            shown = [f"{page.imagelength}x{page.imagewidth} pixels of {page.dtype}" for page in (page, first)]
            raise DataFault(f"{path}: page {number} has {shown[0]}, page 1 {shown[1]}; bands must be alike.", "depth")


def is_photograph(tiff: tifffile.TiffFile) -> bool:
    """Tell whether a file is what Pillow reads as 8-bit RGB: one page of grey, colours or a colour table, and alpha."""
    page = main_pages(tiff)[0]
    colours = _COLOURS.get(page.photometric)
    if has_many_pages(tiff) or colours is None or page.bitspersample > 8 or page.sampleformat not in _WHOLE:
        return False
    extra = page.samplesperpixel - colours
    known = page.compression in TiffImagePlugin.COMPRESSION_INFO
    return known and (extra == 0 or (extra == 1 and len(alpha_of(page)) == 1))


def is_unknown_to_pillow(tiff: tifffile.TiffFile) -> bool:
    """Tell whether it is a big-endian BigTIFF of 8-bit grey or RGB, whose first offset Pillow misreads."""
    page = main_pages(tiff)[0]
    odd = tiff.is_bigtiff and tiff.byteorder == ">"
    return odd and page.bitspersample == 8 and page.photometric in _PLAIN


def size_of(page: Page) -> tuple[int, int]:
    """Return the height and width of a page, as stored."""
    return int(page.imagelength), int(page.imagewidth)


def orientation_of(page: Page) -> int:
    """Return the EXIF orientation of a page; 1 for one that is senseless or isn't there."""
    tag = page.tags.get(_ORIENTATION)
    return tag.value if tag is not None and tag.value in range(1, 9) else 1


def may_lack_values(tiff: tifffile.TiffFile) -> bool:
    """Tell whether a file has a value for none, or a mask."""
    return nodata_of(main_pages(tiff)[0].tags) is not None or any(page.is_mask for page in _all_pages(tiff))


def no_values(tiff: tifffile.TiffFile, picture: Image.Image) -> np.ndarray | None:
    """Tell where a photograph has no value, bool (H, W); None: its file doesn't say."""
    page = main_pages(tiff)[0]
    nodata, valid = nodata_of(page.tags), _valid(tiff, page)
    found = None if valid is None else ~valid
    most = 2**page.bitspersample - 1
    if nodata is not None and nodata in range(most + 1) and page.photometric != _PALETTE:
        stored = most - nodata if page.photometric == _WHITE_IS_0 else nodata
        image = np.atleast_3d(np.asarray(picture, np.uint8))[..., [band != "A" for band in picture.getbands()]]
        none = (image == _as_read(int(stored), most, picture.mode)).all(axis=-1)
        found = none if found is None else found | none
    return found


def _as_read(value: int, most: int, mode: str) -> int:
    """Return what Pillow makes of a value: it spreads those of 2 and 4 bits over 8."""
    return value if mode == "1" else value * 255 // most


def geo_extent(tiff: tifffile.TiffFile) -> Extent | None:
    """Return where a file's pixels lie on the map; None if it doesn't say."""
    page = main_pages(tiff)[0]
    return extent_of(page.tags, size_of(page))


def _values(page: Page) -> np.ndarray:
    """Read a page's values, (H, W, C)."""
    planes = page.asarray(squeeze=False, maxworkers=1)  # (planes, depth, H, W, bands of a pixel)
    if planes.ndim != 5:
        raise ValueError("it has no pixels")
    return planes[0, 0] if planes.shape[0] == 1 else np.moveaxis(planes[:, 0, :, :, 0], 0, -1)


def alpha_of(page: Page) -> tuple[int, ...]:
    """Return the indexes of the bands that ExtraSamples calls alpha."""
    extra = tuple(map(int, page.extrasamples))
    first = page.samplesperpixel - len(extra)
    return tuple(first + i for i, kind in enumerate(extra) if kind in _ALPHA)


def _valid(tiff: tifffile.TiffFile, first: Page) -> np.ndarray | None:
    """Read the mask of a file, in which 0 is no value; None if it has none of the image's size."""
    found = [
        page for page in _all_pages(tiff) if page.is_mask and not page.is_reduced and size_of(page) == size_of(first)
    ]
    return _values(found[0])[..., 0] != 0 if found else None


def _check_stored(path: Path, tiff: tifffile.TiffFile, page: Page) -> None:
    """Raise DataFault if a page is too large, its data are cut off, or nothing here can decompress them."""
    check_area(path, page.imagelength * page.imagewidth * max(1, page.samplesperpixel // MOST_BANDS))
    if page.imagedepth > 1:
        raise DataFault(f"{path}: a page has {page.imagedepth} layers; images of one are read.", "depth")
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False) if count]
    if max(ends, default=0) > (there := tiff.filehandle.size):
        raise DataFault(f"{path}: it is cut off: {there} of {max(ends)} bytes are there.", "unreadable")
    if page.compression not in tifffile.TIFF.DECOMPRESSORS or page.predictor not in tifffile.TIFF.UNPREDICTORS:
        raise _undecoded(path, page)


def _undecoded(path: Path, page: Page) -> DataFault:
    """Say that nothing here can decompress a page."""
    name = f"compression {getattr(page.compression, 'name', page.compression)}"
    name += f" with predictor {getattr(page.predictor, 'name', page.predictor)}" if page.predictor != 1 else ""
    if importlib.util.find_spec("imagecodecs") is None:
        return DataFault(f"{path}: its {name} needs imagecodecs: {GEO}", "unreadable")
    return DataFault(f"{path}: its {name} is not read. Save it with LZW, deflate or none.", "unreadable")
