"""How classes are weighted in the loss, as text: "none", "balanced", "median-frequency", or weights, "[0.3,0.7]"."""

import json
import math

from bench.errors import BenchError
from bench.registry import unknown
from bench.spec import CLASS_WEIGHTS

FORMS = f"{', '.join(CLASS_WEIGHTS)}, or a weight for each class in brackets, such as [0.3,0.7]"


def parse_class_weights(text: str, num_classes: int) -> str | tuple[float, ...]:
    """One of CLASS_WEIGHTS, or a weight for each class; BenchError for anything else.

    Args:
        num_classes: 0 where they are not known yet.
    """
    if not text.startswith("["):
        if text not in CLASS_WEIGHTS:
            near = unknown("choice of class weights", text, list(CLASS_WEIGHTS), list(CLASS_WEIGHTS))
            raise BenchError(f"{near} Or a weight for each class in brackets, such as [0.3,0.7].")
        return text
    weights = _numbers(text)
    if num_classes and len(weights) != num_classes:
        raise BenchError(f"--class-weights {text} has {len(weights)} weights, but there are {num_classes} classes.")
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise BenchError(f"--class-weights is {text}. Accepted: numbers of 0 or more, at least one of them above 0.")
    return weights


def canonical_class_weights(text: str, num_classes: int) -> str:
    """The one spelling of all that mean the same: no spaces, no decimals of a whole number."""
    parsed = parse_class_weights(text, num_classes)
    if isinstance(parsed, str):
        return parsed
    return "[" + ",".join(repr(weight).removesuffix(".0") for weight in parsed) + "]"


def _numbers(text: str) -> tuple[float, ...]:
    try:
        values = json.loads(text, parse_int=float)
    except ValueError:
        values = [None]
    if not all(isinstance(value, float) for value in values):
        raise BenchError(f"--class-weights is '{text}'. Accepted: {FORMS}.")
    return tuple(values)
