"""The budget's meter and real learning, by short trainings in this process."""

from itertools import islice

import keras
import numpy as np
import pytest

from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.data import batches
from bench.evaluation.batch_norm import reestimate
from bench.evaluation.confusion import confusion_counts
from bench.evaluation.evaluate import Evaluation, evaluate
from bench.evaluation.predictor import Predictor
from bench.evaluation.scores import mean_iou
from bench.evaluation.task import Task
from bench.training.budget import Meter
from bench.training.build import build_model, build_training, choose_indexes
from bench.trials.plan import prepare_pack
from tests.fakes import write_fake_pets


@pytest.mark.parametrize(
    ("budget", "steps"),
    [("20steps", 20), ("2epochs", 13), ("100samples", 7), ("1ksamples", 63)],  # batches of 16, epochs of 100 images
)
def test_a_budget_of_work_is_so_many_steps(budget, steps):
    meter = Meter(Budget.parse(budget), batch_size=16, epoch_images=100)
    milestones = []
    while meter.fraction < 1:
        milestones.append(meter.next_milestone())
        meter.steps += meter.steps_to(milestones[-1])
    assert meter.steps == steps
    assert milestones[-1] == 1.0
    assert len(milestones) == min(10, steps)


@pytest.mark.parametrize("amount", [2_999, 3_000, 70_000, 1_000_000])
def test_validations_and_the_end_come_after_the_same_steps_however_long_the_blocks_are(amount):
    dice, places = np.random.default_rng(0), []
    for _ in range(5):
        meter, found = Meter(Budget(amount, "steps"), batch_size=4, epoch_images=400), []
        while meter.fraction < 1:
            milestone = meter.next_milestone()
            while meter.fraction < milestone:
                meter.steps += min(int(dice.integers(1, amount // 50)), meter.steps_to(milestone))
            found.append(meter.steps)
        places.append(found)
    assert places == [[-(-amount * tenth // 10) for tenth in range(1, 11)]] * 5


def test_a_budget_of_seconds_counts_training_alone():
    meter = Meter(Budget.parse("10s"), batch_size=16, epoch_images=100)
    assert (meter.fraction, meter.step_fraction(), meter.steps_to(0.1)) == (0.0, 0.0, 1)
    meter.steps, meter.seconds = 4, 2.0  # 0.5 s a step, 5 % of the budget
    assert meter.fraction == 0.2
    assert meter.step_fraction() == pytest.approx(0.05)
    assert meter.next_milestone() == pytest.approx(0.3)
    assert meter.steps_to(0.3) == 2


def test_seconds_are_met_to_within_half_a_step():
    meter = Meter(Budget.parse("10s"), batch_size=16, epoch_images=100)
    meter.steps, meter.seconds = 5, 9.0  # 1.8 s a step: another one would end at 10.8 s
    assert meter.fraction == 0.9
    meter.steps, meter.seconds = 5, 9.2  # 1.84 s a step: another one would end at 11.04 s
    assert meter.fraction == 1.0


def prepare(arch, backbone, *, steps, size, dataset="shapes", data_dir=None, **params):
    """A trained model, its pack and indexes."""
    config = TrialConfig(
        arch,
        dataset,
        backbone=backbone,
        data_dir=data_dir,
        params=params,
        image_size=(size, size),
        batch_size=8,
        budget=Budget(steps, "steps"),
        backend=keras.backend.backend(),
    )
    pack = prepare_pack(config)
    indexes = choose_indexes(pack, 1.0)
    training = build_training(config, build_model(config, len(pack.classes)), pack, indexes["train"])
    training.run()
    return training, pack, indexes


def scored(training, pack, indexes) -> Evaluation:
    predictor = Predictor(training.engine, pack.images.shape[1:3], batch_size=8)
    return evaluate(predictor, Task(pack), indexes["test"])


def test_without_new_batch_norm_statistics_a_short_run_predicts_one_class(tmp_path):
    pets = write_fake_pets(tmp_path, count=48, size=(64, 64))
    training, pack, indexes = prepare(
        "unet", "mobilenet_v2", steps=60, size=64, dataset="pets-binary", data_dir=str(pets)
    )
    before = scored(training, pack, indexes)
    predicted = before.table.counts[:, :, :2].sum(axis=(0, 2))  # true and false positives of each class
    assert predicted.max() > 0.98 * predicted.sum()  # one class nearly everywhere
    images = (images for images, _ in islice(batches.TrainingBatches(pack, indexes["train"], 8, seed=0), 4))
    assert reestimate(training.engine, images) > 50
    after = scored(training, pack, indexes).metrics()
    assert after["mean_iou"] > after["majority_class_mean_iou"] + 0.2


def test_an_untrained_statistic_is_not_needed_where_there_is_no_batch_norm():
    training, pack, _ = prepare("unet", None, steps=1, size=32, filters=[4, 8], batch_norm=False)
    assert reestimate(training.engine, [pack.images[:8]]) == 0


@pytest.mark.slow
def test_unet_beats_a_linear_model_of_the_pixel_on_shapes():
    from sklearn.linear_model import LogisticRegression

    training, pack, indexes = prepare("unet", None, steps=600, size=64, filters=[16, 32, 64, 128])
    images = (images for images, _ in islice(batches.TrainingBatches(pack, indexes["train"], 8, seed=0), 8))
    reestimate(training.engine, images)
    unet = scored(training, pack, indexes).metrics()["mean_iou"]
    rng = np.random.default_rng(0)
    some = rng.choice(indexes["train"], 50, replace=False)
    linear = LogisticRegression(max_iter=200).fit(
        pack.images[some].reshape(-1, 3)[::13] / 255.0, pack.labels[some].reshape(-1)[::13]
    )
    test = indexes["test"]
    predicted = linear.predict(pack.images[test].reshape(-1, 3) / 255.0).reshape(pack.labels[test].shape)
    score = mean_iou(confusion_counts(pack.labels[test], predicted, len(pack.classes)))
    assert unet > score + 0.2
