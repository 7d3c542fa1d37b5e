"""Score the mean of the probabilities of several stored trials' models, and each of them, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.evaluation.averaging.mean_predictor import MeanPredictor, View, milliseconds_per_image
from bench.evaluation.evaluate import evaluate
from bench.evaluation.image_table import ImageTable
from bench.evaluation.predictor import Predictor
from bench.profiling.environment import actual_device
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.same_images import of_tables
from bench.results.loading import StoredTrial
from bench.training.engines import create_runtime
from bench.trials.saved.opened import open_trained

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class EnsembleRow:
    """A model, or the ensemble of all."""

    name: str
    mean_iou: Interval  # 95 % over the images
    milliseconds_per_image: float
    params: int


@dataclass(frozen=True)
class Ensemble:
    """The scores of an ensemble and its members."""

    rows: tuple[EnsembleRow, ...]  # the members, then the ensemble
    best: str  # the best member
    gain: Interval  # mean IoU of the ensemble less that of the best member, paired over the images
    images: int
    device: str
    metrics: dict[str, Any]  # of the ensemble, as in a record
    table: ImageTable


def score_ensemble(members: Sequence[tuple[StoredTrial, TrialConfig]], split: str) -> Ensemble:
    """Score members that `check_alike` has passed; keras must run on the backend of their configurations.

    Raises:
        BenchError: the data are not those of the runs, or weights don't fit.
    """
    opened = [open_trained(trial, config) for trial, config in members]
    if not all(one.own for one in opened):
        raise BenchError(
            "The data are not those that the runs were trained on, so test images may have been training images. Give "
            "the data as they were, with --data-dir."
        )
    names = [trial.folder.name for trial, _ in members]
    predictors: dict[str, Predictor] = {name: one.predictor for name, one in zip(names, opened, strict=True)}
    predictors[ENSEMBLE] = MeanPredictor([View(one.predictor) for one in opened])
    indexes, task = opened[0].indexes[split], opened[0].task
    scored = {name: evaluate(one, task, indexes, full=name == ENSEMBLE) for name, one in predictors.items()}
    opened[0].pack.check_unchanged()
    scores = dict(zip(scored, of_tables([one.table for one in scored.values()]), strict=True))
    costs = milliseconds_per_image(predictors, opened[0].pack.values.dtype)
    params = {name: one.predictor.engine.model.count_params() for name, one in zip(names, opened, strict=True)}
    params[ENSEMBLE] = sum(params.values())
    best = max(names, key=lambda name: scores[name].mean)
    return Ensemble(
        tuple(EnsembleRow(name, scores[name].interval, costs[name], params[name]) for name in predictors),
        best,
        scores[ENSEMBLE].drift_from(scores[best]),
        len(indexes),
        actual_device(create_runtime(members[0][1].backend)),
        scored[ENSEMBLE].metrics(),
        scored[ENSEMBLE].table,
    )
