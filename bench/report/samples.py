"""The trials' sample overlays, made small enough to stand in the page."""

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.records.store import StoredTrial
from bench.records.text import clean, shorten
from bench.report.leaderboard import Group

MAX_CONFIGURATIONS = 12  # of a group, best first
MAX_IMAGES = 3  # of a configuration
_MAX_SIZE = (576, 288)  # pixels; three panels side by side


@dataclass(frozen=True)
class Sample:
    """One overlay for the page."""

    name: str
    uri: str  # data:image/webp;base64,...
    width: int
    height: int


def group_samples(group: Group, trials: dict[str, StoredTrial], problems: list[str]) -> list[tuple[str, list[Sample]]]:
    """Label and samples of the best configurations, each from its first seed that stored any.

    Args:
        trials: by folder.
        problems: gets a line for each picture that can't be read.
    """
    shown = []
    for row in group.ranked[:MAX_CONFIGURATIONS]:
        files = next(filter(None, (trials[f].samples() for f in row.configuration.ok["folder"])), [])
        samples = [sample for file in files[:MAX_IMAGES] if (sample := _read(file, problems))]
        if samples:
            shown.append((row.label, samples))
    return shown


def _read(file: Path, problems: list[str]) -> Sample | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG"]) as opened:
                image = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        problems.append(
            f"{clean(file.parent.parent.name)}: the sample {clean(file.name)} can't be read ({clean(str(error))})."
        )
        return None
    image.thumbnail(_MAX_SIZE)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=82)
    uri = f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
    return Sample(shorten(clean(file.stem)), uri, *image.size)
