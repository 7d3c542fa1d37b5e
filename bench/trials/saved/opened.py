"""Open what scores a stored trial's weights: the data, the model, and the images of each split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.config import catalog
from bench.core.errors import BenchError
from bench.core.trial_config import TrialConfig
from bench.data.loading.images import Images
from bench.evaluation.predictor import Predictor
from bench.evaluation.task import Task
from bench.results.loading import StoredTrial
from bench.training.build import choose_indexes
from bench.training.engines.engine import InferenceEngine
from bench.trials.saved.checkpoints import restore
from bench.trials.saved.stored_trials import classes_of
from bench.trials.trained_input.trained_values import read_as_trained


@dataclass(frozen=True)
class Opened:
    """A stored trial's model with the data to score it on."""

    pack: Images
    task: Task
    predictor: Predictor
    indexes: dict[str, np.ndarray]  # by split; of the trial's own data the images that it used
    own: bool  # whether the data are those that the trial was trained on


def open_trained(
    trial: StoredTrial,
    config: TrialConfig,
    preparing: Callable[[int, int], None] | None = None,
    *,
    engine: InferenceEngine | None = None,
) -> Opened:
    """Open a trial's data and model; keras must run on the configuration's backend.

    Args:
        config: the one that `trained_config` returns, with the wanted data set and evaluation size.
        engine: predicts in the place of the trial's weights.

    Raises:
        BenchError: the classes or the bands differ from the trial's, the data can't be read, or the weights don't fit.
    """
    spec = catalog.dataset(config)
    if spec.classes:  # checked before anything is downloaded; a folder's classes are only known once it is read
        _check_classes(trial, spec.classes, config.dataset)
    pack = read_as_trained(trial, config, preparing)
    _check_classes(trial, pack.classes, config.dataset)
    task = Task(pack, spec.metrics, native=config.eval_size == "native")
    engine = engine or restore(config, trial, len(pack.classes))
    predictor = Predictor(engine, config.image_size, batch_size=config.batch_size, resize=config.resize)
    own = pack.fingerprint == trial.record.dataset.get("fingerprint")
    used = (config.train_fraction, config.limits, config.train_limit) if own else (1.0,)
    chosen = choose_indexes(pack, *used)
    return Opened(pack, task, predictor, chosen, own)


def _check_classes(trial: StoredTrial, classes: Sequence[str], dataset: str) -> None:
    theirs = list(classes_of(trial))
    if theirs != list(classes):
        raise BenchError(
            f"'{dataset}' has the classes {', '.join(classes)}, but '{trial.folder.name}' was trained on "
            f"{', '.join(theirs)}. Give a data set with the same classes."
        )
