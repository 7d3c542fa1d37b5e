"""Propose a classes.json for a folder of masks: names to replace, and the values or colours that were found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import write_file
from bench.core.specs import IGNORE_INDEX
from bench.datasets import layouts
from bench.datasets.classes_file import ALPHA, FILE, INDEX, NAN, PALETTE
from bench.datasets.layout import Drawn
from bench.datasets.mask_doubts import lossy_values, mixed_scales, palettes_differ, smoothed
from bench.datasets.mask_evidence import Evidence
from bench.datasets.mask_survey import survey

_TWO = ["background", "foreground"]


def write_proposal(folder: Path, layout: str = "") -> tuple[Path, str]:
    """Write classes.json into a folder and return its path and text.

    Raises:
        BenchError: the folder has one already, its labels are not masks, or there is nothing to propose.
    """
    file = folder / FILE
    if file.exists():
        raise BenchError(f"'{file}' exists and is not overwritten. Move it away to have one proposed.")
    contents = layouts.choose(folder, layout).read(folder)
    if isinstance(contents.labels, Drawn):
        raise BenchError(f"The labels in '{folder}' have class names of their own; classes.json is for masks.")
    files = [item.labels for item in contents.items if item.labels]
    proposal = propose(Evidence([(path.name, found) for path, found in survey(files).items()], str(folder)))
    text = json.dumps(proposal, indent=2) + "\n"
    return write_file(file, text.encode(), "Give a folder that you may write to."), text


def propose(evidence: Evidence) -> dict[str, Any]:
    """Return the content of a classes.json that reads these masks without doubt.

    Raises:
        BenchError: no mask can be read, or they have one value or too many.
    """
    if evidence.of(lambda facts: facts.alpha):
        return {"classes": _TWO, "threshold": 128, "from": ALPHA}
    coloured = evidence.of(lambda facts: facts.kind == "colours")
    if coloured or palettes_differ(evidence, None):
        return {"classes": _checked(evidence, _by_colour(evidence)), "from": PALETTE}
    if lossy_values(evidence, None) or smoothed(evidence, None):
        return {"classes": _TWO, "threshold": 128}
    if mixed_scales(evidence, None):
        return {_TWO[0]: 0, _TWO[1]: [1, 255]}
    return _by_value(evidence)


def _by_colour(evidence: Evidence) -> dict[str, str]:
    """Name each colour, the commonest first."""
    return {f"class_{colour[1:]}": colour for colour, _ in evidence.colours.most_common()}


def _by_value(evidence: Evidence) -> dict[str, Any]:
    """Name each value, and ignore those that are no labels: 255 beside others, negative numbers and NaN."""
    values = sorted(value for value in evidence.values if value == value)
    nan = [NAN] if len(values) < len(evidence.values) else []
    if any(value % 1 for value in values):
        return {"classes": _TWO, "threshold": (min(v for v in values if v >= 0) + max(values)) / 2, "ignore": nan}
    if set(values) <= {0, 255}:
        return {_TWO[0]: 0, _TWO[1]: 255}
    ignored = [int(value) for value in values if value < 0 or value == IGNORE_INDEX]
    classes = {f"class_{value:g}": int(value) for value in values if value not in ignored}
    extra = {"from": INDEX} if evidence.of(lambda facts: facts.kind == "palette") else {}
    return {"classes": _checked(evidence, classes), "ignore": [*ignored, *nan], **extra}


def _checked(evidence: Evidence, classes: Mapping[str, Any]) -> dict[str, Any]:
    if not 2 <= len(classes) < IGNORE_INDEX:
        raise BenchError(
            f"The masks in '{evidence.place}' have {len(classes)} values or colours, too few or too many for classes. "
            "Save them without smoothing, with one value for each class."
        )
    return dict(classes)
