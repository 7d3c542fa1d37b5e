"""Tell within which limits of cost the image sizes of configurations were chosen."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.config.equal_cost import LIMITS, MEMORY, OPERATIONS, Limit
from bench.results.analysis.configurations import Configuration
from bench.results.sizes.noted_limits import noted_limits

GIVEN = "given"


def limits_of(configurations: Iterable[Configuration]) -> list[tuple[Limit, float]]:
    """List the limits within which the image sizes of configurations were chosen, each once."""
    found = {one for configuration in configurations for one in costs_within(configuration)}
    return sorted(found, key=lambda one: (LIMITS.index(one[0]), one[1]))


def costs_within(configuration: Configuration) -> dict[tuple[Limit, float], float]:
    """Return each limit within which a configuration's image size was chosen, with its cost; NaN if not recorded."""
    found = dict(_noted(configuration))
    columns = {OPERATIONS: "gflops", MEMORY: "sized_memory_mib"}
    for limit in LIMITS:
        for value in configuration.ok.get(limit.field, []):
            if math.isfinite(value) and value > 0:
                found[limit, float(value)] = configuration.spread(columns[limit]).mean
    return found


def _noted(configuration: Configuration) -> Iterator[tuple[tuple[Limit, float], float]]:
    """Yield the limits that were noted beside the records."""
    kinds = {limit.field: limit for limit in LIMITS}
    for folder in configuration.ok.get("folder", []):
        for name, most, memory in noted_limits(Path(folder)):
            cost = configuration.spread("gflops").mean if kinds[name] is OPERATIONS else memory
            yield (kinds[name], most), math.nan if cost is None else cost


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
