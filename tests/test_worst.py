"""The worst images of each trial on the page, and how many of them fit on it."""

import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial

from bench.report import gallery
from bench.report.gallery import WorstImages
from bench.report.leaderboard import groups
from bench.results.dataframe import trials_frame
from bench.results.loading import load


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Two configurations, two seeds each."""
    return load([fake_results(tmp_path_factory.mktemp("r"), nets=2, failures=False)]).trials


def worst(trials, **options):
    (group,) = groups(trials_frame(trials))
    problems: list[str] = []
    found = WorstImages({str(trial.folder): trial for trial in trials}, problems, **options).of(group)
    assert problems == []
    return found


def test_every_trial_shows_its_worst_image_with_its_score(trials):
    shown, missed = worst(trials)
    assert [(one.label, one.seed) for one in shown] == [
        ("unet:mobilenet_v2", "0"),
        ("unet:mobilenet_v2", "1"),
        ("unet", "0"),
        ("unet", "1"),
    ]
    assert missed == 0
    (sample,) = shown[0].samples
    assert sample.name == "0.412_image_9" and sample.uri.startswith("data:image/webp")
    assert sample.width <= 312


def test_what_does_not_fit_is_counted(trials, monkeypatch):
    monkeypatch.setattr(gallery, "WORST_TRIALS", 3)
    shown, missed = worst(trials)
    assert (len(shown), missed) == (3, 1)
    monkeypatch.setattr(gallery, "_MOST_BYTES", 1)
    shown, missed = worst(trials)
    assert (len(shown), missed) == (1, 3)


def test_private_pictures_stay_out_of_a_public_page(trials):
    assert worst(trials, public=True) == ([], 0)  # the fakes' records don't say that they may be published


def test_trials_without_pictures_take_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "WORST_TRIALS", 1)
    write_trial(tmp_path, *fake_record(fake_config("deeplab", "resnet50")), samples=0)  # of an older version
    write_trial(tmp_path, *fake_record(fake_config()), samples=1)
    shown, missed = worst(load([tmp_path]).trials)
    assert ([one.label for one in shown], missed) == (["unet"], 0)
