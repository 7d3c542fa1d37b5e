"""Look at every mask of a data set once: which values and colours it has, and of what kind it is.

What the values mean is decided in mask_rules.py from these facts. They are cached by the files' sizes and times as they
are found, since every mask must be decoded for them.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import DataFault
from bench.data.facts.file_facts import Fact, look_up
from bench.data.reading.contents import stamps_for, threads_for
from bench.datasets.image_depth import BITS, file_head
from bench.datasets.image_files import open_image

Kind = Literal["values", "palette", "colours"]
NAN = float("nan")  # one object, so that a dictionary finds it, although it equals nothing
_NO_COLOUR = "#000000"  # of an index that a damaged file's colour table lacks
MOST = 512  # distinct values or colours that are kept of a mask: enough for any classes
_KIND = "masks-3"  # changed whenever the facts change
_WEBP_HEAD = 4096  # bytes, in which a lossless WebP file names its kind


@dataclass(frozen=True)
class MaskFacts:
    """The kind, values and colours of one mask."""

    size: tuple[int, int]  # height, width in pixels
    kind: Kind  # one channel of values, indices into a colour table, or colours without a table
    lossy: bool  # the format changes values, as JPEG does
    values: dict[float, int]  # value -> pixels, of a channel or of the indices; the first MOST of them; NaN is "nan"
    colours: dict[str, int]  # "#rrggbb" -> pixels, of a colour table or of colours
    palette: dict[int, str]  # index -> its colour, of the indices that are used
    alpha: dict[int, int]  # value of the alpha channel -> pixels; empty where it is the same everywhere


def survey(paths: Sequence[Path]) -> dict[Path, MaskFacts]:
    """Return the facts of each mask by its file; one that can't be read has none, and is reported when it is read."""
    files = list(dict.fromkeys(paths))
    first = files[0] if files else None
    stamp, threads = stamps_for(first), threads_for(first)
    keys = [f"{os.fsencode(path).hex()} {' '.join(map(str, stamp(path)))}" for path in files]
    place = os.path.commonpath([path.parent for path in files]) if files else ""
    found = look_up(_KIND, place, files, keys, _kept, "looking at masks", threads)
    facts = {path: _from_json(fact) for path, fact in zip(files, found, strict=True) if fact is not None}
    return {path: known for path, known in facts.items() if known}


def _kept(path: Path) -> bytes | None:
    """Return the facts of a mask as JSON; None for one that can't be read."""
    facts = _facts(path)
    return json.dumps(asdict(facts)).encode() if facts else None


def _from_json(fact: Fact) -> MaskFacts | None:
    """Make facts from JSON, whose keys are texts."""
    found = json.loads(bytes(fact))
    if found is None:
        return None
    return MaskFacts(
        size=(found["size"][0], found["size"][1]),
        kind=found["kind"],
        lossy=found["lossy"],
        values={_number(value): count for value, count in found["values"].items()},
        colours=found["colours"],
        palette={int(index): colour for index, colour in found["palette"].items()},
        alpha={int(value): count for value, count in found["alpha"].items()},
    )


def _number(text: str) -> float:
    return number(float(text)) if not text.lstrip("-").isdigit() else int(text)


def number(value: float) -> float:
    """Return a value as the key of a dictionary: a whole number as an int, any NaN as the object NAN."""
    return NAN if math.isnan(value) else int(value) if float(value).is_integer() else float(value)


def _facts(path: Path) -> MaskFacts | None:
    try:
        return open_image(path, facts_of)
    except DataFault:
        return None


def facts_of(picture: Image.Image) -> MaskFacts:
    """Look at an open image."""
    lossy = is_lossy(picture)  # before the pixels are decoded, which may close the file
    kind, values = kind_of(picture), channel(picture)
    counts = {} if values is None else _counts(values)
    colours = {} if kind == "values" else _counts(colours_of(picture))
    table = palette_of(picture) if kind == "palette" else {}
    alpha = _counts(alpha_of(picture)) if picture.has_transparency_data and kind != "palette" else {}
    return MaskFacts(
        size=(picture.height, picture.width),
        kind=kind,
        lossy=lossy,
        values=counts,
        colours={_hex(colour): count for colour, count in colours.items()},
        palette={int(index): table.get(int(index), _NO_COLOUR) for index in counts} if table else {},
        alpha=alpha if len(alpha) > 1 else {},
    )


def kind_of(picture: Image.Image) -> Kind:
    """Tell values, colour-table indices and colours apart. A grey picture has values, whatever its mode.

    A GIF's colour table counts only if it has colours: its greys are the values, since writers renumber its indices.
    """
    if picture.mode == "P":
        grey = picture.format == "GIF" and channel_of_colours(picture) is not None
        return "values" if grey else "palette"
    return "values" if channel(picture) is not None else "colours"


def channel(picture: Image.Image) -> np.ndarray | None:
    """Return the one channel of a mask, (H, W) of its own number type; None if it has different channels.

    A colour table gives its indices, a grey picture that was saved as RGB one of its channels.
    """
    if picture.mode == "P":
        grey = channel_of_colours(picture) if picture.format == "GIF" else None
        return np.array(picture) if grey is None else grey
    if picture.mode in ("L", "1", "I", "F") or picture.mode.startswith("I;16"):
        values = np.array(picture)
        if values.dtype == np.uint8:
            return values // _stretch(picture)
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    return channel_of_colours(picture)


def _stretch(picture: Image.Image) -> int:
    """Return the number by which Pillow multiplies grey values of 2 or 4 bits, so that white is 255."""
    bits = picture.info.get(BITS, 8)
    return 255 // (2**bits - 1) if bits < 8 else 1


def channel_of_colours(picture: Image.Image) -> np.ndarray | None:
    """Return the red channel, uint8 (H, W), if all colours are grey; else None."""
    rgb = np.array(picture.convert("RGB"))
    return np.ascontiguousarray(rgb[..., 0]) if (rgb == rgb[..., :1]).all() else None


def colours_of(picture: Image.Image) -> np.ndarray:
    """Return each pixel's colour as 0xRRGGBB, uint32 (H, W)."""
    rgb = np.array(picture.convert("RGB")).astype(np.uint32)
    return (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]


def alpha_of(picture: Image.Image) -> np.ndarray:
    """Return the alpha channel, uint8 (H, W); 255 where there is none."""
    return np.array(picture.convert("RGBA").getchannel("A"))


def palette_of(picture: Image.Image) -> dict[int, str]:
    """Return the colour of each index of a colour table."""
    flat = picture.getpalette("RGB") or []
    return {index: "#{:02x}{:02x}{:02x}".format(*flat[3 * index : 3 * index + 3]) for index in range(len(flat) // 3)}


def is_lossy(picture: Image.Image) -> bool:
    """Return whether the format changes values when it saves them."""
    if picture.format == "WEBP":
        return b"VP8L" not in file_head(picture, _WEBP_HEAD)
    return picture.format in ("JPEG", "MPO", "JPEG2000", "AVIF")


def _hex(colour: float) -> str:
    return f"#{int(colour):06x}"


def _counts(values: np.ndarray) -> dict[Any, int]:
    """Count the pixels of each value, at most MOST of them."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)  # NaN counts as one value
    return dict(zip(map(number, found[:MOST].tolist()), counts[:MOST].tolist(), strict=True))
