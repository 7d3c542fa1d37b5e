"""Draw images: masks and overlays of `bench predict`, contact sheets of a data set, samples of a trial."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from bench.core.files import write_file
from bench.core.specs import IGNORE_INDEX
from bench.data import batches
from bench.data.loading.images import ImageSet
from bench.data.reading.visible import visible
from bench.evaluation.scores import image_means

if TYPE_CHECKING:  # it imports keras, and the parent process does not
    from bench.evaluation.predictor import Predictor

# Okabe and Ito's colours, which the colour-blind can distinguish; class 0 stays clear.
PALETTE = np.array(
    [
        [0, 0, 0],
        [230, 159, 0],
        [86, 180, 233],
        [0, 158, 115],
        [240, 228, 66],
        [0, 114, 178],
        [213, 94, 0],
        [204, 121, 167],
    ]
)
OPACITY = 0.6
PROBABILITY_FORMS = ("npz", "png")
SHEET_SIDE = 240  # pixels of the longer side of an image on a contact sheet
SHEET_COLUMNS = 3  # pairs in a row of a contact sheet
SAMPLE_COUNT = 6  # sample images of each trial
WORST_COUNT = 4  # images of each trial with the lowest scores
_SHEET_GAP, _TEXT_HEIGHT, _STRIP_GAP = 6, 16, 4  # pixels
_ADVICE = "Give another folder with --out."


def overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Draw classes over a grey image of any bands: (H, W, C) and (H, W) to uint8 (H, W, 3); class 0 stays clear."""
    grey = np.repeat(visible(image).mean(axis=-1, keepdims=True), 3, axis=-1)
    colours = PALETTE[np.minimum(labels, 254) % len(PALETTE)]
    opacity = np.where((labels == 0) | (labels == IGNORE_INDEX), 0.0, OPACITY)[..., None]
    return (grey * (1 - opacity) + colours * opacity).astype(np.uint8)


def write_mask(path: Path, classes: np.ndarray) -> None:
    """Write classes uint8 (H, W) as a PNG whose values are the classes and whose palette makes them visible."""
    picture = Image.fromarray(classes, "L")
    picture.putpalette(PALETTE[np.arange(256) % len(PALETTE)].astype(np.uint8).tobytes())
    _write_picture(path, picture)


def write_overlay(path: Path, image: np.ndarray, classes: np.ndarray) -> None:
    """Write the classes (H, W) in colour over the grey image, (H, W, C), as PNG."""
    _write_picture(path, Image.fromarray(overlay(image, classes)))


def write_probabilities(folder: Path, name: str, values: np.ndarray, classes: list[str], form: str) -> None:
    """Write the probabilities of one image, float32 (H, W, C).

    Args:
        form: "npz": one compressed file with `probabilities` and the names of the `classes`; "png": for each class a
            grey PNG of 16 bits, NAME_0.png and so on, 0 to 65535 for 0 to 1.
    """
    if form == "npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, probabilities=values, classes=np.array(classes))
        write_file(folder / f"{name}.npz", buffer.getvalue(), _ADVICE)
        return
    for index in range(values.shape[-1]):
        grey = np.rint(np.clip(values[..., index], 0, 1) * 65535).astype(np.uint16)
        _write_picture(folder / f"{name}_{index}.png", Image.fromarray(grey))


def _write_picture(path: Path, picture: Image.Image, advice: str = _ADVICE) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_file(path, buffer.getvalue(), advice)


