"""Keep points in a file of JSON lines, to which each run of CI adds its own."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import write_atomically
from bench.core.untrusted import safe_json
from bench.core.untrusted.plain_files import is_file, is_there, read_file
from bench.results.clean_text import clean
from bench.results.dataframe import finite
from bench.results.over_commits.points import FOLLOWED, Point
from bench.results.trial_files import COMMITS, MOST_BYTES

_TEXTS = tuple(field.name for field in fields(Point) if field.name not in ("dirty", "values"))


def read_points(file: Path) -> list[Point]:
    """Read the points of a file; raise BenchError with the line that can't be read."""
    text = read_file(file, MOST_BYTES).decode("utf-8-sig", errors="replace")
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(_point(safe_json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise BenchError(
                f"Line {number} of '{file}' is no point of a history ({error}). Remove the line, or take the file from "
                "before it was changed."
            ) from error
    return found


def points_beside(folders: Iterable[Path]) -> list[Point]:
    """Read the points that results folders have; none where there is no such file."""
    files = [Path(folder) / COMMITS for folder in folders]
    return [point for file in files if is_file(file) for point in read_points(file)]


def _point(row: Any) -> Point:
    if not isinstance(row, dict) or not isinstance(row.get("values"), dict):
        raise ValueError("it is no JSON object with values")
    texts = {name: clean(row[name]) for name in _TEXTS}
    values = {
        name: {clean(seed): value for seed, given in seeds.items() if (value := finite(given)) == value}
        for name, seeds in row["values"].items()
        if name in FOLLOWED and isinstance(seeds, dict)
    }
    return Point(dirty=bool(row["dirty"]), values=values, **texts)


def append_points(file: Path, points: Sequence[Point]) -> int:
    """Add the points that the file lacks, and replace it as a whole; return how many they were."""
    known = read_points(file) if is_there(file) else []
    identities = {point.identity for point in known}
    new: dict[object, Point] = {}
    for point in points:
        if point.identity not in identities:
            new.setdefault(point.identity, point)
    if new:
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file) as part:
            part.write_text("".join(_lines([*known, *new.values()])), encoding="utf-8")
    return len(new)


def _lines(points: Iterable[Point]) -> Iterable[str]:
    return (json.dumps(asdict(point), ensure_ascii=False, allow_nan=False) + "\n" for point in points)
