"""The validation score at which a training ends."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.registry import unknown_name_message
from bench.core.trial_config import TrialConfig
from bench.evaluation.image_metrics import metrics_for
from bench.results.quantities import QUANTITIES


@dataclass(frozen=True)
class Target:
    """A score of a validation, and the value that ends the training."""

    score: str
    value: float

    @classmethod
    def of(cls, config: TrialConfig) -> "Target | None":
        """Return a configuration's target, if it has one."""
        if config.target is None:
            return None
        score, _, value = config.target.partition("=")
        return cls(score, float(value))

    def is_reached(self, scores: Mapping[str, float]) -> bool:
        """Return whether a validation's scores are as good as the target."""
        goodness = QUANTITIES[self.score].goodness
        return goodness(scores[self.score]) >= goodness(self.value)


def check_target(config: TrialConfig) -> None:
    """Raise BenchError unless validations on the configuration's data set compute the score of its target."""
    if not (target := Target.of(config)):
        return
    spec = catalog.dataset(config)
    known = [name for metric in metrics_for(spec.metrics, spec.num_classes) for name in metric.history]
    if target.score not in known:
        raise BenchError(f"--target: {unknown_name_message('score of a validation', target.score, known, known)}")
