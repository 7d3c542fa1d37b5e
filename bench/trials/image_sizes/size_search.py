"""The search for the largest square image size of one model whose cost is within a limit."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

from bench.config import catalog
from bench.config.equal_cost import OPERATIONS, limit_of
from bench.core.trial_config import LARGEST_SIDE, TrialConfig


@dataclass
class SizeSearch(ABC):
    """The search for one model's size; sides are counted in multiples of the architecture's divisor."""

    config: TrialConfig  # with a limit
    costs: dict[int, float] = field(default_factory=dict)  # by multiple; infinite if it is only known to be too much
    reason: str = ""  # why there is no size
    divisor: int = 1
    least: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        self.limit, self.most_cost = limit_of(self.config) or (OPERATIONS, math.inf)
        spec = catalog.architecture(self.config)
        self.divisor = spec.divisor(self.config.backbone, self.config.params)
        self.least = max(1, math.ceil(spec.smallest_side / self.divisor))
        self.most = LARGEST_SIDE // self.divisor
        if self.most < self.least:
            self.reason = f"it takes no size up to {LARGEST_SIDE} pixels"

    @property
    def fits(self) -> float:
        """The cost up to which a size is taken."""
        return self.most_cost

    @property
    def within(self) -> int:
        """The largest multiple that is known to be within the limit; one below the least if there is none."""
        return max((one for one, cost in self.costs.items() if cost <= self.fits), default=self.least - 1)

    @property
    def beyond(self) -> int:
        """The least larger multiple that is known to be beyond the limit, or that is too large."""
        above = (one for one, cost in self.costs.items() if cost > self.fits and one > self.within)
        return min(above, default=self.most + 1)

    @property
    def near_enough(self) -> int:
        """The largest distance between `within` and `beyond` at which the search ends."""
        return 1

    def to_find(self) -> list[int]:
        """Return the multiples whose cost to find next; none when the size, or why there is none, is known."""
        if self.reason:
            return []
        if not self.costs:
            return [self.inside(self.first_side() // self.divisor)]
        if self.beyond - self.within > self.near_enough:
            return [one for one in self.guesses() if self.within < one < self.beyond]
        if self.within < self.least:
            self.reason = f"its smallest size, {self.size(self.least)}, takes {self._cost_text(self.least)}"
        return []

    @abstractmethod
    def first_side(self) -> int:
        """Return the pixels of the side to begin with."""

    @abstractmethod
    def guesses(self) -> list[int]:
        """Return multiples to try next, once some costs are known; those that tell nothing new are left out."""

    @property
    def found(self) -> tuple[int, int]:
        """The size, once the search has ended without a reason why there is none."""
        return self.within * self.divisor, self.within * self.divisor

    def inside(self, multiple: int) -> int:
        """Return the nearest multiple that may still be the size."""
        return min(max(multiple, self.within + 1), self.beyond - 1)

    def size(self, multiple: int) -> str:
        """Write a size as messages do."""
        return "x".join([str(multiple * self.divisor)] * 2)

    def at(self, multiple: int) -> TrialConfig:
        """Return the configuration at a size, without what its cost doesn't depend on."""
        side = multiple * self.divisor
        return replace(self.config, image_size=(side, side), weights="none", unfreeze_from=None)

    def line(self) -> str:
        """Say which size was found, and how far below the limit it is; or why there is none."""
        named = f"{self.config.pair} within {self.limit.text(self.most_cost)}"
        if self.reason:
            return f"{named} is left out: {self.reason}."
        below = f"{1 - self.costs[self.within] / self.most_cost:.1%} below"
        most = f"; {LARGEST_SIDE} pixels are the most that a side can have" * (self.beyond > self.most)
        return f"{named}: {self.size(self.within)}, {self._cost_text(self.within)}, {below}{most}."

    def _cost_text(self, multiple: int) -> str:
        cost = self.costs[multiple]
        return self.limit.cost(cost) if math.isfinite(cost) else "more than it may"
