"""Decide what the values of a data set's masks mean, and doubt: a guess that may be wrong is an error or a warning.

The rules, in the order in which they are asked, are the functions of ERRORS and WARNINGS. Each takes the evidence of
all masks and what classes.json says, and returns one text, or none. docs/data.md lists them for users.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets.classes_file import ALPHA, INDEX, NAN, PALETTE, ClassesFile
from bench.datasets.mask_meaning import LIGHT, Meaning
from bench.datasets.mask_survey import NAN as NAN_VALUE
from bench.datasets.mask_survey import MaskFacts

MOST_INFERRED = 64  # classes; more values mean a photograph, or smoothed edges
DARK, BRIGHT = 31, 224  # the values that compression and interpolation turn 0 and 255 into
MIDDLE_SHARE = 0.05  # of the pixels of a lossy mask; with more between dark and bright it is no mask of two classes
_EXAMPLES = 6  # values and colours that a message names


@dataclass(frozen=True)
class Evidence:
    """The facts of all readable masks of a data set, with their names for messages."""

    masks: Sequence[tuple[str, MaskFacts]]
    place: str  # the folder of the masks, for messages

    @cached_property
    def values(self) -> Counter[float]:
        """The pixels of each value, over all masks of exact formats whose values count."""
        return _sum(facts.values for _, facts in self.masks if not facts.lossy)

    @cached_property
    def colours(self) -> Counter[str]:
        """The pixels of each colour, with those of grey masks."""
        return _sum(facts.colours or _greys(facts.values) for _, facts in self.masks)

    def of(self, wanted: Callable[[MaskFacts], object]) -> list[str]:
        """Return the names of the masks that are `wanted`."""
        return [name for name, facts in self.masks if wanted(facts)]


Rule = Callable[[Evidence, ClassesFile | None], str | None]


def decide(evidence: Evidence, given: ClassesFile | None) -> tuple[Meaning, tuple[str, ...]]:
    """Return the meaning of the masks, and a warning for each doubt that remains.

    Raises:
        BenchError: a rule finds that the masks can't be read as they are without guessing.
    """
    for rule in ERRORS:
        if text := rule(evidence, given):
            raise BenchError(f"{evidence.place}: {text}")
    warnings = tuple(f"{evidence.place}: {text}" for rule in WARNINGS if (text := rule(evidence, given)))
    return (_inferred(evidence) if given is None else _given(evidence, given)), warnings


# ---------------------------------------------------------------- the meaning


def _given(evidence: Evidence, given: ClassesFile) -> Meaning:
    """Return the meaning that classes.json gives; a list of two names takes 0 and 255 where no mask has a 1."""
    ignored = {_number(value): IGNORE_INDEX for value in given.ignore}
    named = {_number(value): label for value, label in given.labels.items()}
    in_order: dict[float, int] = {label: label for label in range(len(given.names))}
    if given.source == ALPHA:
        threshold = given.threshold or (LIGHT if len(given.names) == 2 and not given.labels else None)
        return Meaning(given.names, ignored if threshold else {**(named or in_order), **ignored}, "alpha", threshold)
    if given.threshold is not None:
        return Meaning(given.names, ignored, "values", given.threshold)
    if _is_coloured(given):
        return Meaning(given.names, {**named, **ignored}, "colours")
    if given.labels:
        return Meaning(given.names, {**named, **ignored})
    both = len(given.names) == 2 and set(evidence.values) - set(ignored) <= {0, 255}
    if both and IGNORE_INDEX not in ignored:
        return Meaning(given.names, {0: 0, 255: 1, **ignored})
    return Meaning(given.names, {**in_order, **ignored})


def _inferred(evidence: Evidence) -> Meaning:
    found = set(evidence.values)
    if found <= {0, 255}:
        return Meaning(("background", "foreground"), {0: 0, 255: 1})
    used = sorted(int(value) for value in found - {IGNORE_INDEX})
    if not 2 <= len(used) <= MOST_INFERRED:
        raise BenchError(
            f"The masks in '{evidence.place}' have {len(used)} values, too many or too few to be classes. Write "
            f"the class names and values to classes.json, and save masks without smoothing."
        )
    return Meaning(tuple(f"class_{value}" for value in used), {value: label for label, value in enumerate(used)})


def _number(value: int | str) -> float:
    """Return a value of classes.json as `Meaning` counts it: a colour as 0xRRGGBB."""
    if isinstance(value, str):
        return NAN_VALUE if value == NAN else int(value[1:], 16)
    return value


# ---------------------------------------------------------------- errors


def colours_without_table(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse colours that nothing maps to classes."""
    coloured = evidence.of(lambda facts: facts.kind == "colours")
    if not coloured or (given and (given.source == ALPHA or _is_coloured(given))):
        return None
    return (
        f"{_masks(coloured, 'has', 'have')} colours, {_list(evidence.colours)}. Say in classes.json which "
        f'class each is, as {{"background": "#000000", "car": "#800000"}}; `bench prepare ... --write-classes` '
        "proposes the file. Masks that are meant to have one channel are saved as 8-bit grey PNG."
    )


