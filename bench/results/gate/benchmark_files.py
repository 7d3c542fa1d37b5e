"""The timings of pytest-benchmark's JSON files, of this code and of another revision, judged like other speeds.

A pair of files is a pair of processes, one of each revision, and the rounds of a benchmark are its timings in order.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError
from bench.core.untrusted.plain_files import read_file
from bench.core.untrusted.safe_json import loads
from bench.results.gate.limits import Limit
from bench.results.gate.timings import Timings, judge_speed
from bench.results.gate.verdict import ALARMS, NOTED, UNJUDGED, Line, level_of
from bench.results.quantities.performance import BENCHMARK_TIME

NEW = Path("build/benchmark.json")  # what `make benchmark` writes
BLOCKS = 25  # the most timings of a process: the median of consecutive rounds each
_LONGEST, _MOST = 256 * 2**20, 10**7  # bytes and values of a file

Rounds = dict[str, NDArray[np.float64]]  # by benchmark: seconds of its rounds


def compare_benchmarks(base: Path, limits: Sequence[Limit], alarms: float = ALARMS) -> tuple[list[Line], list[str]]:
    """Judge every benchmark that both sides have, and list those that one side lacks.

    Returns:
        The lines, and the names of benchmarks that have too few rounds to be judged.

    Args:
        base: a JSON file, which is compared with NEW; or a folder with pairs of files, `base-1.json` and `new-1.json`.
        alarms: the probability of a false alarm over all benchmarks.

    Raises:
        BenchError: a file is missing, or isn't pytest-benchmark's.
    """
    limit = next((limit for limit in limits if limit.metric == BENCHMARK_TIME), None)
    if limit is None:
        return [], []
    pairs = [tuple(map(_read, pair)) for pair in _pairs(base)]
    sides = [set.intersection(*(set(pair[side]) for pair in pairs)) for side in (0, 1)]
    both = sorted(sides[0] & sides[1])
    level = level_of(len(both), alarms)
    judged = {name: _judged(name, limit, [(old[name], new[name]) for old, new in pairs], level) for name in both}
    lines = [line for line in judged.values() if line.verdict != UNJUDGED]
    lacking = [
        Line(name, BENCHMARK_TIME, NOTED, reason=f"Only {whose} has it.")
        for whose, names in (("the base", sides[0] - sides[1]), ("this code", sides[1] - sides[0]))
        for name in sorted(names)
    ]
    return [*lines, *lacking], [name for name, line in judged.items() if line.verdict == UNJUDGED]


def _pairs(base: Path) -> list[tuple[Path, Path]]:
    if not base.is_dir():
        return [(base, NEW)]
    found = [(file, base / file.name.replace("base-", "new-", 1)) for file in sorted(base.glob("base-*.json"))]
    if not found:
        raise BenchError(
            f"'{base}' has no base-1.json. `make benchmark-against AGAINST=REV` writes pairs of files there."
        )
    return found


def _read(file: Path) -> Rounds:
    """Read the seconds of each benchmark's rounds."""
    try:
        return dict(_rounds(loads(read_file(file, _LONGEST, links=True), most=_MOST)))
    except OSError as error:
        advice = "`make benchmark` writes it." if file == NEW else "Give a JSON file that `make benchmark` wrote."
        raise BenchError(f"The benchmarks '{file}' can't be read ({error.strerror or error}). {advice}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(
            f"'{file}' is no JSON of pytest-benchmark with the seconds of each round. `make benchmark` writes one."
        ) from error


def _rounds(content: Any) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for one in content["benchmarks"]:
        seconds = np.array(one["stats"]["data"], np.float64)
        if seconds.ndim != 1 or not seconds.size or not (np.isfinite(seconds) & (seconds > 0)).all():
            raise ValueError
        yield str(one["fullname"]).removeprefix("tests/benchmarks/"), seconds


def _judged(
    name: str, limit: Limit, sides: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], level: float
) -> Line:
    blocks = min(BLOCKS, *(len(seconds) for pair in sides for seconds in pair))
    base, head = (np.array([_medians(pair[side], blocks) for pair in sides]) for side in (0, 1))
    return judge_speed(name, limit, Timings(base, head), level=level, interleaved=False)


def _medians(seconds: NDArray[np.float64], blocks: int) -> list[float]:
    return [float(np.median(some)) for some in np.array_split(seconds, blocks)]
