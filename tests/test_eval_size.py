"""The evaluation size from the option to the leaderboard, and whole trials on data sets with their own metrics."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from running import run

from bench.api import airbus_f2
from bench.config import catalog, grid
from bench.core.errors import BenchError
from bench.core.specs import PROTOCOL_VERSION, REDUCED_PROTOCOL_VERSION, Budget, DatasetSpec
from bench.core.trial_config import TrialConfig
from bench.evaluation.image_table import read_table
from bench.evaluation.summary import summarise
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.trials.identity import trial_key
from bench.trials.plan import prepare_pack
from tests.fake_results import fake_config, fake_record, write_trial
from tests.fakes import write_fake_airbus

SMALL = {"batch_size": 4, "params": {"filters": [4, 8]}, "budget": Budget(10, "steps")}


def test_the_training_size_is_the_default_and_keeps_old_keys():
    train, native = grid.expand({"arch": "unet", "dataset": "shapes", "eval_size": "train,native"})
    (plain,) = grid.expand({"arch": "unet", "dataset": "shapes"})
    assert train == plain and native.eval_size == "native"
    assert trial_key(train, "data") == trial_key(plain, "data") != trial_key(native, "data")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval_size": "nativ"}, "Unknown value of --eval-size 'nativ'. Did you mean 'native'"),
        ({"eval_size": "native", "resize": "crop"}, "--eval-size native needs whole images, but --resize crop"),
    ],
)
def test_what_can_not_be_evaluated_is_said_while_planning(changes, message):
    with pytest.raises(BenchError, match=re.escape(message)):
        catalog.resolve_config(TrialConfig("unet", "shapes", **changes))


@pytest.mark.parametrize(
    ("classes", "metric", "message"),
    [
        (("sea", "ship"), "airbus_f1", r"names the metric 'airbus_f1'\. Accepted: carvana_dice, airbus_f2"),
        (("sea", "ship", "land"), "airbus_f2", r"names the metric 'airbus_f2', which needs two classes\. It has 3"),
    ],
)
def test_a_data_set_that_names_an_unknown_or_unfit_metric_is_refused_before_it_is_read(
    classes, metric, message, monkeypatch
):
    spec = DatasetSpec("mine", "no_such_module:load", classes, metrics=(metric,))
    monkeypatch.setattr(catalog, "dataset", lambda config: spec)
    with pytest.raises(BenchError, match=message):
        prepare_pack(TrialConfig("unet", "mine"))


def test_sizes_are_compared_at_native_size_and_only_there(tmp_path):
    sizes = ((128, "stretch"), (256, "stretch"), (128, "letterbox"))
    for number, (eval_size, (size, resize)) in enumerate(product(("train", "native"), sizes)):
        config = fake_config(image_size=(size, size), eval_size=eval_size, resize=resize)
        record, table = fake_record(config, key=f"key{number}")
        write_trial(tmp_path, record, table)
    frame = load_results(tmp_path)
    assert sorted(frame["evaluation_size"]) == ["128x128", "128x128 letterbox", "256x256", "native", "native", "native"]
    found = {group.fields["evaluation size"]: group for group in groups(frame)}
    assert {size: len(group.rows) for size, group in found.items()} == {
        "128x128": 1,
        "128x128 letterbox": 1,
        "256x256": 1,
        "native": 3,
    }
    assert "pets at native size" in found["native"].title
    assert {"image_size", "resize"} <= set(found["native"].columns)  # what tells the rows apart


def test_own_and_tuned_metrics_are_columns_of_the_frame_and_the_leaderboard(tmp_path):
    record, table = fake_record(fake_config())
    tuned = {"threshold": 0.35, "min_area": 8, "airbus_f2": 0.8}
    record = replace(record, metrics={**record.metrics, "airbus_f2": 0.7, "tuned": tuned})
    record = replace(record, validation={**record.validation, "airbus_f2": 0.75})
    write_trial(tmp_path, record, table)
    row = load_results(tmp_path).iloc[0]
    columns = ("airbus_f2", "val_airbus_f2", "tuned_threshold", "tuned_min_area", "tuned_airbus_f2")
    assert [row[name] for name in columns] == [0.7, 0.75, 0.35, 8, 0.8]
    (group,) = groups(load_results(tmp_path))
    assert group.rows[0].cells["airbus_f2"].text.startswith("0.700")
    assert "carvana_dice" not in group.columns


@pytest.fixture(scope="module")
def airbus(tmp_path_factory, quick_backend):
    """A small trial on fake ships, trained on crops and scored at native size, and its pack."""
    folder = tmp_path_factory.mktemp("airbus")
    ships = np.tile([0, 1, 2, 0, 3, 1, 2, 0], 6)
    data = write_fake_airbus(folder / "data", ships.tolist(), size=(96, 80))
    config = TrialConfig(
        "unet",
        "airbus",
        data_dir=str(data),
        backend=quick_backend,
        image_size=(48, 48),
        crop=(32, 32),
        resize="letterbox",
        eval_size="native",
        **SMALL,
    )
    (record,) = run([config], results=folder / "results")
    assert (record.status, record.reason) == ("ok", "")
    (trial,) = load([folder / "results"]).trials
    return trial, prepare_pack(config)


def test_a_trial_at_native_size_counts_the_native_pixels_and_objects(airbus):
    trial, pack = airbus
    table = read_table(trial.folder / "images.parquet")
    rows = pack.indexes("test")
    assert list(table.names) == [pack.names[i] for i in rows]
    assert table.counts[..., [0, 2]].sum(axis=(1, 2)).tolist() == [96 * 80] * len(rows)
    objects = table.extra["objects"][:, :, 0]  # at the lowest threshold
    assert objects[..., [0, 2]].sum(axis=(1, 2)).tolist() == [int(pack.instances(i).max()) for i in rows]


def test_its_metrics_can_be_computed_again_from_the_table(airbus):
    trial, _ = airbus
    metrics, table = trial.record.metrics, read_table(trial.folder / "images.parquet")
    tuned = {name: metrics["tuned"][name] for name in ("threshold", "min_area")}
    assert summarise(table, trial.record.dataset["classes"], tuned) == metrics
    assert metrics["airbus_f2"] == pytest.approx(table.extra["airbus_f2"].mean())
    assert metrics["hausdorff95"] == pytest.approx(np.nanmean(table.extra["hausdorff95"]))
    assert metrics["hausdorff95_images"] == np.isfinite(table.extra["hausdorff95"]).sum() > 0
    assert trial.record.config["eval_size"] == "native"


def test_its_history_has_the_own_metric_of_each_validation(airbus):
    trial, _ = airbus
    history = trial.history()
    assert len(history) == 10 and all(0 <= row["val_airbus_f2"] <= 1 for row in history)
    assert trial.record.validation["airbus_f2"] == history[-1]["val_airbus_f2"]


def test_the_report_draws_the_own_metrics_curve(airbus, tmp_path):
    trial, _ = airbus
    names = [path.name for path in write_report([trial.folder.parents[1]], tmp_path).files]
    assert "1-airbus-val_airbus_f2-train_seconds.svg" in names
    assert not [name for name in names if "carvana" in name]


def test_nothing_predicted_scores_the_share_of_empty_images(airbus):
    _, pack = airbus
    true = np.stack([pack.instances(i) for i in pack.indexes("test")])
    empty = (true.max(axis=(1, 2)) == 0).mean()
    assert airbus_f2(true, np.zeros_like(true), true_is_instances=True).mean() == empty


@pytest.mark.parametrize(("eval_size", "tables"), [("native", 1), ("train", 2)])
def test_sizes_that_are_read_in_another_way_stand_in_one_table_at_native_size(eval_size, tables, tmp_path):
    for size, protocol in ((768, PROTOCOL_VERSION), (256, REDUCED_PROTOCOL_VERSION)):
        config = fake_config(image_size=(size, size), eval_size=eval_size)
        record, table = fake_record(config, protocol_version=protocol)
        write_trial(tmp_path, record, table, samples=0)
    found = groups(load_results([tmp_path]))
    assert len(found) == tables
    assert sorted(row.label for group in found for row in group.rows) == (
        ["unet, image size 256x256", "unet, image size 768x768"] if tables == 1 else ["unet", "unet"]
    )
