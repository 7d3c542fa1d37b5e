"""Two configurations or two results folders: the difference with its interval, the ratios, what differs."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import failed_record, fake_config, fake_record, fake_results, write_trial
from scipy import stats
from typer.testing import CliRunner

from bench.cli import app
from bench.profiling.clock.timing_table import TIMINGS
from bench.report.labels import pair_titles
from bench.results.analysis.comparing import compare, pairs
from bench.results.analysis.configurations import Configuration, pool
from bench.results.dataframe import load_results


def write(folder, arch="unet", seeds=3, rate=1.0, **environment):
    for seed in range(seeds):
        record, table = fake_record(fake_config(arch, seed=seed))
        speed = {**record.speed, "train_images_per_second": record.speed["train_images_per_second"] * rate}
        record = replace(record, speed=speed, environment={**record.environment, **environment})
        write_trial(folder, record, table, samples=0)
    return folder


def bench(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "160"})


def test_the_same_in_two_folders(tmp_path):
    old = write(tmp_path / "old")
    new = write(tmp_path / "new", rate=2.0, commit="abc", versions={"keras": "4.0", "tensorflow": "2.21.0"})
    ((one, other),) = pairs(*(pool(load_results(path)) for path in (old, new)))
    found = compare("unet", one, other)
    ratio = found.ratios["train_images_per_second"]
    assert ratio.mean == pytest.approx(2) and ratio.low < 2 < ratio.high
    assert found.change.mean == 0 and not found.is_significant
    assert [(d.kind, d.name, d.one, d.other) for d in found.differences] == [
        ("code", "commit", "df01bb0", "abc"),
        ("packages", "keras", "3.15.1", "4.0"),
    ]
    result = bench(old, new)
    assert result.exit_code == 0, result.output
    assert (
        "not significantly different" in result.stdout
        and "train images per second: x 2, significantly better" in result.stdout
    )
    assert "3.15.1" in result.stdout and "abc" in result.stdout


@pytest.mark.parametrize(("arch", "backbone"), [("segnet", None), ("unet", "resnet50")])
def test_a_configuration_without_a_finished_trial_is_said_to_have_none(tmp_path, arch, backbone):
    write(tmp_path)
    for seed, status in enumerate(("failed", "interrupted", "interrupted")):
        write_trial(tmp_path, failed_record(fake_config(arch, backbone, seed=seed), status))
    label = ":".join(filter(None, (arch, backbone)))
    for sides in (("unet", label), (label, "unet")):
        result = bench(*sides, "--results", tmp_path)
        assert result.exit_code == 2
        assert f"'{label}' has no finished trial: 1 failed, 2 interrupted." in result.stderr
    assert "neither two results folders" in bench("unet", "nothing", "--results", tmp_path).stderr


def test_two_configurations_of_a_table(tmp_path):
    result = bench("unet", "deeplab:resnet50", "--results", fake_results(tmp_path / "r", seeds=3))
    assert result.exit_code == 0, result.output
    assert "unet -> deeplab:resnet50 (pets at 128x128" in result.stdout
    assert "(+0." in result.stdout and "95 % interval" in result.stdout
    assert "configuration" in result.stdout and "arch" in result.stdout and "params: x 0.382" in result.stdout


def test_one_seed_is_noted(tmp_path):
    result = bench("unet", "deeplab:resnet50", "--results", fake_results(tmp_path / "r", seeds=1))
    assert "not separable by seed: a side has one seed" in result.stdout
    line = next(line for line in result.stdout.splitlines() if line.startswith("train images per second"))
    assert line.count("x ") == 1 and "to" not in line  # one seed gives no interval


def test_the_interval_of_a_ratio_is_welchs():
    logs = {"one": np.log([100.0, 110.0, 121.0]), "other": np.log([300.0, 330.0])}
    frames = {
        side: pd.DataFrame(
            {
                "seed": range(len(v)),
                "repeat": 0,
                "fold": 0,
                "folder": "no",
                "status": "ok",
                "train_images_per_second": np.exp(v),
            }
        )
        for side, v in logs.items()
    }
    one, other = (Configuration({"backend": "jax", "measure": "speed"}, {}, frame) for frame in frames.values())
    ratio = compare("x", one, other).ratios["train_images_per_second"]
    expected = stats.ttest_ind(logs["other"], logs["one"], equal_var=False).confidence_interval()
    assert [ratio.low, ratio.high] == pytest.approx([np.exp(expected.low), np.exp(expected.high)])
    assert ratio.mean == pytest.approx(np.sqrt(300 * 330) / 110)


def test_likely_causes_come_first(tmp_path):
    for name, changes in (
        ("a", {}),
        ("b", {"versions": {"keras": "4", "numpy": "3", "tensorflow": "3"}, "commit": "b" * 40, "cuda": "13"}),
    ):
        record, table = fake_record(fake_config(seed=len(changes)))
        data = {**record.dataset, "fingerprint": name}
        environment = {**record.environment, "variables": {"OMP_NUM_THREADS": name}, **changes}
        record = replace(record, dataset=data, environment=environment, protocol_version=1 + len(changes))
        write_trial(tmp_path / name, record, table, samples=0)
    ((one, other),) = pairs(*(pool(load_results(tmp_path / name)) for name in "ab"))
    found = compare("", one, other).differences
    assert [(d.kind, d.name) for d in found] == [
        *(("data", "data_fingerprint"), ("protocol", "protocol_version"), ("configuration", "seed")),
        *(("code", "commit"), ("packages", "tensorflow"), ("packages", "keras"), ("packages", "numpy")),
        *(("packages", "cuda"), ("machine", "variables")),
    ]
    assert next(d for d in found if d.name == "commit").other == "b" * 12


def test_a_speed_only_trial_has_no_quality(tmp_path):
    for name, factor in (("a", 1), ("b", 3)):
        for seed in (0, 1):
            record, _ = fake_record(fake_config(seed=seed, measure="speed", dataset="none"), metrics={}, validation={})
            speed = {"train_images_per_second": 100.0 * factor * (1 + 0.01 * seed)}
            write_trial(tmp_path / name, replace(record, speed=speed), samples=0)
    result = bench(tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert "no quality: a speed-only trial" in result.stdout and "nan" not in result.stdout
    assert "train images per second: x 3 (2." in result.stdout


def test_two_folders_with_several_pairs_are_one_table(tmp_path):
    old = fake_results(tmp_path / "old", seeds=3, nets=2, failures=False)
    new = shutil.copytree(old, tmp_path / "new")
    for path in (new / "trials").glob("*/record.json"):
        record = json.loads(path.read_text())
        record["environment"]["versions"]["keras"] = "4.0"
        record["speed"]["train_images_per_second"] *= 1.5
        path.write_text(json.dumps(record))
        (path.parent / TIMINGS).unlink()
    result = bench(old, new)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if " on pets, 10 epochs" in line]
    assert [row.split()[0] for row in rows] == ["unet", "unet:mobilenet_v2"]
    assert all("1.5x" in row and "+0.0000 [" in row for row in rows)
    assert "2 pairs: 0 significantly better, 0 significantly worse, 2 not significantly different." in result.stdout
    (cause,) = (line.split() for line in result.stdout.splitlines() if "keras" in line)
    assert cause == ["packages", "keras", "3.15.1", "4.0", "2", "of", "2"]


def test_another_score_can_be_compared(tmp_path):
    results = fake_results(tmp_path / "r", seeds=3)
    result = bench("unet", "deeplab:resnet50", "--results", results, "--rank-by", "pixel_accuracy")
    assert "\npixel accuracy 0." in result.stdout and "mean IoU" not in result.stdout
    result = bench("unet", "deeplab:resnet50", "--results", results, "--rank-by", "nonsense")
    assert result.exit_code == 2 and "no score 'nonsense' to rank by. Available: mean_iou" in result.stderr


def test_rows_that_were_trained_alike_are_paired(tmp_path):
    for arch in ("unet", "segnet"):
        for share in (0.5, 1.0):
            for seed in (0, 1):
                record, table = fake_record(fake_config(arch, seed=seed, train_fraction=share))
                write_trial(tmp_path, replace(record, key=f"{record.key}-{share}"), table, samples=0)
    result = bench("unet", "segnet", "--results", tmp_path)
    assert result.exit_code == 0, result.output
    for share in ("0.5", "1"):
        assert f"unet, train fraction {share} -> segnet, train fraction {share}" in " ".join(result.stdout.split())
    result = bench("unet", "segnet, train fraction 1", "--results", tmp_path)
    assert result.exit_code == 0 and "2 pairs:" not in result.stdout


def test_other_images_are_noted(tmp_path):
    old, new = write(tmp_path / "old"), tmp_path / "new"
    for seed in range(3):
        record, table = fake_record(fake_config(seed=seed))
        write_trial(new, replace(record, dataset={**record.dataset, "fingerprint": "b"}), table.iloc[::-1], samples=0)
    result = bench(old, new)
    assert "other test images than most" in result.stdout
    first = next(line for line in result.stdout.splitlines() if "data fingerprint" in line)
    assert "data" in first


def table_lines(text):
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def test_other_counts_of_the_same_data_come_of_the_configuration(tmp_path):
    for arch in ("unet", "segnet"):
        for share, images in ((0.5, 73), (1.0, 243)):
            record, table = fake_record(fake_config(arch, train_fraction=share))
            data = {**record.dataset, "images": {"train": images, "val": 27, "test": 12}}
            write_trial(tmp_path, replace(record, key=f"{arch}-{share}", dataset=data), table, samples=0)
    one = bench("unet, train fraction 0.5", "unet, train fraction 1", "--results", tmp_path)
    both = bench("unet, train fraction 0.5", "segnet, train fraction 1", "--results", tmp_path)
    for result in (one, both):
        assert result.exit_code == 0, result.output
        kinds = [words[:3] for words in table_lines(result.stdout) if words[-2:] in (["0.5", "1"], ["73", "243"])]
        assert kinds == [["configuration", "train", "fraction"], ["data", "train", "images"]]


def test_the_causes_of_several_pairs_stand_as_those_of_one(tmp_path):
    """Each pair has its own differences, in its own order."""
    for name, changes, images in (("a", {}, 243), ("b", {"commit": "abc", "tf32": True}, 73)):
        for arch, seed in (("deeplab", 0), ("unet", len(changes))):
            record, table = fake_record(fake_config(arch, seed=seed))
            data = {**record.dataset, "images": {"train": images, "val": 27, "test": 12}}
            record = replace(record, dataset=data, environment={**record.environment, **changes})
            write_trial(tmp_path / name, record, table, samples=0)
    result = bench(tmp_path / "a", tmp_path / "b")
    causes = [words for words in table_lines(result.stdout) if words[-2:] == ["of", "2"]]
    assert [words[1] for words in causes] == ["seed", "train", "commit", "tf32"], result.stdout
    assert [words[-3] for words in causes] == ["1", "2", "2", "2"]


def test_two_configurations_of_a_speed_table(tmp_path):
    for size, rate in ((8, 50.0), (16, 100.0)):
        record, _ = fake_record(fake_config(measure="speed", batch_size=size), metrics={}, validation={})
        record = replace(record, key=f"{size}", speed={"train_images_per_second": rate})
        write_trial(tmp_path, record, samples=0)
    result = bench("unet, batch size 8", "unet, batch size 16", "--results", tmp_path)
    assert result.exit_code == 0, result.output
    assert "unet, batch size 8 -> unet, batch size 16 (Speed at 128x128" in result.stdout
    assert "train images per second: x 2" in result.stdout and "batch size" in result.stdout
    result = bench("unet", "segnet", "--results", tmp_path)
    assert result.exit_code == 2 and "Its configurations: unet, batch size 16; unet, batch size 8." in result.stderr


@pytest.fixture
def of_all_kinds(tmp_path):
    """Pairs with an interval, of one seed, without tables, without metrics, and speed-only, in two folders."""
    for name, factor in (("a", 1.0), ("b", 1.1)):
        write(tmp_path / name)
        write_trial(tmp_path / name, *fake_record(fake_config("segnet")), samples=0)
        for seed in range(3):
            write_trial(tmp_path / name, fake_record(fake_config("deeplab", seed=seed))[0], samples=0)
        write_trial(tmp_path / name, fake_record(fake_config("fcn"), metrics={}, validation={})[0], samples=0)
        record, _ = fake_record(fake_config(measure="speed", dataset="none"), metrics={}, validation={})
        speed = {"best_inference_images_per_second": 100 * factor}
        write_trial(tmp_path / name, replace(record, key="speed", speed=speed), samples=0)
    return tmp_path / "a", tmp_path / "b"


def test_each_reason_without_an_interval_is_said(of_all_kinds):
    result = bench(*of_all_kinds)
    assert result.exit_code == 0, result.output
    notes = {line[:2]: line.strip() for line in result.stdout.splitlines() if line.startswith("?")}
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if " on pets" in line or "speed" in line[:30]}
    for arch, note in (
        ("deeplab", "the first: no readable per-image table."),
        ("segnet", "not separable by seed: a side has one seed."),
        ("fcn", "the first doesn't have the score."),
    ):
        mark = next(word for word in rows[arch].split() if word.startswith("?"))
        assert notes[mark] == f"{mark}: {note}"
    assert len(notes) == 3 and "[" in rows["unet"] and "?" not in rows["unet"]


def test_pairs_without_a_score_are_counted_by_themselves(of_all_kinds):
    result = bench(*of_all_kinds)
    assert "5 pairs: 0 significantly better, 0 significantly worse, 3 not significantly different," in result.stdout
    assert "1 speed-only, 1 without a score" in " ".join(result.stdout.split())
    row = next(line for line in result.stdout.splitlines() if line.startswith(" unet, speed-only"))
    assert "1.1x" in row and " inference " in result.stdout  # their inference is told too


def test_pairs_of_speed_only_trials_have_no_score_columns(tmp_path):
    for name in "ab":
        for size in (8, 16):
            record, _ = fake_record(fake_config(measure="speed", batch_size=size), metrics={}, validation={})
            write_trial(tmp_path / name, replace(record, key=f"{size}"), samples=0)
    result = bench(tmp_path / "a", tmp_path / "b")
    assert "2 pairs: 2 speed-only." in result.stdout
    heading = next(line for line in result.stdout.splitlines() if "configuration" in line)
    assert heading.split() == ["configuration", "train", "p95", "memory"]


def test_where_no_side_has_the_score_mean_iou_is_compared(tmp_path):
    for arch in ("unet", "segnet"):
        for name in ("carvana", "pets"):
            record, _ = fake_record(fake_config(arch, dataset=name))
            own = {"carvana_dice": 0.5} if name == "carvana" else {}
            data = {**record.dataset, "name": name, "fingerprint": name}
            record = replace(record, key=f"{arch}-{name}", dataset=data, metrics={**record.metrics, **own})
            write_trial(tmp_path, record, samples=0)
    result = bench("unet", "segnet", "--results", tmp_path, "--rank-by", "carvana_dice")
    assert result.exit_code == 0, result.output
    assert "Carvana dice  0.5000  0.5000" in result.stdout
    assert re.search(r"mean IoU  0\.6\d+  0\.5\d+  -0\.", result.stdout), result.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_every_value_can_be_read(of_all_kinds, columns):
    arguments = ["compare", *map(str, of_all_kinds)]
    text = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)}).stdout
    assert "…" not in text and "memory" in text and max(map(len, text.splitlines())) <= columns
    assert re.search(r"\[-0\.\d{4},0\.\d{4}\]", text)
    assert ("+0.0000 [" in text) == (columns == 120)


def test_titles_say_how_the_pairs_differ(tmp_path):
    for name in ("pets", "carvana"):
        for device in ("GPU 1", "GPU 2"):
            record, table = fake_record(fake_config(dataset=name))
            data = {**record.dataset, "name": name, "fingerprint": name}
            record = replace(record, key=f"{name}-{device}", device=device, dataset=data)
            write_trial(tmp_path, record, table, samples=0)
    for size in (8, 16):
        record, _ = fake_record(fake_config(measure="speed", batch_size=size), metrics={}, validation={})
        write_trial(tmp_path, replace(record, key=f"speed-{size}", device="GPU 1"), samples=0)
    assert sorted(pair_titles(pool(load_results(tmp_path)))) == [
        "unet on carvana, 10 epochs, device GPU 1",
        "unet on carvana, 10 epochs, device GPU 2",
        "unet on pets, 10 epochs, device GPU 1",
        "unet on pets, 10 epochs, device GPU 2",
        "unet, batch size 16, speed-only",
        "unet, batch size 8, speed-only",
    ]


def test_mistakes_are_one_line(tmp_path):
    results = fake_results(tmp_path / "r", seeds=1)
    for arguments, message in [
        (("unet", "nothing"), "Its configurations: deeplab:resnet50; "),
        (
            ("deeplab", "unet"),
            "'deeplab' matches several configurations: deeplab:resnet50; deeplab:mobilenet_v2. Give a whole label.",
        ),
    ]:
        result = bench(*arguments, "--results", results)
        assert result.exit_code == 2 and message in result.stderr, result.output
    other = write(tmp_path / "other", arch="segnet")
    result = bench(results, other)
    assert result.exit_code == 2 and "no configuration in common" in result.stderr


def test_a_plug_in_that_changed_is_named_though_every_setting_is_equal(tmp_path):
    for name, configuration in (("old", "a" * 16), ("new", "b" * 16)):
        record, table = fake_record(fake_config("unet", plugin="my_net.py"))
        write_trial(tmp_path / name, replace(record, configuration=configuration), table, samples=0)
    ((one, other),) = pairs(*(pool(load_results(tmp_path / name)) for name in ("old", "new")))
    (found,) = compare("unet", one, other).differences
    assert (found.kind, found.name, found.one) == ("code", "plug-in or weights file", "a" * 16)
