"""The text of a loss ("ce", "ce+dice", "0.5*ce+dice": a term, or a weighted sum of terms) and of class weights."""

import math

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.registry import unknown_name_message
from bench.core.specs import CLASS_WEIGHT_RULES, LOSS_TERMS
from bench.core.trial_config import OPTIONS
from bench.core.untrusted import safe_json

_FORMS = "Accepted: a term or a sum of terms with weights, such as ce, ce+dice, 0.5*ce+dice."


def parse_loss(name: str) -> dict[str, float]:
    """Read a loss as weights by term; raise BenchError for an unknown term or a text that is no sum of terms."""
    weights = dict.fromkeys(LOSS_TERMS, 0.0)
    for text in name.split("+"):
        weight, star, term = (part.strip() for part in text.rpartition("*"))
        if term not in LOSS_TERMS:
            near = unknown_name_message("loss", term or name, list(LOSS_TERMS), list(LOSS_TERMS))
            raise BenchError(f"{near} {_FORMS}")
        if star and not _is_weight(weight):
            raise BenchError(f"The loss '{name}' has the weight '{weight}', which is no number above 0. {_FORMS}")
        weights[term] += float(weight) if star else 1.0
    return {term: weights[term] for term in sorted(weights) if weights[term]}


def canonical_loss(name: str) -> str:
    """Write a loss in the canonical way: terms in alphabetical order, no spaces, no weight of 1."""
    return "+".join(term if weight == 1 else f"{_text(weight)}*{term}" for term, weight in parse_loss(name).items())


def _text(weight: float) -> str:
    return repr(weight).removesuffix(".0").replace("e+", "e")


def _is_weight(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def parse_class_weights(text: str, num_classes: int) -> str | tuple[float, ...]:
    """Read one of CLASS_WEIGHT_RULES or a weight for each class; raise BenchError for anything else.

    Args:
        num_classes: the number of classes; 0 if it isn't known yet.
    """
    if not text.startswith("["):
        if text not in CLASS_WEIGHT_RULES:
            rules = list(CLASS_WEIGHT_RULES)
            near = unknown_name_message("choice of class weights", text, rules, rules)
            raise BenchError(f"{near} Or a weight for each class in brackets, such as [0.3,0.7].")
        return text
    weights = _numbers(text)
    if num_classes and len(weights) != num_classes:
        raise BenchError(f"--class-weights {text} has {len(weights)} weights, but there are {num_classes} classes.")
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
        raise BenchError(f"--class-weights is {text}. Accepted: numbers of 0 or more, at least one of them above 0.")
    return weights


def canonical_class_weights(text: str, num_classes: int) -> str:
    """Write class weights in the canonical way: no spaces, whole numbers without decimals."""
    parsed = parse_class_weights(text, num_classes)
    if isinstance(parsed, str):
        return parsed
    return "[" + ",".join(repr(weight).removesuffix(".0") for weight in parsed) + "]"


def _numbers(text: str) -> tuple[float, ...]:
    try:
        values = safe_json.loads(text)
    except ValueError:
        values = [None]
    if not all(type(value) in (int, float) for value in values):
        raise BenchError(f"--class-weights is '{shown(text)}'. Accepted: {OPTIONS['class_weights'].range}.")
    return tuple(map(float, values))
