"""Write masks as PNG files, for tools that can't read run-length text."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from bench.core.dataset_protocol import Sample
from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.core.surroundings import usable_cores
from bench.data.source import Source

_TWO_CLASSES = np.zeros(256, np.uint8)  # black and white in any viewer; ignored pixels are grey
_TWO_CLASSES[[1, IGNORE_INDEX]] = 255, 128


def export_masks(
    source: Source,
    folder: Path,
    *,
    per_object: bool = False,
    skip_corrupt: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, list[str]]:
    """Write each image's labels as NAME.png, or each object as NAME_1.png, NAME_2.png, ...

    With two classes, the second is 255 and ignored pixels are 128. The folder appears once all files are written.

    Returns:
        The number of files written, and the faults of the samples that were left out.

    Raises:
        BenchError: the folder is not empty or can't be written, the data set has no objects, or samples can't be read.
    """
    if per_object and not hasattr(source.dataset, "instances"):
        raise BenchError(f"The data set '{source.spec.name}' has no masks of single objects. Leave --per-ship out.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BenchError(f"'{folder}' already exists and is not empty. Give --export-masks a new or empty folder.")
    folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        part.chmod(0o755)  # mkdtemp makes private folders
    except OSError as error:
        raise BenchError(f"The folder '{folder}' can't be created ({error.strerror}).") from error
    try:
        written, problems = _write_all(source, part, per_object, progress)
        if problems and not skip_corrupt:
            raise BenchError(
                f"{len(problems)} of the {len(source.samples)} samples of '{source.spec.name}' can't be read; leave "
                f"them out with --skip-corrupt. The first: {problems[0]}"
            )
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written, problems


def _write_all(
    source: Source, folder: Path, per_object: bool, progress: Callable[[int, int], None]
) -> tuple[int, list[str]]:
    written, problems = 0, []
    with ThreadPoolExecutor(len(usable_cores())) as pool:
        made = pool.map(lambda sample: _write(source, sample, folder, per_object), source.samples)
        for done, result in enumerate(made, 1):
            if isinstance(result, int):
                written += result
            else:
                problems.append(str(result))
            progress(done, len(source.samples))
    return written, problems


def _write(source: Source, sample: Sample, folder: Path, per_object: bool) -> int | Exception:
    """Write a sample's files; return their number, or the fault."""
    try:
        masks = list(_masks(source, sample, per_object))
    except (BenchError, OSError) as error:
        return error
    for name, mask in masks:
        Image.fromarray(mask).save(folder / f"{name}.png")
    return len(masks)


def _masks(source: Source, sample: Sample, per_object: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the mask, uint8 (H, W), of each file."""
    if per_object:
        instances = source.dataset.instances(sample)  # type: ignore[attr-defined]
        for number in range(1, int(instances.max()) + 1):
            yield f"{sample.name}_{number}", np.where(instances == number, 255, 0).astype(np.uint8)
    else:
        labels = source.dataset.read(sample)[1]
        yield sample.name, _TWO_CLASSES[labels] if source.spec.num_classes == 2 else labels
