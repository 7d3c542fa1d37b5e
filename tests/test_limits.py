"""The limits on what evaluation scores: which images are taken, when they are in the key, and what a dry run says."""

import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from running import run
from typer.testing import CliRunner

from bench.cli import app
from bench.commands.verify import _as_then
from bench.config import catalog, grid
from bench.core.errors import BenchError
from bench.core.specs import Budget
from bench.core.trial_config import TrialConfig
from bench.data.splits import sample
from bench.evaluation.image_table import read_table
from bench.profiling.environment import expected_device
from bench.report.leaderboard import groups
from bench.results.dataframe import load_results
from bench.results.loading import StoredTrial, load
from bench.training.budget import VALIDATIONS
from bench.trials.estimate import estimates, summary
from bench.trials.forecasts.evaluation_cost import DataSize, data_name, evaluation
from bench.trials.identity import trial_key
from bench.trials.plan import prepare_pack
from tests.fake_results import fake_config, fake_record, write_trial

CARS = [f"car{car}" for car in range(40) for _ in range(1 + car % 7)]  # groups of one to seven images
NAMES = [f"{car}_{place}" for place, car in enumerate(CARS)]
PINNED = [9, 10, 18, 29]
SMALL, LARGE = {"train": 9, "val": 1_000, "test": 50}, {"train": 9, "val": 1_001, "test": 50}


def expand(**options):
    (config,) = grid.expand({"arch": "unet", "dataset": "shapes", **options})
    return config


@pytest.mark.parametrize("limit", [1, 13, 40, 100, len(NAMES) - 1])
def test_each_group_has_its_share_of_a_sample(limit):
    chosen = sample(NAMES, CARS, limit)
    assert len(set(chosen.tolist())) == limit and (np.diff(chosen) > 0).all()
    found = Counter(CARS[i] for i in chosen)
    for car, count in Counter(CARS).items():
        assert abs(found[car] - count * limit / len(NAMES)) < 1, car


def test_a_sample_depends_on_names_not_on_their_order():
    turned = sample(NAMES[::-1], CARS[::-1], 20)
    assert {NAMES[::-1][i] for i in turned} == {NAMES[i] for i in sample(NAMES, CARS, 20)}


@pytest.mark.parametrize("limit", [None, 5, 6])
def test_a_split_that_is_no_larger_than_its_limit_is_whole(limit):
    assert sample(NAMES[:5], CARS[:5], limit).tolist() == [0, 1, 2, 3, 4]


def test_the_sample_is_the_same_in_every_version():
    # Another sample would make old results incomparable.
    names = [f"image{i}" for i in range(30)]
    assert sample(names, names, 4).tolist() == PINNED


def test_a_limit_is_in_the_key_only_if_it_leaves_images_out():
    plain, more, fewer, whole = (
        expand(**o) for o in ({}, {"val_limit": 2_000}, {"val_limit": 500}, {"val_limit": "all"})
    )
    old = trial_key(plain, "data")
    assert {trial_key(c, "data", SMALL) for c in (plain, more, whole)} == {old}
    assert {trial_key(c, "data", LARGE) for c in (more, whole)} == {old}  # as before there were limits
    assert len({old, trial_key(plain, "data", LARGE), trial_key(fewer, "data", LARGE)}) == 3
    assert trial_key(fewer, "data", LARGE) == trial_key(fewer, "data", SMALL) != old
    assert trial_key(expand(val_limit=1_000), "data", LARGE) == trial_key(plain, "data", LARGE)


def test_the_test_is_whole_unless_it_is_limited():
    keys = [trial_key(expand(test_limit=limit), "data", SMALL) for limit in ("all", 50, 49)]
    assert keys[0] == keys[1] == trial_key(expand(), "data") != keys[2]


@pytest.mark.parametrize("flag", ["val_limit", "test_limit"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "none", "", True])
def test_a_limit_that_is_no_number_of_images_is_refused(flag, value):
    message = f"--{flag.replace('_', '-')} is .*Accepted: a number of images of 1 or more, such as 500, or all"
    with pytest.raises(BenchError, match=message):
        catalog.resolve_config(expand(**{flag: value}))