def contact_sheet(images: Iterable[tuple[str, np.ndarray, np.ndarray]], classes: Sequence[str] = ()) -> Image.Image:
    """Draw a sheet of images, each beside its labels, in rows.

    Args:
        images: text to write below, image uint8 or uint16 (H, W, C), labels or numbered objects (H, W), of any size.
        classes: the names for a legend of those that are on the sheet; none for numbered objects.
    """
    images = list(images)
    found = {int(label) for _, _, labels in images for label in np.unique(labels)}
    pairs = [_pair(*image) for image in images]
    height = max(pair.height for pair in pairs) + _SHEET_GAP
    width = 2 * SHEET_SIDE + _SHEET_GAP
    columns = min(SHEET_COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns) * height
    legend = _legend({label: name for label, name in enumerate(classes) if label in found}, columns * width)
    sheet = Image.new("RGB", (columns * width, rows + legend.height), "white")
    for place, pair in enumerate(pairs):
        sheet.paste(pair, (place % columns * width, place // columns * height))
    sheet.paste(legend, (0, rows))
    return sheet


def _legend(classes: Mapping[int, str], width: int) -> Image.Image:
    """Draw a swatch and the name of each label, in as many lines as need be; class 0, which is clear, is white."""
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    places, x, y = [], _SHEET_GAP, 0
    for name in classes.values():
        needed = 2 * _TEXT_HEIGHT + round(draw.textlength(name))
        if x + needed > width and x > _SHEET_GAP:
            x, y = _SHEET_GAP, y + _TEXT_HEIGHT + _STRIP_GAP
        places.append((x, y))
        x += needed
    legend = Image.new("RGB", (width, y + _TEXT_HEIGHT + _STRIP_GAP if classes else 0), "white")
    draw = ImageDraw.Draw(legend)
    for (label, name), (x, y) in zip(classes.items(), places, strict=True):
        side = _TEXT_HEIGHT - _STRIP_GAP
        draw.rectangle((x, y, x + side, y + side), tuple(_colour(label)), "black")
        draw.text((x + _TEXT_HEIGHT, y), name, "black")
    return legend


def _colour(label: int) -> list[int]:
    """Return the colour in which a contact sheet shows a label."""
    return [int(value) for value in PALETTE[_shown(np.array(label))]] if label else [255, 255, 255]


def _shown(labels: np.ndarray) -> np.ndarray:
    """Map labels to the rows of the palette, so that none but 0 is clear."""
    colours = len(PALETTE) - 1
    return np.where((labels > colours) & (labels < 255), (labels - 1) % colours + 1, labels)


def _pair(text: str, image: np.ndarray, labels: np.ndarray) -> Image.Image:
    parts = visible(image), overlay(image, _shown(labels))
    halves = [ImageOps.contain(Image.fromarray(part), (SHEET_SIDE, SHEET_SIDE)) for part in parts]
    pair = Image.new("RGB", (2 * SHEET_SIDE, halves[0].height + _TEXT_HEIGHT), "white")
    for place, half in enumerate(halves):
        pair.paste(half, (place * half.width, 0))
    ImageDraw.Draw(pair).text((2, halves[0].height + 2), text, "black")
    return pair


def write_samples(predictor: "Predictor", pack: ImageSet, indexes: np.ndarray, folder: Path) -> None:
    """Write up to six PNGs, evenly spaced over `indexes`: the same images for every trial on the data."""
    chosen = indexes[np.unique(np.linspace(0, len(indexes) - 1, SAMPLE_COUNT).astype(int))]
    _write_strips(predictor, pack, chosen, folder, [""] * len(chosen))


def write_worst(predictor: "Predictor", pack: ImageSet, indexes: np.ndarray, counts: np.ndarray, folder: Path) -> None:
    """Write up to four PNGs of the images with the lowest per-image mean IoU, the lowest first.

    Args:
        indexes: the positions of the split's images in the pack, (N,).
        counts: int64 (N, C, 3), as in the per-image table; an image in which no class counts is never among the worst.
    """
    scores = image_means(counts)
    order = [place for place in np.argsort(scores, kind="stable")[:WORST_COUNT] if np.isfinite(scores[place])]
    _write_strips(predictor, pack, indexes[order], folder, [f"{scores[place]:.3f}_" for place in order])


def write_strip(predictor: "Predictor", pack: ImageSet, index: int, path: Path, advice: str) -> None:
    """Write one image, its truth and its prediction as PNG; `advice` is for the message if that can't be done."""
    (row,) = pack.rows(np.array([index]))
    classes, _ = predictor.classes(np.asarray(row.image)[None])
    _write_picture(path, Image.fromarray(strip(row.image, row.labels, classes[0])), advice)


def _write_strips(
    predictor: "Predictor", pack: ImageSet, chosen: np.ndarray, folder: Path, prefixes: Sequence[str]
) -> None:
    """Write `0_0.412_image.png`, ...: named by number, prefix and the image's name."""
    folder.mkdir(exist_ok=True)
    number = 0
    for batch in batches.evaluation(pack, chosen, predictor.batch_size):
        predicted, _ = predictor.classes(batch.images)
        for row, classes in zip(batch.rows, predicted, strict=False):
            name = file_name(pack.names[chosen[number]])
            Image.fromarray(strip(row.image, row.labels, classes)).save(
                folder / f"{number}_{prefixes[number]}{name}.png"
            )
            number += 1


def file_name(name: str) -> str:
    """Return an image's name as a part of the names of its pictures' files."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:60]


def strip(image: np.ndarray, truth: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Put the image, its truth and its prediction side by side: uint8 (H, 3 W + 8, 3)."""
    gap = np.full((image.shape[0], _STRIP_GAP, 3), 255, np.uint8)
    classes = np.where(truth == IGNORE_INDEX, IGNORE_INDEX, classes)  # what does not count, such as padding, is clear
    return np.concatenate([visible(image), gap, overlay(image, truth), gap, overlay(image, classes)], axis=1)
