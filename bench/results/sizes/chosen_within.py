"""Tell within which limits of cost the image sizes of configurations were chosen."""

import math
from collections.abc import Iterable, Sequence

from bench.config.equal_cost import LIMITS, Limit
from bench.results.analysis.configurations import Configuration

GIVEN = "given"


def limits_of(configurations: Iterable[Configuration]) -> list[tuple[Limit, float]]:
    """List the limits within which the image sizes of configurations were chosen, each once."""
    found = {(limit, value) for one in configurations for limit in LIMITS if (value := limit_within(one, limit))}
    return sorted(found, key=lambda one: (LIMITS.index(one[0]), one[1]))


def limit_within(configuration: Configuration, limit: Limit) -> float:
    """Return the limit of that kind within which a configuration's image size was chosen; 0 if there is none."""
    values = configuration.ok.get(limit.field, [])
    return max((float(value) for value in values if math.isfinite(value) and value > 0), default=0.0)


def size_notes(members: Sequence[Configuration]) -> list[str]:
    """Write a note if rows that are ranked together have image sizes that were chosen in different ways."""
    ranked = [one for one in members if one.seeds]
    ways = {one: tuple(f"within {limit.text(most)}" for limit, most in limits_of([one])) or (GIVEN,) for one in ranked}
    counts = {way: sum(way in some for some in ways.values()) for some in ways.values() for way in some}
    if len(counts) < 2:
        return []
    listed = ", ".join(f"{way} ({count})" for way, count in sorted(counts.items(), key=lambda one: one[0] == GIVEN))
    return [
        f"The image sizes of these rows were chosen in different ways: {listed}. Rows of one limit alone stand in the "
        "tables of equal cost."
    ]
