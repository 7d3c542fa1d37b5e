"""One dimension of a search space: which options can be searched, and how a range and alternatives are written."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.core.errors import BenchError
from bench.core.option_kinds import WHOLE, shown, text_of
from bench.core.options import MODEL, REPETITION, Option
from bench.core.recipe.parameter_text import read_value
from bench.core.registry import unknown_name_message
from bench.core.trial_config import OPTIONS

COMPARED = frozenset(
    {"dataset", "dataset_params", "train_fraction", "train_limit", "backend"}
    | {field for field, option in OPTIONS.items() if option.panel in (MODEL, REPETITION)}
)
"""The fields that say what is compared with what."""
SCORED = ("budget", "target", "eval_size")
"""The fields that decide what a score is, so that the scores of their values can't be compared."""
PARAM = "param."  # before the name of a builder's parameter
_NUMBERS = re.compile(r"\s*[-+.\deE]+?\s*\.\.\s*[-+.\deE]+\s*(:.*)?")
FORMS = (
    "Accepted: a range such as lr=1e-4..1e-2:log or weight_decay=0..0.1, or alternatives such as augment=light|strong"
)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False  # drawn evenly on a logarithmic scale
    whole: bool = False
    of_parameter: bool = False  # of a builder, where only a decimal point tells a fraction from a whole number

    @property
    def ends(self) -> tuple[Any, ...]:
        """The value that is tried before a run; the lowest may be one that is never drawn, such as no decay at all."""
        return (self.high,)

    def __str__(self) -> str:
        write = repr if self.of_parameter else _number
        return f"{write(self.low)}..{write(self.high)}{':log' * self.log}"


@dataclass(frozen=True)
class Choice:
    """Alternatives, each as its option reads it."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def __str__(self) -> str:
        return "|".join(map(_word, self.values))


def parameter_dimension(name: str, text: str) -> Range | Choice:
    """Read the range or the alternatives of a builder's parameter; its builder checks the values."""
    numbers = _NUMBERS.fullmatch(text)
    if not numbers and "|" not in text:
        raise BenchError(f"--search has {name}={shown(text)}, a single value. {FORMS}; for one value give --param.")
    if not numbers:
        return _choice(name, text, read_value)
    whole = not re.search(r"[.eE]", text.partition(":")[0].replace("..", ""))
    return replace(_range(name, text, int if whole else float, whole=whole), of_parameter=True)


def option_named(name: str) -> Option:
    """Find the option that a search names; BenchError unless it can be searched."""
    known = {option.name: option for option in OPTIONS.values() if is_searchable(option)}
    name = name.removeprefix("--").replace("-", "_")
    if name in known:
        return known[name]
    others = {option.name: option.field for option in OPTIONS.values() if not option.internal}
    if name not in others:
        raise BenchError(f"--search: {unknown_name_message('option', name, [*known], [*known])}")
    field = others[name]
    if field in COMPARED:
        why = "says what is compared: give its values with commas instead, and each is tuned"
    elif field in SCORED:
        why = "decides what a score is, so its values can't be compared by score"
    else:
        why = "can't be searched"
    raise BenchError(f"--search has {name}, which {why}. Accepted: {', '.join(known)}.")


def is_searchable(option: Option) -> bool:
    """Tell whether a search may have that option."""
    return option.axis and option.in_key and option.field not in COMPARED.union(SCORED)


def dimension_of(option: Option, text: str) -> Range | Choice:
    if option.kind.is_number and ".." in text:
        return _range(option.name, text, partial(_checked, option), whole=option.kind == WHOLE)
    if "|" not in text:
        raise BenchError(
            f"--search has {option.name}={shown(text)}, a single value. {FORMS}; for one value give {option.flag}."
        )
    return _choice(option.name, text, partial(_checked, option))


def _choice(name: str, text: str, read: Callable[[str], Any]) -> Choice:
    values = tuple(read(word.strip()) for word in text.split("|"))
    if len(set(map(repr, values))) < len(values):
        raise BenchError(f"--search has {name}={shown(text)}, a value twice. Give each once.")
    return Choice(values)


def _range(name: str, text: str, read: Callable[[str], Any], *, whole: bool) -> Range:
    body, _, scale = text.partition(":")
    low, _, high = body.partition("..")
    said = f"--search has {name}={shown(text)}"
    if scale not in ("", "log"):
        raise BenchError(f"{said}, whose scale is '{shown(scale)}'. Accepted: log, as in lr=1e-4..1e-2:log, or none.")
    ends = read(low.strip()), read(high.strip())
    if None in ends or not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        raise BenchError(f"{said}, which is no range: the first number must be below the second.")
    if scale and ends[0] <= 0:
        raise BenchError(f"{said}: on a logarithmic scale both numbers must be above 0.")
    return Range(*ends, log=bool(scale), whole=whole)


def _checked(option: Option, text: str) -> Any:
    """Read and check a value of an option; the message says that --search has it."""
    try:
        value = option.read(text)
        option.check(value)
    except BenchError as error:
        raise BenchError(f"--search: {error}") from error
    return value


def _word(value: Any) -> str:
    if isinstance(value, list | bool):
        return json.dumps(value, separators=(",", ":"))
    return _number(value) if isinstance(value, float) else text_of(value)


def _number(value: float) -> str:
    """Write a number so that it is read as the same: `0.0001`, `16`."""
    return repr(value).removesuffix(".0")