def test_an_old_record_of_a_large_split_is_verified_as_it_was_run():
    config = fake_config()
    plain = {name: value for name, value in config.to_dict().items() if not name.endswith("_limit")}
    for values, val, expected in ((plain, 1_001, None), (plain, 1_000, 1_000), (config.to_dict(), 5_000, 1_000)):
        record = SimpleNamespace(config=values, dataset={"images": {"val": val}})
        assert _as_then(TrialConfig.from_dict(values), record).val_limit == expected


def test_trials_with_other_test_images_are_not_ranked_together(tmp_path):
    for limit in (None, 20):
        config = replace(fake_config(), test_limit=limit)
        record, table = fake_record(config)
        write_trial(tmp_path, replace(record, key=f"key{limit}", configuration=f"c{limit}"), table, samples=0)
    titles = [group.title for group in groups(load_results(tmp_path))]
    assert len(titles) == 2 and sum("20 test images" in title for title in titles) == 1


def test_the_cost_of_an_evaluation_by_hand():
    record, _ = fake_record(fake_config())  # 27 validation images, no thresholds
    test = record.dataset["images"]["test"]
    record = replace(record, training={**record.training, "validations": 4}, ledger={"evaluate": 4.0 * 27 + test})
    size = DataSize({"val": 5_000, "test": 300}, classes=2)
    found = evaluation(fake_config(), size, [replace(record, metrics={})])
    assert (found.val, found.tuning, found.test) == (1_000, 1_000, 300)
    assert found.seconds == pytest.approx(10 * 1_000 + 1_000 + 300) and VALIDATIONS == 10  # one second an image
    assert str(found) == "10 validations of 1,000 of 5,000 images, tuning on 1,000, a test of 300 images"
    native = evaluation(replace(fake_config(), eval_size="native"), size, [record])
    assert native.seconds is None  # another evaluation size tells nothing


def test_a_dry_run_counts_by_the_data_and_takes_the_time_from_alike_trials(tmp_path):
    config = fake_config()
    record, _ = fake_record(config)
    trial = StoredTrial(replace(record, device=expected_device()), tmp_path)
    other = replace(config, seed=9, test_limit=100)
    sizes = {data_name(config): DataSize({"train": 9, "val": 20_000, "test": 40_000}, classes=3)}
    text = summary(estimates([config, other], [trial], sizes=sizes))
    start = f"Evaluation of a trial on {config.dataset}: 10 validations of 1,000 of 20,000 images"
    assert f"{start}, a test of 40,000 images; about " in text
    assert f"{start}, a test of 100 of 40,000 images; about " in text
    (known,) = estimates([replace(config, seed=9)], [trial])  # by the record's own counts
    assert (known.evaluation.val, known.evaluation.all_val) == (27, 27)


def test_the_first_dry_run_says_how_many_images_are_scored(tmp_path):
    options = [
        "run",
        "--arch",
        "unet",
        "--dataset",
        "shapes",
        "--backend",
        "jax",
        "--dry-run",
        "--results",
        str(tmp_path),
    ]
    result = CliRunner().invoke(app, [*options, "--val-limit", "7", "--test-limit", "all"])
    assert result.exit_code == 0, result.output
    assert re.search(r"10 validations of 7 of \d+ images, a test of \d+ images; its time is unknown", result.output)


def test_a_trial_scores_the_same_sample_as_any_seed_and_says_so(tmp_path, quick_backend):
    small = {"batch_size": 4, "params": {"filters": [4, 8]}, "budget": Budget(10, "steps"), "image_size": (32, 32)}
    config = TrialConfig("unet", "shapes", backend=quick_backend, val_limit=3, test_limit=5, **small)
    (record,) = run([config], results=tmp_path)
    assert (record.status, record.reason) == ("ok", "")
    (trial,) = load([tmp_path]).trials
    pack = prepare_pack(config)
    test = pack.indexes("test")
    names = [pack.names[i] for i in test]
    expected = [names[i] for i in sample(names, [pack.groups[i] for i in test], 5)]
    assert list(read_table(trial.folder / "images.parquet").names) == expected
    whole = record.dataset["split_images"]
    assert (record.dataset["images"]["val"], record.dataset["images"]["test"]) == (3, 5) and whole["test"] == len(test)
    assert f"of the {len(test):,} images of the test split a fixed sample of 5 was scored" in record.dataset["notes"]
    assert record.key == trial_key(config, pack.fingerprint, whole) != trial_key(config, pack.fingerprint)
    (found,) = estimates([catalog.resolve_config(config)], [trial])
    assert found.done and found.evaluation.seconds > 0
