"""The options that a search tunes, each with a range or alternatives: `lr=1e-4..1e-2:log,augment=light|strong`.

A builder's parameter is named `param.depth`, in a search and as the field of a dimension.
"""

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.config.searching.dimensions import (
    FORMS,
    PARAM,
    Choice,
    Range,
    dimension_of,
    option_named,
    parameter_dimension,
)
from bench.core.errors import BenchError
from bench.core.option_kinds import shown, text_of
from bench.core.trial_config import ADAMW_WEIGHT_DECAY, OPTIONS, TrialConfig

SIZES = ("image_size", "resize")
"""The fields that do so, too, unless predictions are scored at the images' own size."""
_COMMA = re.compile(
    r",(?=\s*[\w.-]+\s*=)"
)  # before an option's name; any other is part of a value, as in steps@0.5,0.8
_MOST_COMBINATIONS = 2_000  # of alternatives that are tried before a run; a space with more is checked in part


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
                raise BenchError(f"--search has '{shown(part)}'. {FORMS}, several with commas.")
            if name.removeprefix("--").startswith(PARAM):
                field, dimension = name.removeprefix("--"), parameter_dimension(name, values)
            else:
                option = option_named(name)
                field, dimension = option.field, dimension_of(option, values)
            if field in found:
                raise BenchError(f"--search has {name_of(field)} twice. Give each option once.")
            found[field] = dimension
        if not found:
            raise BenchError(f"--search is empty. {FORMS}.")
        return cls(dict(sorted(found.items())))

    @property
    def text(self) -> str:
        """The same text for equal spaces."""
        return ",".join(f"{name_of(field)}={dimension}" for field, dimension in self.dimensions.items())

    def apply(self, config: TrialConfig, values: Values) -> TrialConfig:
        """Return the configuration with a value for each dimension; an option whose `needs` isn't met is left out."""
        plain = {field: value for field, value in values.items() if not field.startswith(PARAM)}
        params = {field.removeprefix(PARAM): value for field, value in values.items() if field not in plain}
        found = replace(config, **plain, params={**config.params, **params})
        for field in self.dimensions.keys() & plain.keys():
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
        raise BenchError(f"--tune {config.tune} needs --search, the options to tune. {FORMS}.")
    space = Space.parse(config.search)
    for name in space.dimensions.keys() & set(SIZES):
        if config.eval_size != "native":
            raise BenchError(
                f"--search has {name}, but scores at different image sizes can't be compared. Give --eval-size native."
            )
    return space.text


def searched_values(config: TrialConfig, fields: Iterable[str]) -> str:
    """Write the values that a tuning trial has of the searched options: `augment light, lr 0.00123`."""
    return ", ".join(f"{name_of(field)} {text_of(value_of(config, field))}" for field in fields)


def sought(given: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that the given search space has; none if no space is given."""
    if given.get("search") is None:
        return []
    space = Space.parse(OPTIONS["search"].read(given["search"]))
    return [name_of(field) for field in space.dimensions]


def name_of(field: str) -> str:
    """Return the name of a dimension's option, or `param.depth` of a builder's parameter."""
    return field if field.startswith(PARAM) else OPTIONS[field].name


def value_of(config: TrialConfig, field: str) -> Any:
    """Return a configuration's value of a dimension."""
    return (
        config.params.get(field.removeprefix(PARAM), "default") if field.startswith(PARAM) else getattr(config, field)
    )


def check_given(given: Mapping[str, Any], params: Collection[str]) -> None:
    """Raise BenchError if an option is to be searched for that is given, too, or one of the given parameters."""
    for name in sought(given):
        if name.removeprefix(PARAM) in params and name.startswith(PARAM):
            raise BenchError(f"--param {name.removeprefix(PARAM)} is given, and --search looks for it. Leave out one.")
        if given.get(name) is not None:
            raise BenchError(
                f"--{name.replace('_', '-')} is given ({shown(given[name])}), and --search looks for it. Leave out one."
            )
