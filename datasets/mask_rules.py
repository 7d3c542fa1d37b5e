"""Decide what the values of a data set's masks mean: by classes.json, else by the values, if no rule doubts it."""

from bench.core.errors import BenchError
from bench.core.specs import IGNORE_INDEX
from bench.datasets.classes_file import ALPHA, ClassesFile, number_of
from bench.datasets.mask_doubts import ERRORS, MOST_INFERRED, WARNINGS
from bench.datasets.mask_evidence import Evidence
from bench.datasets.mask_meaning import LIGHT, Meaning


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
    ignored = {number_of(value): IGNORE_INDEX for value in given.ignore}
    named = {number_of(value): label for value, label in given.labels.items()}
    in_order: dict[float, int] = {label: label for label in range(len(given.names))}
    if given.source == ALPHA:
        threshold = given.threshold or (LIGHT if len(given.names) == 2 and not given.labels else None)
        return Meaning(given.names, ignored if threshold else {**(named or in_order), **ignored}, "alpha", threshold)
    if given.threshold is not None:
        return Meaning(given.names, ignored, "values", given.threshold)
    if given.coloured:
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
            f"the class names and values to {evidence.file}, and save masks without smoothing."
        )
    return Meaning(tuple(f"class_{value}" for value in used), {value: label for label, value in enumerate(used)})
