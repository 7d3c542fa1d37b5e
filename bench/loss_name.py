"""The name of a loss: "ce", "dice", "ce+dice", "0.5*ce+dice" - a term, or a sum of terms with weights."""

import math

from bench.errors import BenchError
from bench.registry import unknown
from bench.spec import LOSS_TERMS

_FORMS = "Accepted: a term or a sum of terms with weights, such as ce, ce+dice, 0.5*ce+dice."


def parse_loss(name: str) -> dict[str, float]:
    """The terms of a loss, by name, and their weights; BenchError for an unknown term, or no sum of terms."""
    weights = dict.fromkeys(LOSS_TERMS, 0.0)
    for text in name.split("+"):
        weight, star, term = (part.strip() for part in text.rpartition("*"))
        if term not in LOSS_TERMS:
            raise BenchError(f"{unknown('loss', term or name, list(LOSS_TERMS), list(LOSS_TERMS))} {_FORMS}")
        if star and not _is_weight(weight):
            raise BenchError(f"The loss '{name}' has the weight '{weight}', which is no number above 0. {_FORMS}")
        weights[term] += float(weight) if star else 1.0
    return {term: weights[term] for term in sorted(weights) if weights[term]}


def canonical_loss(name: str) -> str:
    """The one spelling of all that mean the same: terms in order, no spaces, no weight of 1."""
    return "+".join(term if weight == 1 else f"{_text(weight)}*{term}" for term, weight in parse_loss(name).items())


def _text(weight: float) -> str:
    return repr(weight).removesuffix(".0").replace("e+", "e")


def _is_weight(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
