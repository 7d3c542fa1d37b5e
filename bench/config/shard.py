"""A part of a grid for one machine of several: `--shard 3/8` is the third of eight parts.

Trials are dealt out in the order of the grid, as `--dry-run` without a shard shows them: the first to shard 1, the
second to shard 2, and so on; the trials of a configuration that is tuned go together. Nothing that is on a machine
changes this, such as trials that are done, so the shards of the same command are disjoint and together the grid,
wherever and whenever they run.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.errors import BenchError
from bench.core.option_kinds import shown
from bench.core.trial_config import TrialConfig

_FORM = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a grid; `number` counts from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `3/8`; raise BenchError for anything else."""
        found = _FORM.fullmatch(text.strip())
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise BenchError(
                f"--shard is '{shown(text)}'. Accepted: NUMBER/COUNT, such as 3/8 for the third of eight parts; the "
                "first is 1/8, the last 8/8."
            )
        return cls(number, count)

    def of(self, configs: Sequence[TrialConfig]) -> list[TrialConfig]:
        """Return this part of a grid, in the grid's order. All trials of a tuned configuration are in one part."""
        units: dict[object, list[int]] = {}
        for place, config in enumerate(configs):
            units.setdefault(config.common if config.tune else place, []).append(place)
        mine = list(units.values())[self.number - 1 :: self.count]
        return [configs[place] for place in sorted(itertools.chain.from_iterable(mine))]
