"""The images of a plan, opened again in the process of a trial by a file that the plan has written."""

from pathlib import Path

from bench.data.loading.images import Images
from bench.data.opened.planned_pack import keep_pack, reopen_pack
from bench.data.packing.packed import Pack


def keep_opened(images: Images) -> str:
    """Keep what is known of images; return the path of the file, empty if there is none."""
    return keep_pack(images) if isinstance(images, Pack) else ""


def reopened(path: str, fingerprint: str) -> Images | None:
    """Open the images that `keep_opened` has kept; None if they must be opened anew."""
    return reopen_pack(Path(path), fingerprint=fingerprint) if path else None
