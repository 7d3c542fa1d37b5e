"""Make the predictor of test-time augmentation from a stored trial's weights."""

from dataclasses import replace

from bench.config.view_sizes import view_sizes
from bench.core.trial_config import TrialConfig
from bench.evaluation.averaging.mean_predictor import MeanPredictor, View, mirrored_views
from bench.evaluation.predictor import Predictor
from bench.results.loading import StoredTrial
from bench.trials.saved.checkpoints import restore
from bench.trials.saved.stored_trials import classes_of


def augmented(predictor: Predictor, tta: str, trial: StoredTrial, config: TrialConfig) -> MeanPredictor:
    """Return the mean over views of each image: with its mirror image, or at three sizes.

    Args:
        predictor: the trial's own.
        tta: "flips" or "scales".
        config: the one that `trained_config` returns.
    """
    if tta == "flips":
        return MeanPredictor(mirrored_views(predictor))
    views = [View(predictor)]
    for size in view_sizes(config):
        # The weights fit at any size; a model that was built for crops predicts larger images in tiles.
        scaled = replace(config, image_size=size)
        engine = predictor.engine if config.crop else restore(scaled, trial, len(classes_of(trial)))
        views.append(View(Predictor(engine, size, batch_size=predictor.batch_size)))
    return MeanPredictor(views)
