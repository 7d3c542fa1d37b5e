"""Overfitting, loss spikes, dead outputs and an idle GPU: each is measured where it is, and only there."""

import math
import sys
import time
from types import SimpleNamespace

import fake_nvml
import numpy as np
import pytest

from bench.evaluation import scores
from bench.evaluation.image_table import ImageTable
from bench.profiling import gpu_use
from bench.profiling.gpu import Nvml
from bench.profiling.gpu_use import GpuUse
from bench.trials.symptoms.loss_spikes import loss_spikes
from bench.trials.symptoms.overfitting import overfitting, sample_of, standard_error


def table(iou: float, images: int = 40, groups: int | None = None, seed: int = 0) -> ImageTable:
    """Two classes of 1,000 pixels; the images' IoU scatters about the given one."""
    rng = np.random.default_rng(seed)
    tp = np.clip(rng.normal(iou, 0.05, (images, 2)) * 1000, 0, 1000).astype(np.int64)
    counts = np.stack([tp, 1000 - tp, np.zeros_like(tp)], axis=-1)
    group = tuple(str(place % (groups or images)) for place in range(images))
    return ImageTable(tuple(map(str, range(images))), group, counts, None)


def test_the_gap_is_that_of_the_two_scores():
    found = overfitting(table(0.9), table(0.7, seed=1))
    assert found["train_mean_iou"] == pytest.approx(scores.mean_iou(table(0.9).counts))
    assert found["train_gap"] == pytest.approx(0.2, abs=0.03)
    assert found["train_gap_se"] < 0.02


def test_the_standard_error_is_the_scatter_of_scores_of_other_images():
    drawn = [scores.mean_iou(table(0.8, seed=seed).counts) for seed in range(400)]
    assert standard_error(table(0.8, seed=1_000)) == pytest.approx(np.std(drawn), rel=0.25)


def test_images_of_one_group_count_once():
    alike = table(0.8, images=4)
    many = ImageTable(alike.names * 10, alike.groups * 10, np.tile(alike.counts, (10, 1, 1)), None)
    assert standard_error(many) == pytest.approx(standard_error(alike))
    assert math.isnan(standard_error(table(0.8, groups=1)))
    assert "train_gap_se" not in overfitting(table(0.9, groups=1), table(0.7))


def test_a_split_without_a_score_has_no_gap():
    empty = table(0.8)._replace(counts=np.zeros((40, 2, 3), np.int64))
    assert overfitting(empty, table(0.7)) == overfitting(table(0.7), empty) == {}


@pytest.mark.parametrize(("images", "expected"), [(3, [5, 6, 7]), (64, range(5, 69)), (1_000, None)])
def test_the_sample_is_spread_over_the_training_split_and_never_repeats_an_image(images, expected):
    chosen = sample_of(np.random.default_rng(0).permutation(np.arange(5, 5 + images)))
    assert len(set(chosen)) == len(chosen) == min(64, images)
    assert (chosen[0], chosen[-1]) == (5, 4 + images)
    if expected is not None:
        assert list(chosen) == list(expected)


SMOOTH = [1 / (1 + 0.05 * step) for step in range(60)]


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        (SMOOTH, 0),
        ([*SMOOTH[:30], 3.0, *SMOOTH[30:]], 1),
        ([*SMOOTH[:30], 3.0, 4.0, *SMOOTH[30:]], 1),  # in a row: one
        ([*SMOOTH[:20], 3.0, *SMOOTH[20:45], 2.0, *SMOOTH[45:]], 2),
        ([0.1, 0.9] * 30, 0),  # so scattered that nothing stands out
    ],
)
def test_spikes_are_counted(losses, count):
    found = loss_spikes(losses)
    assert found["loss_spikes"] == count
    assert ("worst_loss_spike" in found) == bool(count)


def test_noise_is_no_spike():
    rng = np.random.default_rng(0)
    noisy = [loss * rng.lognormal(0, 0.2) for _ in range(50) for loss in SMOOTH]
    assert loss_spikes(noisy)["loss_spikes"] <= 50  # where the curve starts anew, and nowhere else
    assert all(loss_spikes(noisy[at : at + 60])["loss_spikes"] == 0 for at in range(0, len(noisy), 60))
    assert loss_spikes(SMOOTH[:8]) == {}


def test_classes_that_no_prediction_has_are_named():
    counts = np.array([[[5, 1, 0], [0, 0, 4], [0, 3, 2], [0, 0, 0]]])
    assert scores.summary(counts, ["sky", "road", "car", "boat"])["never_predicted"] == ["road"]


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.setattr(gpu_use, "SECONDS", 0.001)
    monkeypatch.setattr("bench.profiling.sampling.CORE_SHARE", 1.0)

    def install(answer):
        library = fake_nvml.FakeNvml(nvmlDeviceGetUtilizationRates=answer)
        library.nvmlDeviceGetUtilizationRates = lambda handle: library._answer("nvmlDeviceGetUtilizationRates")
        monkeypatch.setitem(sys.modules, "pynvml", library)
        return GpuUse(Nvml())

    return install


def watch(use: GpuUse, counts=lambda: True) -> dict[str, float]:
    with use.watched(counts):
        for _ in range(1_000):
            if use.summary():
                break
            time.sleep(0.002)
    return use.summary()


def test_the_idle_share_is_what_nvml_leaves(nvml):
    assert watch(nvml(SimpleNamespace(gpu=70, memory=20))) == {"gpu_idle_share": 0.3}


def test_moments_off_the_training_clock_do_not_count(nvml):
    use = nvml(SimpleNamespace(gpu=0, memory=0))
    with use.watched(lambda: False):
        time.sleep(0.05)
    assert use.summary() == {}


def test_a_gpu_that_does_not_tell_has_no_share(nvml):
    use = nvml(fake_nvml.NVMLError(fake_nvml.NOT_SUPPORTED))
    with use.watched(lambda: True):
        time.sleep(0.05)
    assert use.summary() == GpuUse(None).summary() == {}
