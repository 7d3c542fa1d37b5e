"""The room that a pack needs on the disk, and what to do where there is too little."""

import math
import shutil
from pathlib import Path

from bench.core.files import cache_path, check_space, name_part
from bench.core.specs import DatasetSpec
from bench.data.reading.values import Values
from bench.data.source import Source

_TRUTH_BYTES = 4_096  # of a sample's labels at native size, to estimate the space
_STEP = 32  # pixels; smaller image sizes are proposed in such steps


def needed_bytes(count: int, size: tuple[int, int], bytes_of_pixel: int = Values().bytes_of_pixel) -> int:
    """Estimate the bytes of a pack of so many images of a height and width."""
    return count * (size[0] * size[1] * (bytes_of_pixel + 1) + _TRUTH_BYTES)


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk that holds a folder or will hold it."""
    return shutil.disk_usage(_there(folder)).free


def _there(folder: Path) -> Path:
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def check_room(folder: Path, source: Source, size: tuple[int, int], written: int = 0, facts: int = 0) -> None:
    """Raise BenchError, which names the options that help, if the disk has too little room for a pack.

    Args:
        folder: that of the packs.
        written: the bytes of it that are there already.
        facts: the bytes that the cache will keep of the files before it is packed.
    """
    of_pixel = (source.values or Values()).bytes_of_pixel
    room, needed = free_bytes(folder) - facts, needed_bytes(len(source.samples), size, of_pixel) - written
    what = f"The pack of the {len(source.samples):,} images of '{source.spec.name}' at {size[0]}x{size[1]}"
    if facts:
        what += f", with {facts / 2**30:.1f} GiB that are kept of their files,"
    help = advice(source.spec, size, max(0, room) / max(1, needed))
    check_space(_there(folder), needed + facts, what, f"Or {help}")


def advice(spec: DatasetSpec, size: tuple[int, int], fits: float) -> str:
    """Name the options that make a pack smaller.

    Args:
        fits: the share of the pack for which there is room.
    """
    side = int(min(size) * math.sqrt(fits)) // _STEP * _STEP
    smaller = f"a smaller --image-size, such as {side}" if side >= _STEP else "a smaller --image-size"
    fewer = next((param.name for param in spec.params if param.alias_of == "balance"), "balance")
    return (
        f"give {smaller}, or take fewer images: --dataset-param {fewer}=N (at most N for each number of objects) or "
        "--dataset-param empty_fraction=F (that share of those without foreground)."
    )


def is_packed(spec: DatasetSpec, size: tuple[int, int]) -> bool:
    """Tell whether there is a pack of that name and size, whatever it was made from."""
    return any(cache_path("packs").glob(f"{name_part(spec.name)}-{size[0]}x{size[1]}*/manifest.json"))
