"""The text of an augmentation: a preset, or parts with their strengths, such as `flip+rotate8+brightness0.1`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message


@dataclass(frozen=True)
class Augmentation:
    """The strength of an augmentation. Each draw is uniform between minus and plus the value."""

    flip: float = 0.0  # probability of a horizontal flip
    rotation: float = 0.0  # degrees
    brightness: float = 0.0  # added to values in [0, 1]
    contrast: float = 0.0  # relative change of the distance to mid-grey (0.5)
    zoom: float = 1.0  # largest factor; zooming in and out are equally likely
    shift: float = 0.0  # fraction of the height and of the width
    saturation: float = 0.0  # relative change of the distance to the pixel's own grey


NOTHING = Augmentation()
PRESETS = {
    "none": NOTHING,
    "light": Augmentation(flip=0.5, brightness=0.1),
    "standard": Augmentation(flip=0.5, rotation=8.0, brightness=0.2, contrast=0.2),
    "strong": Augmentation(flip=0.5, rotation=20.0, brightness=0.3, contrast=0.3, zoom=1.25, shift=0.1, saturation=0.5),
}


@dataclass(frozen=True)
class _Part:
    field: str
    accepts: Callable[[float], bool]
    accepted: str
    default: float | None = None  # the strength if none is written


_PARTS = {
    "flip": _Part("flip", lambda value: 0 < value <= 1, "a probability above 0, up to 1", 0.5),
    "rotate": _Part("rotation", lambda value: 0 < value <= 180, "degrees above 0, up to 180"),
    "brightness": _Part("brightness", lambda value: 0 < value <= 1, "a number above 0, up to 1"),
    "contrast": _Part("contrast", lambda value: 0 < value <= 1, "a number above 0, up to 1"),
    "zoom": _Part("zoom", lambda value: 1 < value <= 4, "a largest factor above 1, up to 4"),
    "shift": _Part("shift", lambda value: 0 < value <= 1, "a share of the side above 0, up to 1"),
    "saturation": _Part("saturation", lambda value: 0 < value <= 1, "a number above 0, up to 1"),
}
_WRITTEN = re.compile(r"([a-z]+)((?:[0-9.]+(?:e-?[0-9]+)?)?)")
_FORMS = "Accepted: a preset, or parts joined by +, such as flip+rotate8+brightness0.1."


@cache
def parse_augment(text: str) -> Augmentation:
    """Read an augmentation; raise BenchError for an unknown preset or part, and for a strength out of range."""
    if text in PRESETS:
        return PRESETS[text]
    strengths: dict[str, float] = {}
    for part in re.split("[+,]", text):
        name, strength = _read_part(part.strip(), text)
        field = _PARTS[name].field
        if field in strengths:
            raise BenchError(f"--augment is {text}, which has {name} twice. Give each part once.")
        strengths[field] = strength
    return Augmentation(**strengths)


def canonical_augment(text: str) -> str:
    """Write an augmentation in the canonical way: a preset's name if it is that, else its parts in a fixed order."""
    found = parse_augment(text)
    for name, preset in PRESETS.items():
        if found == preset:
            return name
    parts = [(name, part, getattr(found, part.field)) for name, part in _PARTS.items()]
    written = [(name, part, value) for name, part, value in parts if value != getattr(NOTHING, part.field)]
    return "+".join(name if value == part.default else f"{name}{_number(value)}" for name, part, value in written)


def join_parts(texts: list[str]) -> list[str]:
    """Put together the parts in a list of augmentations with commas: neighbours are parts of one augmentation."""
    joined: list[tuple[str, bool]] = []
    for text in texts:
        is_part = any(text.startswith(name) for name in _PARTS)
        if is_part and joined and joined[-1][1]:
            joined[-1] = (f"{joined[-1][0]}+{text}", True)
        else:
            joined.append((text, is_part))
    return [text for text, _ in joined]


def _read_part(part: str, text: str) -> tuple[str, float]:
    written = _WRITTEN.fullmatch(part)
    name, number = written.groups() if written else (part, "")
    if part in PRESETS:
        raise BenchError(f"--augment is {text}, but {part} is a preset, which stands alone. {_FORMS}")
    if name not in _PARTS:
        accepted = [*PRESETS, *_PARTS]
        raise BenchError(f"{unknown_name_message('augmentation', name or text, accepted, accepted)} {_FORMS}")
    kind = _PARTS[name]
    try:
        strength = float(number) if number or kind.default is None else kind.default
    except ValueError:
        strength = float("nan")
    if not kind.accepts(strength):
        example = f"{name}{_number(_example(name))}"
        raise BenchError(f"--augment {text}: {name} takes {kind.accepted}, such as {example}.")
    return name, strength


def _example(part: str) -> float:
    """Return a part's strength in the strongest preset."""
    return float(getattr(PRESETS["strong"], _PARTS[part].field))


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
