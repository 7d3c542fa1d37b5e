"""Open a data set's images in the way that `--pack` says."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import NoRoom
from bench.core.specs import DatasetSpec
from bench.data.loading.images import Images
from bench.data.loading.stream import open_stream
from bench.data.pack import place_of, prepare_source
from bench.data.remote.mirror import listed_anew
from bench.data.source import Source, open_source


def open_images(
    spec: DatasetSpec,
    image_size: tuple[int, int],
    *,
    kept: str,
    resize: str = "stretch",
    data_dir: Path | str | None = None,
    params: Mapping[str, Any] | None = None,
    skip_corrupt: bool = False,
    verify_data: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Open a data set at one image size, and pack it first unless `kept` is "none"; see `pack.prepare`.

    Args:
        kept: "disk" or "memory": in a pack; "none": nowhere; "auto": in a pack, or nowhere if the disk has no room.
    """
    with listed_anew(verify_data):
        source = open_source(spec, data_dir, params)
    if kept != "none":
        try:
            return prepare_source(
                source,
                image_size,
                resize=resize,
                params=params,
                skip_corrupt=skip_corrupt,
                verify_data=verify_data,
                progress=progress,
            )
        except NoRoom as error:
            if kept != "auto":
                raise BenchError(f"{error} Or train without a pack: --pack none.") from error
            print(f"{error.reason} So images are decoded whenever they are needed (--pack none).",
                  file=sys.stderr, flush=True)  # fmt: skip
    _check_whole(source, skip_corrupt)
    return open_stream(source, image_size, resize, place_of(source, params), verify=verify_data)


def _check_whole(source: Source, skip_corrupt: bool) -> None:
    if skip_corrupt:
        raise BenchError(
            f"--skip-corrupt needs a pack: without one nothing knows which images of '{source.spec.name}' can't be "
            "read before they are needed. Leave it out, or make room and give --pack disk."
        )
