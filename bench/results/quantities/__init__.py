"""The registry of quantities: every number that a table, plot, limit or comparison shows is declared here once.

A new quantity is a row in `quality.py` or `performance.py`; leaderboard, speed tables, trade-off plots, limits, the
regression gate, `bench compare`, `--rank-by`, `bench audit` and the tables in results/README.md are views of the rows.
"""

from bench.results.quantities.performance import EFFICIENCY_LIMIT, PARAMS, PERFORMANCE, REVISIONS, TARGET_SECONDS
from bench.results.quantities.quality import MEAN_IOU, QUALITY
from bench.results.quantities.quantity import LEADERBOARD, MISSING, Metric, Quantity

__all__ = [
    "EFFICIENCY_LIMIT",
    "LEADERBOARD",
    "MEAN_IOU",
    "METRICS",
    "MISSING",
    "PARAMS",
    "QUANTITIES",
    "RANKED",
    "TARGET_SECONDS",
    "shown_in",
]

QUANTITIES: dict[str, Quantity] = {row.name: row for row in (*QUALITY, *PERFORMANCE, *REVISIONS)}
RANKED: dict[str, Metric] = {row.name: row for row in QUANTITIES.values() if isinstance(row, Metric)}
METRICS: dict[str, Metric] = {name: row for name, row in RANKED.items() if row.score.by_image}


def shown_in(place: str) -> tuple[Quantity, ...]:
    """List the quantities that are shown in a place, in the order of the registry."""
    return tuple(row for row in QUANTITIES.values() if place in row.where)
