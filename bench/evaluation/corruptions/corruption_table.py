"""The table of corruptions; a new one is a function and an entry here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.evaluation.corruptions import blurs, moves, pixel_changes
from bench.evaluation.corruptions.moves import Move
from bench.evaluation.corruptions.pixel_changes import Picture

CLEAN = "clean"  # the images as they are, with severity 0
SEVERITIES = (1, 2, 3, 4, 5)
SIDE = 224  # pixels of the shorter side of the images that the published lengths are for

Change = Callable[[Picture, Any, np.random.Generator, float], Picture]  # image, amount, draws, scale of lengths


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption: a function of an image, or a move of image and labels, with its five amounts."""

    name: str
    function: Change | Callable[[Any, np.random.Generator], Move]
    amounts: tuple[Any, Any, Any, Any, Any]  # the function's second or first argument, from mild to severe
    meaning: str  # of the amounts
    source: str
    moves: bool = False  # the function makes a Move
    of_rgb: bool = False  # it is defined for 8-bit RGB alone


_IMAGENET_C = "Hendrycks and Dietterich 2019, arXiv:1903.12261"

CORRUPTIONS: dict[str, Corruption] = {
    entry.name: entry
    for entry in (
        Corruption("blur", blurs.gaussian_blur, (1, 2, 3, 4, 6), "standard deviation in px of 224", _IMAGENET_C),
        Corruption(
            "defocus",
            blurs.defocus_blur,
            ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
            "radius of a disk and smoothness of its edge in px of 224",
            _IMAGENET_C,
        ),
        Corruption(
            "motion_blur",
            blurs.motion_blur,
            ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
            "radius and standard deviation in px of 224",
            _IMAGENET_C,
        ),
        Corruption(
            "noise",
            pixel_changes.gaussian_noise,
            (0.08, 0.12, 0.18, 0.26, 0.38),
            "standard deviation, of values in [0, 1]",
            _IMAGENET_C,
        ),
        Corruption(
            "brightness", pixel_changes.brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "added to HSV's value", _IMAGENET_C
        ),
        Corruption("contrast", pixel_changes.contrast, (0.4, 0.3, 0.2, 0.1, 0.05), "share that is left", _IMAGENET_C),
        Corruption("jpeg", pixel_changes.jpeg, (25, 18, 15, 10, 7), "JPEG quality", _IMAGENET_C, of_rgb=True),
        Corruption(
            "pixelation", pixel_changes.pixelation, (0.6, 0.5, 0.4, 0.3, 0.25), "share of the resolution", _IMAGENET_C
        ),
        Corruption(
            "rotation",
            moves.rotation,
            (6, 12, 18, 24, 30),
            "degrees, in either direction",
            "up to the 30 degrees of Engstrom et al. 2019, arXiv:1712.02779",
            moves=True,
        ),
        Corruption(
            "scale",
            moves.scale,
            (1.1, 1.25, 1.5, 1.75, 2.0),
            "larger or smaller by this factor",
            "segbench's own",
            moves=True,
        ),
    )
}
"""All kinds by name, in the order of reports."""


@dataclass(frozen=True, order=True)
class Condition:
    """A kind of corruption at a severity, under which images are scored."""

    kind: str = CLEAN
    severity: int = 0

    @property
    def amount(self) -> Any:
        """The amount of the corruption; None for clean images."""
        return CORRUPTIONS[self.kind].amounts[self.severity - 1] if self.severity else None

    def __str__(self) -> str:
        return f"{self.kind} {self.severity}" if self.severity else self.kind


def conditions(kinds: Sequence[str] | None = None, severities: Sequence[int] | None = None) -> list[Condition]:
    """List the conditions of some kinds and severities, by default of all; clean images come first.

    Raises:
        BenchError: a kind or a severity is unknown, or there is none.
    """
    names = list(CORRUPTIONS)
    chosen, levels = names if kinds is None else kinds, SEVERITIES if severities is None else severities
    for kind in chosen:
        if kind not in CORRUPTIONS:
            raise BenchError(unknown_name_message("kind of corruption", kind, names, names))
    if wrong := [level for level in levels if level not in SEVERITIES]:
        raise BenchError(f"The severity {wrong[0]} doesn't exist. Accepted: 1 (mild) to 5 (severe), such as 1,3,5.")
    if not chosen or not levels:
        raise BenchError("Give at least one kind of corruption and one severity, or leave both out for all.")
    return [Condition(), *(Condition(kind, level) for kind in names if kind in chosen for level in sorted(set(levels)))]
