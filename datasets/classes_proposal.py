"""Propose a classes.json for a folder of masks: names to replace, and the values or colours that were found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.files import write_file
from bench.core.specs import IGNORE_INDEX
from bench.datasets import layouts
from bench.datasets.classes_file import ALPHA, FILE, INDEX, NAN, PALETTE, proposed_name
from bench.datasets.layout import Drawn
from bench.datasets.mask_doubts import lossy_values, mixed_scales, palettes_differ, smoothed
from bench.datasets.mask_evidence import Evidence
from bench.datasets.mask_survey import survey

_RARER = 10  # a mixture has at most this part of the pixels of the colours that it lies between
_ROUNDED = 3  # of 255 in each channel, by which a mixture may miss the line
_TWO = ["background", "foreground"]


def proposal(folder: Path, layout: str = "") -> tuple[Path, str]:
    """Return the place of a folder's classes.json, and a proposal of its text.

    Raises:
        BenchError: the folder's labels are not masks, or there is nothing to propose.
    """
    contents = layouts.choose(folder, layout).read(folder)
    if isinstance(contents.labels, Drawn):
        raise BenchError(f"The labels in '{folder}' have class names of their own; classes.json is for masks.")
    files = [item.labels for item in contents.items if item.labels]
    found = propose(Evidence([(path.name, facts) for path, facts in survey(files).items()], str(folder)))
    return folder / FILE, json.dumps(found, indent=2) + "\n"


def write_proposal(file: Path, text: str) -> None:
    """Write a proposal; raise BenchError if there is a file already."""
    if file.exists():
        raise BenchError(f"'{file}' exists and is not overwritten. Edit it by the proposal that is printed here.")
    write_file(file, text.encode(), "Give a folder that you may write to.")


def propose(evidence: Evidence) -> dict[str, Any]:
    """Return the content of a classes.json that reads these masks without doubt.

    Raises:
        BenchError: no mask can be read, or they have one value or too many.
    """
    if evidence.of(lambda facts: facts.alpha):
        return {"classes": _TWO, "threshold": 128, "from": ALPHA}
    coloured = evidence.of(lambda facts: facts.kind == "colours")
    if coloured and (fault := lossy_values(evidence, None)):
        raise BenchError(f"{evidence.place}: {fault}")
    if coloured or palettes_differ(evidence, None):
        return {"classes": _checked(evidence, _by_colour(evidence)), "from": PALETTE}
    if lossy_values(evidence, None) or smoothed(evidence, None):
        return {"classes": _TWO, "threshold": 128}
    if mixed_scales(evidence, None):
        return {_TWO[0]: 0, _TWO[1]: [1, 255]}
    return _by_value(evidence)


def _by_colour(evidence: Evidence) -> dict[str, str]:
    """Name each colour, the commonest first; raise BenchError if most are mixtures, as on smoothed edges."""
    if len(evidence.colours) < IGNORE_INDEX and (mixed := _mixtures(evidence.colours)) > len(evidence.colours) / 2:
        raise BenchError(
            f"'{evidence.place}': {mixed} of the {len(evidence.colours)} colours of the masks are mixtures: each lies "
            f"between two colours that are {_RARER} times as common. So edges were smoothed. Save the masks without "
            "smoothing (nearest neighbour, PNG)."
        )
    return {proposed_name(colour): colour for colour, _ in evidence.colours.most_common()}


def _mixtures(colours: Mapping[str, int]) -> int:
    """Count the colours that lie between two much commoner ones."""
    points = np.array([[*bytes.fromhex(colour[1:])] for colour in colours], float)
    counts = np.array(list(colours.values()))
    return sum(
        _is_between(point, points[counts >= _RARER * count]) for point, count in zip(points, counts, strict=True)
    )


def _is_between(point: np.ndarray, others: np.ndarray) -> bool:
    """Return whether a colour (3,) lies near the line between two of the others (N, 3)."""
    first, second = np.triu_indices(len(others), 1)
    line, offset = others[second] - others[first], point - others[first]
    along = (line * offset).sum(1) / (line * line).sum(1)
    away = np.abs(offset - along[:, None] * line).max(1, initial=0)
    return bool(((along > 0) & (along < 1) & (away <= _ROUNDED)).any())


def _by_value(evidence: Evidence) -> dict[str, Any]:
    """Name each value, and ignore those that are no labels: 255 beside others, negative numbers and NaN."""
    values = sorted(value for value in evidence.values if value == value)
    nan = [NAN] if len(values) < len(evidence.values) else []
    if any(value % 1 for value in values):
        return {"classes": _TWO, "threshold": (min(v for v in values if v >= 0) + max(values)) / 2, "ignore": nan}
    if set(values) <= {0, 255}:
        return {_TWO[0]: 0, _TWO[1]: 255}
    ignored = [int(value) for value in values if value < 0 or value == IGNORE_INDEX]
    classes = {proposed_name(int(value)): int(value) for value in values if value not in ignored}
    extra = {"from": INDEX} if evidence.of(lambda facts: facts.kind == "palette") else {}
    return {"classes": _checked(evidence, classes), "ignore": [*ignored, *nan], **extra}


def _checked(evidence: Evidence, classes: Mapping[str, Any]) -> dict[str, Any]:
    if not 2 <= len(classes) < IGNORE_INDEX:
        raise BenchError(
            f"The masks in '{evidence.place}' have {len(classes)} values or colours, too few or too many for classes. "
            "Save them without smoothing, with one value for each class."
        )
    return dict(classes)