def alpha_varies(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse an alpha channel that may be the mask itself."""
    varied = evidence.of(lambda facts: facts.alpha)
    if not varied or (given and given.source):
        return None
    return (
        f"{_masks(varied, 'has', 'have')} an alpha channel that varies. Say in classes.json whether it "
        f'is the mask: {{"classes": ["background", "car"], "from": "{ALPHA}"}}; or that the colours or values are: '
        f'"from": "{PALETTE}" or "{INDEX}".'
    )


def palettes_differ(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse indices that mean different colours in different files."""
    if given and (given.source or _is_coloured(given)):
        return None
    first: dict[int, tuple[str, str]] = {}
    for name, facts in evidence.masks:
        for index, colour in facts.palette.items():
            other = first.setdefault(index, (colour, name))
            if other[0] != colour:
                return (
                    f"the colour tables differ: {index} is {other[0]} in {other[1]} and {colour} in {name}. "
                    f'Say in classes.json that colours are the classes, {{"classes": {{"background": "#000000", ...}}, '
                    f'"from": "{PALETTE}"}}, or that the indices are: "from": "{INDEX}".'
                )
    return None


def lossy_values(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse masks of a lossy format that are not black and white: their values are not exact."""
    if given and (given.source == ALPHA or given.threshold is not None):
        return None
    lossy = [(name, facts) for name, facts in evidence.masks if facts.lossy]
    if not lossy:
        return None
    if given and (len(given.names) > 2 or _is_coloured(given)):
        return f"{_masks([n for n, _ in lossy], 'is', 'are')} {_LOSSY}, which has no exact values; {_SAVE}"
    if strange := [name for name, facts in lossy if not _two_ends(facts)]:
        return f"{_masks(strange, 'is', 'are')} {_LOSSY} and not clearly black and white; {_SAVE}"
    if not any(max(facts.values) >= LIGHT for _, facts in lossy) and len(lossy) == len(evidence.masks):
        return f"no mask {_LOSSY} has a bright pixel, so that all would be background; {_SAVE}"
    return None


def _two_ends(facts: MaskFacts) -> bool:
    """Return whether a lossy mask is dark and bright, with little between."""
    between = sum(count for value, count in facts.values.items() if DARK < value < BRIGHT)
    return facts.kind == "values" and between <= MIDDLE_SHARE * facts.size[0] * facts.size[1]


_LOSSY = "of a lossy format (JPEG, WebP)"
_SAVE = (
    'save the masks as PNG, or say in classes.json where black ends: {"classes": ["background", "car"], '
    '"threshold": 128}.'
)


def beyond_8_bits(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse values outside 0 to 255, fractions and NaN unless classes.json names them."""
    named = {_number(value) for value in (*given.labels, *given.ignore)} if given else set()
    if given and (given.source == ALPHA or given.threshold is not None or _is_coloured(given)):
        nans = any(v != v for v in evidence.values) and NAN not in given.ignore and given.threshold is not None
        return f"NaN is in masks. {_IGNORE_IT}" if nans else None
    strange = [v for v in evidence.values if (v != v or v not in range(256)) and v not in named]
    if not strange:
        return None
    fractions = any(value % 1 for value in strange if value == value)
    if fractions:
        return (
            f"the masks have fractions, {_list(strange)}. If they are probabilities, say in classes.json from which "
            'on a pixel is in the class: {"classes": ["background", "car"], "threshold": 0.5}.'
        )
    if any(value != value or value < 0 for value in strange):
        return f"the masks have {_list(strange)}, which are no labels. {_IGNORE_IT}"
    return (
        f"the masks have values above 255, {_list(strange)}. Say in classes.json which class each is, as "
        '{"background": 0, "car": [24003, 26001]}; `bench prepare ... --write-classes` proposes the file.'
    )


_IGNORE_IT = 'If they mark pixels without a label, say so in classes.json: {"classes": ..., "ignore": [-9999, "nan"]}.'


def smoothed(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse values that are clustered at 0 and 255: masks of two classes that were compressed or resized."""
    if given and (given.threshold is not None or given.source or given.labels):
        return None
    near = set(evidence.values) - {0, 255}
    if not any(BRIGHT <= value < 255 for value in near) or any(DARK < value < BRIGHT for value in near):
        return None
    return (
        f"the values lie at 0 and 255, {_list(evidence.values)}: masks of two classes that were compressed or resized. "
        'Say so in classes.json: {"classes": ["background", "foreground"], "threshold": 128}.'
    )


def mixed_scales(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse masks of which some have 0 and 1 and others 0 and 255: 255 would be ignored in the second."""
    if given and (given.labels or given.ignore or given.threshold is not None or given.source):
        return None
    ones = evidence.of(lambda facts: not facts.lossy and set(facts.values) <= {0, 1} and 1 in facts.values)
    bright = evidence.of(lambda facts: not facts.lossy and set(facts.values) <= {0, 255} and 255 in facts.values)
    if not ones or not bright or not set(evidence.values) <= {0, 1, 255}:
        return None
    if evidence.of(lambda facts: {1, 255} <= set(facts.values)):
        return None  # 255 is beside 1 in a mask, so that it isn't another way to write it
    return (
        f"{_masks(ones, 'has', 'have')} 0 and 1, {_masks(bright, 'has', 'have')} 0 and 255. If both are the "
        'same class, write {"background": 0, "foreground": [1, 255]} to classes.json; if 255 is to be ignored, '
        '{"classes": {"background": 0, "foreground": 1}, "ignore": [255]}.'
    )


ERRORS: tuple[Rule, ...] = (
    alpha_varies,
    colours_without_table,
    palettes_differ,
    lossy_values,
    beyond_8_bits,
    smoothed,
    mixed_scales,
)


# ---------------------------------------------------------------- warnings


def bright_is_ignored(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt that 255 is to be ignored where it is on more pixels than all classes but 0 together."""
    if given and (given.ignore or given.source or given.threshold is not None or _is_coloured(given)):
        return None
    named = set(given.labels) if given else set()
    others = sum(count for value, count in evidence.values.items() if value not in (0, 255))
    if 255 in named or not others or evidence.values[255] <= others:
        return None
    share = evidence.values[255] / evidence.values.total()
    return (
        f"255 is ignored, and it is on {share:.0%} of the pixels, more than all values but 0 together. If it is a "
        'class, name it in classes.json, {"background": 0, "car": [1, 255]}; if not, settle it by "ignore": [255].'
    )


def void_is_a_class(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt that a class named like the ignored pixels is to be learnt."""
    names = [n for n in (given.names if given else ()) if n.lower() in ("ignore", "ignored", "void", "unlabeled")]
    if not names or (given and given.ignore):
        return None
    return (
        f"classes.json makes '{names[0]}' a class like any other. If its pixels are to be left out, name its value in "
        '"ignore": [255] beside "classes".'
    )


WARNINGS: tuple[Rule, ...] = (bright_is_ignored, void_is_a_class)


# ---------------------------------------------------------------- helpers


def _is_coloured(given: ClassesFile) -> bool:
    return given.source == PALETTE or any(isinstance(value, str) for value in given.labels)


def _sum(counts: Iterable[Mapping[float, int]] | Iterable[Mapping[str, int]]) -> Counter:  # type: ignore[type-arg]
    total: Counter = Counter()  # type: ignore[type-arg]
    for each in counts:
        total.update(each)
    return total


def _greys(values: Mapping[float, int]) -> dict[str, int]:
    return {f"#{int(v):02x}{int(v):02x}{int(v):02x}": n for v, n in values.items() if v in range(256)}


def _masks(names: Sequence[str], one: str, more: str) -> str:
    """Return a subject and its verb: how many masks, the first of them by name, and `one` or `more`."""
    return f"1 mask ({names[0]}) {one}" if len(names) == 1 else f"{len(names)} masks (the first: {names[0]}) {more}"


def _list(values: Iterable[object]) -> str:
    found = sorted(values, key=lambda value: (isinstance(value, float) and value != value, value))
    shown = ", ".join(f"{v:g}" if isinstance(v, int | float) else str(v) for v in found[:_EXAMPLES])
    return f"{shown} and {len(found) - _EXAMPLES} more" if len(found) > _EXAMPLES else shown
