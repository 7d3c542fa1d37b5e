"""What is left of a leaderboard under limits, and which of it can't be told apart from the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.table_model import Group, Row


@dataclass(frozen=True)
class Limit:
    """A column that may be limited; `key` names it as an option and in a page's address."""

    key: str  # max_latency_ms
    column: str
    heading: str
    unit: str
    at_most: bool = True  # else at least
    scale: float = 1.0  # the column's units in one of the limit's

    def keeps(self, row: Row, value: float) -> bool:
        """Whether a row's mean keeps the limit; what was not measured doesn't."""
        found = row.configuration.spread(self.column).mean / self.scale
        return found <= value if self.at_most else found >= value

    def text(self, value: float) -> str:
        """`latency p95 at most 10 ms`."""
        return f"{self.heading} at {'most' if self.at_most else 'least'} {value:,.12g} {self.unit}".rstrip()


LIMITS = (
    Limit("min_mean_iou", "mean_iou", "mean IoU", "", at_most=False),
    Limit("max_latency_ms", "latency_ms_p95", "latency p95", "ms"),
    Limit("max_memory_mib", "peak_memory_mib", "peak memory", "MiB"),
    Limit("max_params", "params", "parameters", "M", scale=1e6),
    Limit("max_train_minutes", "train_seconds", "training", "min", scale=60),
)


@dataclass(frozen=True)
class Choice:
    """The rows of a group that keep the limits, best first."""

    kept: tuple[Row, ...]
    tied: tuple[Row, ...]  # of them those that can't be told apart from the first


def choose(group: Group, limits: Mapping[str, float]) -> Choice:
    """Apply limits by their keys to the ranked rows of a group."""
    wanted = [(limit, limits[limit.key]) for limit in LIMITS if limit.key in limits]
    places = [
        place for place, row in enumerate(group.ranked) if all(limit.keeps(row, value) for limit, value in wanted)
    ]
    kept = tuple(group.ranked[place] for place in places)
    tied = tuple(group.ranked[place] for place in places if not group.apart[places[0], place])
    return Choice(kept, tied)


def hindrances(group: Group, limits: Mapping[str, float]) -> list[str]:
    """For each limit how many rows keep it, and the best value that there is: what to loosen when nothing is left."""
    lines = []
    for limit in (limit for limit in LIMITS if limit.key in limits):
        kept = sum(limit.keeps(row, limits[limit.key]) for row in group.ranked)
        values = [row.configuration.spread(limit.column).mean / limit.scale for row in group.ranked]
        known = [value for value in values if value == value]
        best = (min if limit.at_most else max)(known, default=None)
        nearest = f"; the {'lowest' if limit.at_most else 'highest'} is {best:.4g} {limit.unit}" if known else ""
        lines.append(f"{limit.text(limits[limit.key])}: kept by {kept} of {len(group.ranked)}{nearest}".rstrip())
    return lines


def limits_of(groups: Sequence[Group]) -> list[Limit]:
    """The limits whose columns any ranked row has a value for."""
    rows = [row for group in groups for row in group.ranked]
    return [limit for limit in LIMITS if any(row.configuration.spread(limit.column).n for row in rows)]
