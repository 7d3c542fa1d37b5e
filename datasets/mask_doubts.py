"""The rules that doubt what masks mean: each finds one kind of mask that can be read in more than one way.

A rule takes the evidence of all masks and what classes.json says. It returns one text with what settles the doubt, or
none. Rules of ERRORS stop, in this order; those of WARNINGS don't. docs/data.md lists them for users.
"""

from collections.abc import Callable

from bench.datasets.classes_file import ALPHA, INDEX, NAN, PALETTE, ClassesFile, number_of, proposed_name
from bench.datasets.mask_evidence import Evidence, listing, masks
from bench.datasets.mask_meaning import LIGHT
from bench.datasets.mask_survey import MaskFacts

MOST_INFERRED = 64  # classes; more values mean a photograph, or smoothed edges
MOST_LEVELS = 16  # values beside 0 and 255, dark and bright ones among them; more are the edges of resized masks
GREY_LEVEL = 64  # a larger value, with less than a quarter of those below it in use, is a grey level and no number
DARK, BRIGHT = 31, 224  # the values that compression and interpolation turn 0 and 255 into
MIDDLE_SHARE = 0.05  # of the pixels of a lossy mask; with more between dark and bright it is no mask of two classes

Rule = Callable[[Evidence, ClassesFile | None], str | None]


# ---------------------------------------------------------------- errors


