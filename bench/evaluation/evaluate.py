"""A model on a split: per-image counts, from which every metric is computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from bench.backends.base import Engine
from bench.metrics.confusion import confusion_counts, threshold_counts
from bench.metrics.scores import summary
from bench.pipeline import batches
from bench.pipeline.pack import Pack


@dataclass(frozen=True)
class Evaluation:
    """Counts of every image of a split.

    Args:
        counts: int64 (N, C, 3), true positive, false positive, false negative pixels.
        thresholds: int64 (N, 19, 3) of class 1 at 19 thresholds, for two classes, else None.
    """

    names: Sequence[str]
    groups: Sequence[str]
    classes: Sequence[str]
    counts: np.ndarray
    thresholds: np.ndarray | None

    def metrics(self) -> dict[str, Any]:
        """The metrics of the split, by name."""
        return summary(self.counts, self.classes)


def evaluate(engine: Engine, pack: Pack, indexes: np.ndarray, batch_size: int) -> Evaluation:
    """Predict the images at `indexes` and count against their labels, at the pack's size."""
    classes = pack.classes
    counts, thresholds = [], []
    for images, labels, valid in batches.evaluation(pack, indexes, batch_size):
        predicted, probabilities = (ops.convert_to_numpy(x) for x in engine.predict(images))
        counts.append(confusion_counts(labels[:valid], predicted[:valid], len(classes)))
        if len(classes) == 2:
            thresholds.append(threshold_counts(labels[:valid], probabilities[:valid]))
    return Evaluation(
        names=[pack.names[i] for i in indexes],
        groups=[pack.groups[i] for i in indexes],
        classes=classes,
        counts=np.concatenate(counts),
        thresholds=np.concatenate(thresholds) if thresholds else None,
    )
