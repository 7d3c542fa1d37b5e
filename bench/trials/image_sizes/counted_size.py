"""Search by the operations of a forward pass, which are counted on the model of each size.

A child process counts them, whose answers are kept (preflight.py). Few sizes are built: the operations of a convolution
grow with the square of the side, which tells where the limit is, and the sizes on both sides of it are counted then.
"""

import math
from collections.abc import Collection

from bench.trials import preflight
from bench.trials.image_sizes.size_search import SizeSearch


class CountedSize(SizeSearch):
    """The search by operations."""

    def first_side(self) -> int:
        """Return the side at which `bench list architectures` counts, too."""
        return 256

    def guesses(self) -> list[int]:
        near = min(self.costs, key=lambda one: abs(math.log(max(self.costs[one], 1e-12) / self.most_cost)))
        guess = self.inside(int(near * math.sqrt(self.most_cost / max(self.costs[near], 1e-12))))
        return [guess, guess + 1]

    def learn(self, multiple: int, answer: dict[str, object]) -> None:
        """Take the answer of preflight.py on a size."""
        if isinstance(cost := answer.get("gflops"), float):
            self.costs[multiple] = cost
        else:
            self.reason = str(answer.get("error") or "the operations of its layers can't be counted")
            self.reason = f"at {self.size(multiple)}, {self.reason}" if "error" in answer else self.reason


def count(searches: Collection[CountedSize]) -> None:
    """Find the sizes of all models."""
    while asked := [(search, one) for search in searches for one in search.to_find()]:
        answers = preflight.summaries([search.at(one) for search, one in asked], own_classes=True)
        for (search, one), answer in zip(asked, answers, strict=True):
            search.learn(one, answer)
