"""A contact sheet: pictures of a data set, each beside itself with its labels in colour."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from bench.evaluation.overlay import PALETTE, overlay

SIDE = 240  # pixels of a picture's longer side
COLUMNS = 3  # pairs in a row
_GAP, _LINE = 6, 16  # pixels: between pairs, and of the text's line


def contact_sheet(pictures: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> Image.Image:
    """The pictures in rows.

    Args:
        pictures: what to write below, image uint8 (H, W, 3), labels or numbered objects (H, W), of any size.
    """
    pairs = [_pair(*picture) for picture in pictures]
    height = max(pair.height for pair in pairs) + _GAP
    width = 2 * SIDE + _GAP
    columns = min(COLUMNS, len(pairs))
    sheet = Image.new("RGB", (columns * width, -(-len(pairs) // columns) * height), "white")
    for place, pair in enumerate(pairs):
        sheet.paste(pair, (place % columns * width, place // columns * height))
    return sheet


def _pair(text: str, image: np.ndarray, labels: np.ndarray) -> Image.Image:
    colours = len(PALETTE) - 1  # so that no object but none has number 0
    shown = np.where((labels > colours) & (labels < 255), (labels - 1) % colours + 1, labels)
    halves = [ImageOps.contain(Image.fromarray(part), (SIDE, SIDE)) for part in (image, overlay(image, shown))]
    pair = Image.new("RGB", (2 * SIDE, halves[0].height + _LINE), "white")
    for place, half in enumerate(halves):
        pair.paste(half, (place * half.width, 0))
    ImageDraw.Draw(pair).text((2, halves[0].height + 2), text, "black")
    return pair
