"""Count the false alarms of `bench check`, and what it finds: `python -m tests.false_alarms --count 200`."""

import argparse
from collections import Counter
from dataclasses import replace

import numpy as np

from bench.results.gate.limits import Limit, read_limits
from bench.results.gate.verdict import REGRESSION
from tests.false_alarms.draws import Effect, Stored

EFFECTS = {
    "equal code": Effect(),
    "equal code, other seeds": Effect(other_seeds=True),
    "5 % of the true positives lost": Effect(lost=0.05),
    "10 % of the true positives lost": Effect(lost=0.1),
    "15 % slower": Effect(slower=1.15),
    "25 % slower": Effect(slower=1.25),
    "50 % slower": Effect(slower=1.5),
    "twice as slow": Effect(slower=2.0),
}


def alarms(stored: Stored, effect: Effect, limits: list[Limit], count: int, seed: int) -> Counter[str]:
    """Count the comparisons with a regression: all under `joint`, and by part and by metric."""
    found: Counter[str] = Counter()
    for number in range(count):
        parts = stored.compare(np.random.default_rng([seed, number]), limits, effect)
        bad = {part: [line for line in lines if line.verdict == REGRESSION] for part, lines in parts.items()}
        names = {part for part, lines in bad.items() if lines}
        names |= {f"{line.subject.split()[0]}, {line.metric}" for part in bad if part == "speed" for line in bad[part]}
        found.update(names | ({"joint"} if names else set()))
    return found


def strict(limits: list[Limit]) -> list[Limit]:
    """Return the limits with 0 allowed, of what has an interval: each significant difference is an alarm."""
    return [replace(one, amount=0.0) for one in limits if not one.is_memory and one.worse != "any"]


def main() -> None:
    """Print a row for each effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="comparisons for each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only the rows whose name contains this")
    options = parser.parse_args()
    stored, limits = Stored(), read_limits()
    rows = {name: (effect, limits) for name, effect in EFFECTS.items()}
    rows["equal code, all limits 0"] = Effect(), strict(limits)
    for name, (effect, judged) in rows.items():
        if options.only not in name:
            continue
        found = alarms(stored, effect, judged, options.count, options.seed)
        print(f"{name}: {found.pop('joint', 0)} of {options.count}", dict(sorted(found.items())), flush=True)


if __name__ == "__main__":
    main()
