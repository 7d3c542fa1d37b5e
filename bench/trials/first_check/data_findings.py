"""Look at a sample of a data set's images and labels: what training would meet."""

from collections.abc import Iterator, Sequence

import numpy as np

from bench.core.dataset_protocol import Sample
from bench.core.errors import first_few
from bench.core.specs import IGNORE_INDEX
from bench.data.check import Health, evenly, examine
from bench.data.reading.decode import Pixels, read_pixels
from bench.data.source import Source
from bench.trials.first_check.finding import FAILED, OK, WARNING, Finding

SAMPLE = 64  # images that are read for labels
CANDIDATES = 4  # images for each one of the batch, because those with several classes teach more
RARE = 0.001  # of the pixels, below which a class is hardly learned without weights
_NAMED = 3


def data_findings(source: Source) -> Iterator[Finding]:
    """Read a sample of all splits and judge its files and labels."""
    samples = evenly(source.samples, SAMPLE)
    health = examine(source, samples)
    found = f"{health.read} of {len(samples)} images read, of {len(source.samples):,}"
    if health.problems:
        named = first_few((message for _, message in health.problems), _NAMED, between=" ")
        yield Finding(
            "files", FAILED, f"{found}. {named}", "bench prepare --check lists all; --skip-corrupt leaves out."
        )
    else:
        sizes = ", ".join(f"{height} x {width}" for (height, width), _ in health.sizes.most_common(_NAMED))
        yield Finding("files", OK, f"{found}; height x width: {sizes}")
    if health.read:
        yield _labels(source.spec.classes, health)


def _labels(classes: Sequence[str], health: Health) -> Finding:
    """Judge which labels occur, and how often."""
    shares = {name: health.share(label) for label, name in enumerate(classes)}
    ignored = int(health.pixels[IGNORE_INDEX]) / max(1, int(health.pixels.sum()))
    said = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    said += f"; {ignored:.1%} of all pixels are ignored" if ignored else ""
    present = [name for name, share in shares.items() if share]
    if len(present) < 2:
        advice = (
            "Look at the masks: bench show-dataset --contact-sheet FILE; does the data set's rule map their values?"
        )
        return Finding("labels", FAILED, said, advice)
    if missing := [name for name in classes if name not in present]:
        return Finding("labels", WARNING, said, f"Not in this sample: {first_few(missing, _NAMED)}.")
    if rare := [name for name, share in shares.items() if share < RARE]:
        return Finding("labels", WARNING, said, f"Rare: {first_few(rare, _NAMED)}. Try --class-weights balanced.")
    return Finding("labels", OK, said)


def choose_batch(source: Source, size: tuple[int, int], resize: str, count: int) -> list[Pixels]:
    """Read training images at the model's size, those with the most classes among a few candidates.

    Args:
        size: height and width.
        resize: as `--resize` names it.
        count: of images; fewer if the training split has fewer.
    """
    read = [_pixels(source, sample, size, resize) for sample in evenly(source.of_split("train"), CANDIDATES * count)]
    usable = [pixels for pixels in read if pixels is not None]
    return sorted(usable, key=lambda pixels: -len(np.unique(pixels.labels)))[:count]


def _pixels(source: Source, sample: Sample, size: tuple[int, int], resize: str) -> Pixels | None:
    try:
        return read_pixels(source, sample, size, resize, native=False)
    except Exception:  # noqa: BLE001 - the findings on files have it already
        return None


def batch_finding(images: np.ndarray, labels: np.ndarray) -> Finding:
    """Judge the values that the model sees: images (B, H, W, C) as stored, labels (B, H, W)."""
    values = images / np.iinfo(images.dtype).max
    said = f"{len(images)} images, values {values.min():.2f} to {values.max():.2f}, mean {values.mean():.2f}"
    said += f", labels {', '.join(str(label) for label in np.unique(labels) if label != IGNORE_INDEX) or 'none'}"
    if flat := sum(1 for image in images if image.min() == image.max()):
        return Finding("batch", WARNING, said, f"{flat} images have one value everywhere: look at the files.")
    if values.max() < 0.05 or values.min() > 0.95:
        return Finding("batch", WARNING, said, "Nearly nothing of the range is used: give --scale-values.")
    return Finding("batch", OK, said)