def colours_without_table(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse colours that nothing maps to classes."""
    coloured = evidence.of(lambda facts: facts.kind == "colours")
    if not coloured or (given and (given.source == ALPHA or given.coloured)):
        return None
    if given:
        return (
            f"{evidence.file} names values, but {masks(coloured, 'has', 'have')} colours, {listing(evidence.colours)}. "
            f'Give each class its colour there: {{"{given.names[0]}": "#rrggbb", "{given.names[1]}": "#rrggbb"}}; '
            "`bench prepare ... --write-classes` prints a proposal."
        )
    return (
        f"{masks(coloured, 'has', 'have')} colours, {listing(evidence.colours)}. Say in {evidence.file} which "
        f'class each is, as {{"background": "#000000", "car": "#800000"}}; `bench prepare ... --write-classes` '
        "proposes the file. Masks that are meant to have one channel are saved as 8-bit grey PNG."
    )


def alpha_varies(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse an alpha channel that may be the mask itself."""
    varied = evidence.of(lambda facts: facts.alpha)
    if not varied or (given and given.source):
        return None
    return (
        f"{masks(varied, 'has', 'have')} an alpha channel that varies. Say in {evidence.file} whether it "
        f'is the mask: {{"classes": ["background", "car"], "from": "{ALPHA}"}}; or that the colours or values are: '
        f'"from": "{PALETTE}" or "{INDEX}".'
    )


def palettes_differ(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse indices that mean different colours in different files."""
    if given and (given.source or given.coloured):
        return None
    first: dict[int, tuple[str, str]] = {}
    for name, facts in evidence.masks:
        for index, colour in facts.palette.items():
            other = first.setdefault(index, (colour, name))
            if other[0] != colour:
                return (
                    f"the colour tables differ: {index} is {other[0]} in {other[1]} and {colour} in {name}. "
                    f"Say in {evidence.file} that colours are the classes, "
                    f'{{"classes": {{"background": "#000000", ...}}, '
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
    if coloured := [name for name, facts in lossy if facts.kind == "colours"]:
        return f"{masks(coloured, 'is', 'are')} {_LOSSY}, which changes colours; {_ANEW}."
    if given and (len(given.names) > 2 or given.coloured):
        return f"{masks([n for n, _ in lossy], 'is', 'are')} {_LOSSY}, which has no exact values; {_ANEW}."
    if strange := [name for name, facts in lossy if not _two_ends(facts)]:
        return f"{masks(strange, 'is', 'are')} {_LOSSY} and not clearly black and white; {_save(evidence)}"
    if not any(max(facts.values) >= LIGHT for _, facts in lossy) and len(lossy) == len(evidence.masks):
        return f"no mask {_LOSSY} has a bright pixel, so that all would be background; {_save(evidence)}"
    return None


def _two_ends(facts: MaskFacts) -> bool:
    """Return whether a lossy mask is dark and bright, with little between."""
    between = sum(count for value, count in facts.values.items() if DARK < value < BRIGHT)
    return facts.kind == "values" and between <= MIDDLE_SHARE * facts.size[0] * facts.size[1]


_LOSSY = "of a lossy format (JPEG, WebP)"
_ANEW = "export the masks anew as PNG"


def _save(evidence: Evidence) -> str:
    return (
        f'{_ANEW}, or say in {evidence.file} where black ends: {{"classes": ["background", "car"], "threshold": 128}}.'
    )


def beyond_8_bits(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse values outside 0 to 255, fractions and NaN unless classes.json names them."""
    named = {number_of(value) for value in (*given.labels, *given.ignore)} if given else set()
    if given and (given.source == ALPHA or given.threshold is not None or given.coloured):
        nans = any(v != v for v in evidence.values) and NAN not in given.ignore and given.threshold is not None
        return f"NaN is in masks. {_ignore_it(evidence)}" if nans else None
    strange = [v for v in evidence.values if (v != v or v not in range(256)) and v not in named]
    if not strange:
        return None
    fractions = any(value % 1 for value in strange if value == value)
    if fractions:
        return (
            f"the masks have fractions, {listing(strange)}. If they are probabilities, say in {evidence.file} from "
            'which on a pixel is in the class: {"classes": ["background", "car"], "threshold": 0.5}.'
        )
    if any(value != value or value < 0 for value in strange):
        return f"the masks have {listing(strange)}, which are no labels. {_ignore_it(evidence)}"
    return (
        f"the masks have values above 255, {listing(strange)}. Say in {evidence.file} which class each is, as "
        '{"background": 0, "car": [24003, 26001]}; `bench prepare ... --write-classes` proposes the file.'
    )


def _ignore_it(evidence: Evidence) -> str:
    return (
        f'If they mark pixels without a label, say so in {evidence.file}: {{"classes": ..., "ignore": [-9999, "nan"]}}.'
    )


def smoothed(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Refuse values that are clustered at 0 and 255: masks of two classes that were compressed or resized."""
    if given and (given.threshold is not None or given.source or given.labels):
        return None
    near = set(evidence.values) - {0, 255}
    between = any(DARK < value < BRIGHT for value in near)
    blurred = MOST_LEVELS < len(near) <= MOST_INFERRED and any(value <= DARK for value in near)
    if not any(BRIGHT <= value < 255 for value in near) or (between and not blurred):
        return None
    return (
        f"the values lie at 0 and 255, {listing(evidence.values)}: masks of two classes that were compressed or "
        f'resized. Say so in {evidence.file}: {{"classes": ["background", "foreground"], "threshold": 128}}.'
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
        f"{masks(ones, 'has', 'have')} 0 and 1, {masks(bright, 'has', 'have')} 0 and 255. If both are the "
        f'same class, write {{"background": 0, "foreground": [1, 255]}} to {evidence.file}; if 255 is to be ignored, '
        '{"classes": {"background": 0, "foreground": 1}, "ignore": [255]}.'
    )


ERRORS: tuple[Rule, ...] = (
    alpha_varies,
    lossy_values,
    colours_without_table,
    palettes_differ,
    beyond_8_bits,
    smoothed,
    mixed_scales,
)


# ---------------------------------------------------------------- warnings


def bright_is_ignored(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt that 255 is to be ignored where it is on more pixels than all classes but 0 together."""
    if given and (given.ignore or given.source or given.threshold is not None or given.coloured):
        return None
    named = set(given.labels) if given else set()
    others = sum(count for value, count in evidence.values.items() if value not in (0, 255))
    if 255 in named or not others or evidence.values[255] <= others:
        return None
    share = evidence.values[255] / evidence.values.total()
    return (
        f"255 is ignored, and it is on {share:.0%} of the pixels, more than all values but 0 together. If it is a "
        f'class, name it in {evidence.file}, {{"background": 0, "car": [1, 255]}}; if not, settle it by '
        '"ignore": [255].'
    )


def bright_may_be_a_level(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt that 255 is to be ignored where the other values are grey levels, such as 0, 128, 255."""
    if given or bright_is_ignored(evidence, given) or 255 not in evidence.values:
        return None
    others = set(evidence.values) - {255}
    if max(others, default=0) < GREY_LEVEL or len(others) > max(others) / 4:
        return None
    return (
        f"the values {listing(evidence.values)} look like grey levels, and 255 is ignored. If it is a class, name it "
        f'in {evidence.file}, {{"background": 0, "border": 128, "cell": 255}}; if the masks were resized, save them '
        'without smoothing; if it is to be ignored, name the others and "ignore": [255].'
    )


def void_is_a_class(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt that a class named like the ignored pixels is to be learnt."""
    names = [n for n in (given.names if given else ()) if n.lower() in ("ignore", "ignored", "void", "unlabeled")]
    if not names or (given and given.ignore):
        return None
    return (
        f"{evidence.file} makes '{names[0]}' a class like any other. If its pixels are to be left out, name its value "
        'in "ignore": [255] beside "classes".'
    )


def proposed_names(evidence: Evidence, given: ClassesFile | None) -> str | None:
    """Doubt names that --write-classes proposed and nobody has replaced."""
    if not given or not given.by_hand:
        return None
    left = [given.names[label] for value, label in given.labels.items() if given.names[label] == proposed_name(value)]
    if not left:
        return None
    return f"{evidence.file} still has {len(left)} proposed names, such as '{left[0]}'. Replace each by what it means."


WARNINGS: tuple[Rule, ...] = (bright_is_ignored, bright_may_be_a_level, void_is_a_class, proposed_names)
