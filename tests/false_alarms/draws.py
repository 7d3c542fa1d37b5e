"""Comparisons drawn from what equal code measured: six seeds of two networks, pairs of processes, and benchmarks.

- trainings.json: a baseline file of the preset `gate` with six seeds, and of the same with a learning rate that is
  greater by a hundred-thousandth, which stands for a harmless change.
- timings.json: seconds by network and kind of work, (process pairs, pairs of timings) of each side.
- benchmarks.json: medians of consecutive rounds by benchmark, (process pairs, blocks) of each side.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.results.gate import judge
from bench.results.gate.baseline import read_baseline
from bench.results.gate.limits import SPEEDS, Limit
from bench.results.gate.measured import Measured, Subject
from bench.results.gate.timings import Timings, judge_speed
from bench.results.gate.verdict import BENCHMARKS, QUALITY, SPEED, Line, alarms_of_each, level_of
from bench.results.quantities.performance import BENCHMARK_TIME

STORED = Path(__file__).parent
SEEDS, PROCESSES, PAIRS, RUNS = 3, 5, 9, 5  # of one comparison: as the preset, `bench check` and CI have them
Sides = dict[str, list[list[float]]]  # `base` and `head`: seconds, (process pairs, timings)


@dataclass(frozen=True)
class Effect:
    """The way in which this code is made worse; as it is: not at all."""

    lost: float = 0.0  # share of the true positives
    slower: float = 1.0  # factor of the seconds of steps, calls and benchmarks
    other_seeds: bool = False  # whether this code is trained with other seeds


class Stored:
    """What equal code measured, read once."""

    def __init__(self, folder: Path = STORED):
        subjects = read_baseline(folder / "trainings.json")
        usual = {subject.config["arch"]: subject for subject in subjects if subject.config["lr"] == 0.003}
        changed = {subject.config["arch"]: subject for subject in subjects if subject.config["lr"] != 0.003}
        self.trainings = [(usual[arch], changed[arch]) for arch in sorted(usual)]
        self.timings: dict[str, dict[str, Sides]] = _read(folder / "timings.json")
        self.benchmarks: dict[str, Sides] = _read(folder / "benchmarks.json")

    def compare(self, rng: np.random.Generator, limits: list[Limit], effect: Effect) -> dict[str, list[Line]]:
        """Draw one comparison; return its lines by part."""
        alarms = alarms_of_each(3)
        return {
            QUALITY: self._quality(rng, limits, effect, alarms),
            SPEED: self._speed(rng, limits, effect, alarms),
            BENCHMARKS: self._benchmarks(rng, limits, effect, alarms),
        }

    def _quality(self, rng: np.random.Generator, limits: list[Limit], effect: Effect, alarms: float) -> list[Line]:
        drawn = rng.permutation(6)
        places = drawn[:SEEDS], drawn[SEEDS:] if effect.other_seeds else drawn[:SEEDS]
        swap = rng.random() < 0.5
        sides: tuple[list[Subject], list[Subject]] = ([], [])
        for pair in self.trainings:
            for side, subject, chosen in zip(sides, reversed(pair) if swap else pair, places, strict=True):
                side.append(_some(subject, sorted(chosen), like=pair[0]))
        worse = [replace(one, trials=tuple(_lost(trial, effect.lost) for trial in one.trials)) for one in sides[1]]
        return judge.compare(sides[0], worse, limits, alarms)

    def _speed(self, rng: np.random.Generator, limits: list[Limit], effect: Effect, alarms: float) -> list[Line]:
        judged = [limit for limit in limits if limit.metric in SPEEDS]
        level = level_of(len(judged) * len(self.timings), alarms)
        lines = []
        for arch, by_work in self.timings.items():
            count = len(next(iter(by_work.values()))["base"])
            processes, swaps = rng.permutation(count)[:PROCESSES], rng.random(PROCESSES) < 0.5
            for limit in judged:
                drawn = _drawn(by_work[limit.metric], rng, processes, swaps, PAIRS, effect.slower)
                lines.append(judge_speed(arch, limit, drawn, level=level))
        return lines

    def _benchmarks(self, rng: np.random.Generator, limits: list[Limit], effect: Effect, alarms: float) -> list[Line]:
        (limit,) = (limit for limit in limits if limit.metric == BENCHMARK_TIME)
        level = level_of(len(self.benchmarks), alarms)
        count = len(next(iter(self.benchmarks.values()))["base"])
        runs, swaps = rng.permutation(count)[:RUNS], rng.random(RUNS) < 0.5
        return [
            judge_speed(
                name, limit, _drawn(sides, rng, runs, swaps, None, effect.slower), level=level, interleaved=False
            )
            for name, sides in self.benchmarks.items()
        ]


def _read(file: Path) -> dict[str, dict[str, object]]:
    return json.loads(file.read_text(encoding="utf-8"))


def _some(subject: Subject, places: list[int], like: Subject) -> Subject:
    """Return a subject with some of its trials, as the same configuration as `like`."""
    trials = tuple(subject.trials[place] for place in places)
    groups = tuple(map(str, range(len(trials[0].counts))))
    same = {"configuration": like.configuration, "config": like.config, "groups": groups}
    return replace(subject, trials=trials, **same)


def _lost(trial: Measured, share: float) -> Measured:
    """Turn that share of the true positives into false negatives."""
    moved = np.rint(share * trial.counts[..., 0]).astype(np.int64)
    return replace(trial, counts=trial.counts + np.stack([-moved, np.zeros_like(moved), moved], axis=-1))


def _drawn(
    sides: Sides,
    rng: np.random.Generator,
    processes: NDArray[np.int64],
    swaps: NDArray[np.bool_],
    pairs: int | None,
    slower: float,
) -> Timings:
    """Take consecutive timings of some pairs of processes, with the sides of some of them exchanged."""
    base, head = (np.array([sides[side][process] for process in processes]) for side in ("base", "head"))
    start = int(rng.integers(base.shape[1] - pairs + 1)) if pairs else 0
    base, head = (some[:, start : start + pairs if pairs else None] for some in (base, head))
    base, head = np.where(swaps[:, None], head, base), np.where(swaps[:, None], base, head)
    return Timings(base, head * slower)
