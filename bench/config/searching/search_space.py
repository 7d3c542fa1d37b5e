"""The options that a search tunes, each with a range or alternatives: `lr=1e-4..1e-2:log,augment=light|strong`."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.core.errors import BenchError
from bench.core.option_kinds import WHOLE, shown, text_of
from bench.core.options import MODEL, REPETITION, TRAINING, Option
from bench.core.registry import unknown_name_message
from bench.core.trial_config import ADAMW_WEIGHT_DECAY, OPTIONS, TrialConfig

COMPARED = frozenset(
    {"dataset", "dataset_params", "train_fraction", "backend"}
    | {field for field, option in OPTIONS.items() if option.panel in (MODEL, REPETITION)}
)
"""The fields that say what is compared with what."""
SCORED = ("budget", "target", "eval_size")
"""The fields that decide what a score is, so that the scores of their values can't be compared."""
SIZES = ("image_size", "resize")
"""The fields that do so, too, unless predictions are scored at the images' own size."""
_COMMA = re.compile(r",(?=\s*[\w-]+\s*=)")  # before an option's name; any other is part of a value, as in steps@0.5,0.8
_FORMS = (
    "Accepted: a range such as lr=1e-4..1e-2:log or weight_decay=0..0.1, or alternatives such as augment=light|strong"
)
_MOST_COMBINATIONS = 2_000  # of alternatives that are tried before a run; a space with more is checked in part


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False  # drawn evenly on a logarithmic scale
    whole: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """The value that is tried before a run; the lowest may be one that is never drawn, such as no decay at all."""
        return (self.high,)

    def __str__(self) -> str:
        return f"{_number(self.low)}..{_number(self.high)}{':log' * self.log}"


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


Values = Mapping[str, Any]  # field of a configuration -> value


@dataclass(frozen=True)
class Space:
    """The search space: its dimensions by field."""

    dimensions: dict[str, Range | Choice]

    @classmethod
    def parse(cls, text: str) -> "Space":
        """Read the text of --search; BenchError for an option or a range that can't be searched."""
        found: dict[str, Range | Choice] = {}
        for part in filter(None, (piece.strip(", ") for piece in _COMMA.split(text))):
            name, equals, values = (piece.strip() for piece in part.partition("="))
            if not equals or not name or not values:
                raise BenchError(f"--search has '{shown(part)}'. {_FORMS}, several with commas.")
            option = _option(name)
            if option.field in found:
                raise BenchError(f"--search has {option.name} twice. Give each option once.")
            found[option.field] = _dimension(option, values)
        if not found:
            raise BenchError(f"--search is empty. {_FORMS}.")
        return cls(dict(sorted(found.items())))

    @property
    def text(self) -> str:
        """The same text for equal spaces."""
        return ",".join(f"{OPTIONS[field].name}={dimension}" for field, dimension in self.dimensions.items())

    def apply(self, config: TrialConfig, values: Values) -> TrialConfig:
        """Return the configuration with a value for each dimension; an option whose `needs` isn't met is left out."""
        found = replace(config, **values)
        for field in self.dimensions:
            needed = OPTIONS[field].needs
            if needed and not getattr(found, needed):
                found = replace(found, **{field: OPTIONS[field].default})
        if found.optimizer == "adamw" and not found.weight_decay and "weight_decay" not in values:
            return replace(found, weight_decay=ADAMW_WEIGHT_DECAY)
        return found

    def extremes(self) -> Iterator[dict[str, Any]]:
        """Yield the values at the upper ends of the ranges, in each combination of alternatives."""
        every = itertools.product(*(dimension.ends for dimension in self.dimensions.values()))
        for values in itertools.islice(every, _MOST_COMBINATIONS):
            yield dict(zip(self.dimensions, values, strict=True))


def check(config: TrialConfig) -> str:
    """Return the text of a configuration's search space, the same for equal spaces; empty if it isn't tuned.

    Raises:
        BenchError: the space can't be searched, or there is none.
    """
    if config.tune is None:
        return config.search
    if not config.search:
        raise BenchError(f"--tune {config.tune} needs --search, the options to tune. {_FORMS}.")
    space = Space.parse(config.search)
    for name in space.dimensions.keys() & set(SIZES):
        if config.eval_size != "native":
            raise BenchError(
                f"--search has {name}, but scores at different image sizes can't be compared. Give --eval-size native."
            )
    return space.text


def searched_values(config: TrialConfig) -> str:
    """Write those options of a tuning trial's training that a search may have and that differ from the default."""
    some = (option for option in OPTIONS.values() if is_searchable(option) and option.panel == TRAINING)
    texts = [f"{o.name} {text_of(getattr(config, o.field))}" for o in some if getattr(config, o.field) != o.default]
    return ", ".join(texts) or "the defaults"


def sought(given: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that the given search space has; none if no space is given."""
    if given.get("search") is None:
        return []
    space = Space.parse(OPTIONS["search"].read(given["search"]))
    return [OPTIONS[field].name for field in space.dimensions]


def check_given(given: Mapping[str, Any]) -> None:
    """Raise BenchError if an option is to be searched for that is given, too."""
    for name in sought(given):
        if given.get(name) is not None:
            raise BenchError(
                f"--{name.replace('_', '-')} is given ({shown(given[name])}), and --search looks for it. Leave out one."
            )


def _option(name: str) -> Option:
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


def _dimension(option: Option, text: str) -> Range | Choice:
    if option.kind.is_number and ".." in text:
        return _range(option, text)
    if "|" not in text:
        raise BenchError(
            f"--search has {option.name}={shown(text)}, a single value. {_FORMS}; for one value give {option.flag}."
        )
    values = tuple(_checked(option, word.strip()) for word in text.split("|"))
    if len(set(values)) < len(values):
        raise BenchError(f"--search has {option.name}={shown(text)}, a value twice. Give each once.")
    return Choice(values)


def _range(option: Option, text: str) -> Range:
    body, _, scale = text.partition(":")
    low, _, high = body.partition("..")
    said = f"--search has {option.name}={shown(text)}"
    if scale not in ("", "log"):
        raise BenchError(f"{said}, whose scale is '{shown(scale)}'. Accepted: log, as in lr=1e-4..1e-2:log, or none.")
    ends = _checked(option, low.strip()), _checked(option, high.strip())
    if None in ends or not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        raise BenchError(f"{said}, which is no range: the first number must be below the second.")
    if scale and ends[0] <= 0:
        raise BenchError(f"{said}: on a logarithmic scale both numbers must be above 0.")
    return Range(*ends, log=bool(scale), whole=option.kind == WHOLE)


def _checked(option: Option, text: str) -> Any:
    """Read and check a value of an option; the message says that --search has it."""
    try:
        value = option.read(text)
        option.check(value)
    except BenchError as error:
        raise BenchError(f"--search: {error}") from error
    return value


def _word(value: Any) -> str:
    return _number(value) if isinstance(value, float) else text_of(value)


def _number(value: float) -> str:
    """Write a number so that it is read as the same: `0.0001`, `16`."""
    return repr(value).removesuffix(".0")
