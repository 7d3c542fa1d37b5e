"""Put the points of each configuration in the order of their commits, and find the changes in all of them."""

import math
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results.over_commits.change_points import LEAST, Change, changes, levels, likeliest
from bench.results.over_commits.points import FOLLOWED, Point

_GIT_SECONDS = 20


@dataclass(frozen=True)
class Timeline:
    """The points of one configuration on one device, in the order of their commits."""

    label: str
    points: tuple[Point, ...]
    seeds: tuple[str, ...]  # that all points have; empty: there are none, and each mean is over its own seeds
    changes: Mapping[str, Sequence[Change]]  # by the name of the number

    def values(self, name: str) -> list[float]:
        """Return the means of a number over the common seeds, of each point; NaN where it isn't known."""
        return [point.mean(name, self.seeds) for point in self.points]

    @property
    def missing(self) -> int:
        """The number of commits that are still needed before a change can be found."""
        return max(0, LEAST - len(self.points))


def timelines(points: Iterable[Point], order: Mapping[str, int] | None = None) -> list[Timeline]:
    """Make the timelines of all configurations; those with one commit are left out.

    Args:
        order: the place of each commit; None, or one commit without a place: they are ordered by time.
    """
    by_series: dict[object, dict[object, Point]] = defaultdict(dict)
    for point in points:
        by_series[point.series].setdefault(point.identity, point)
    lines = [sorted(some.values(), key=_key(some.values(), order)) for some in by_series.values() if len(some) > 1]
    lines.sort(key=lambda line: (line[0].label, line[0].series))
    return _with_changes(lines)


def _key(points: Iterable[Point], order: Mapping[str, int] | None) -> Callable[[Point], tuple[int, str]]:
    if order and all(point.commit in order for point in points):
        return lambda point: (order[point.commit], point.time)
    return lambda point: (0, point.time)


def _with_changes(lines: Sequence[Sequence[Point]]) -> list[Timeline]:
    """Judge every number of every line together: 5 % is the rate of false alarms of all of them."""
    bare = [Timeline(_label(line, lines), tuple(line), _common(line), {}) for line in lines]
    judged = [(line, name) for line in bare for name in FOLLOWED if _is_judged(line.values(name))]
    given = levels([likeliest(line.values(name))[1] for line, name in judged])
    found: dict[int, dict[str, list[Change]]] = defaultdict(dict)
    for (line, name), level in zip(judged, given, strict=True):
        if level and (some := changes(line.values(name), level)):
            found[id(line)][name] = some
    return [Timeline(line.label, line.points, line.seeds, found[id(line)]) for line in bare]


def _is_judged(values: Sequence[float]) -> bool:
    return len(values) >= LEAST and all(map(math.isfinite, values))


def _common(points: Sequence[Point]) -> tuple[str, ...]:
    seeds = [{seed for values in point.values.values() for seed in values} for point in points]
    return tuple(sorted(set.intersection(*seeds)))


def _label(line: Sequence[Point], lines: Sequence[Sequence[Point]]) -> str:
    """Write the label; where another line has the same one, with what differs."""
    first = line[0]
    alike = [other[0] for other in lines if other[0].label == first.label]
    more = []
    if len({one.configuration for one in alike}) > 1:
        more.append(f"configuration {first.configuration[:8]}")
    if len({one.device for one in alike}) > 1:
        more.append(f"on {first.device}")
    if len({one.software for one in alike}) > 1:
        more.append(first.software)
    return ", ".join([first.label, *more])


def commit_order() -> dict[str, int]:
    """Return the place of each commit in the history of segbench's checkout; {} if it is none."""
    root = Path(__file__).resolve().parents[3]
    command = ["git", "-C", str(root), "rev-list", "--topo-order", "--reverse", "--all"]
    try:
        found = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {commit: place for place, commit in enumerate(found.stdout.split())} if found.returncode == 0 else {}
