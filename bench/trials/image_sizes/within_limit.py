"""Choose the image size of each model within a limit of cost: the largest square that the architecture takes.

The cost of a size is counted on the model of that size, in a child process whose answers are kept (preflight.py). Few
sizes are built: the cost of a convolution grows with the square of the side, which tells where the limit is, and the
sizes on both sides of it are counted then.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import LARGEST_SIDE, TrialConfig
from bench.trials import preflight
from bench.trials.trained_input.stored_values import with_bands_of_data

_FIRST_SIDE = 256  # pixels, at which each model is counted first, as `bench list architectures` does


@dataclass
class _Search:
    """The search for one model's size; sides are counted in multiples of the architecture's divisor."""

    config: TrialConfig
    limit: float
    costs: dict[int, float] = field(default_factory=dict)  # GFLOPs by multiple
    reason: str = ""  # why there is no size
    divisor: int = 1
    least: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        spec = catalog.architecture(self.config)
        self.divisor = spec.divisor(self.config.backbone, self.config.params)
        self.least = max(1, math.ceil(spec.smallest_side / self.divisor))
        self.most = LARGEST_SIDE // self.divisor
        if self.most < self.least:
            self.reason = f"it takes no size up to {LARGEST_SIDE} pixels"

    @property
    def within(self) -> int:
        """The largest multiple that is known to be within the limit; one below the least if there is none."""
        return max((one for one, cost in self.costs.items() if cost <= self.limit), default=self.least - 1)

    @property
    def beyond(self) -> int:
        """The least larger multiple that is known to be beyond the limit, or that is too large."""
        above = (one for one, cost in self.costs.items() if cost > self.limit and one > self.within)
        return min(above, default=self.most + 1)

    def to_count(self) -> list[int]:
        """Return the multiples to count next; none when the size, or the reason why there is none, is known."""
        if self.reason:
            return []
        if not self.costs:
            return [min(max(self.least, _FIRST_SIDE // self.divisor), self.most)]
        if self.beyond - self.within > 1:
            near = min(self.costs, key=lambda one: abs(math.log(max(self.costs[one], 1e-12) / self.limit)))
            guess = int(near * math.sqrt(self.limit / max(self.costs[near], 1e-12)))
            guess = min(max(guess, self.within + 1), self.beyond - 1)
            return [one for one in (guess, guess + 1) if self.within < one < self.beyond]
        if self.within < self.least:
            self.reason = f"its smallest size, {self.size(self.least)}, takes {self.costs[self.least]:.3g} GFLOPs"
        return []

    def size(self, multiple: int) -> str:
        """Write a size as messages do."""
        return "x".join([str(multiple * self.divisor)] * 2)

    def at(self, multiple: int) -> TrialConfig:
        """Return the configuration at a size, without what its cost doesn't depend on."""
        side = multiple * self.divisor
        return replace(self.config, image_size=(side, side), weights="none", unfreeze_from=None)

    def learn(self, multiple: int, answer: dict[str, object]) -> None:
        """Take the answer of preflight.py on a size."""
        if isinstance(cost := answer.get("gflops"), float):
            self.costs[multiple] = cost
        else:
            self.reason = str(answer.get("error") or "the operations of its layers can't be counted")
            self.reason = f"at {self.size(multiple)}, {self.reason}" if "error" in answer else self.reason


def sized(configs: Sequence[TrialConfig], tell: Callable[[str], None]) -> list[TrialConfig]:
    """Return the configurations, those with a limit at their image size; models that can't keep it are left out.

    Args:
        tell: gets a line for each model with a limit: its size, and how far below the limit it is, or why it is left
            out.

    Raises:
        BenchError: none is left.
    """
    searches = {_model(config): _Search(config, config.same_gflops) for config in configs if config.same_gflops}
    while asked := [(search, one) for search in searches.values() for one in search.to_count()]:
        answers = preflight.summaries([search.at(one) for search, one in asked], own_classes=True)
        for (search, one), answer in zip(asked, answers, strict=True):
            search.learn(one, answer)
    for search in searches.values():
        tell(_line(search))
    found = [one for config in configs for one in _at_size(config, searches)]
    if configs and not found:
        raise BenchError("No architecture has an image size within the limit. Give a higher one.")
    return found


def _model(config: TrialConfig) -> str:
    """Return what decides the cost of a size."""
    bands = with_bands_of_data(config).bands
    known = config.arch, config.backbone, config.params, config.plugin, catalog.dataset(config).num_classes, bands
    return json.dumps([*known, config.same_gflops], sort_keys=True)


def _at_size(config: TrialConfig, searches: dict[str, _Search]) -> list[TrialConfig]:
    """Return the configuration at its size; nothing if there is none."""
    if not config.same_gflops:
        return [config]
    search = searches[_model(config)]
    return [] if search.reason else [replace(config, image_size=search.at(search.within).image_size)]


def _line(search: _Search) -> str:
    named = f"{search.config.pair} within {search.limit:g} GFLOPs"
    if search.reason:
        return f"{named} is left out: {search.reason}."
    cost = search.costs[search.within]
    most = f"; {LARGEST_SIDE} pixels are the most that a side can have" * (search.beyond > search.most)
    return f"{named}: {search.size(search.within)}, {cost:.3g} GFLOPs, {1 - cost / search.limit:.1%} below{most}."
