"""Two configurations or two results folders: the difference with its interval, the ratios, what differs."""

from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.records.compare import compare, pairs
from bench.records.frame import load_results
from bench.records.statistics import pool


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
    assert found.ratios["train_images_per_second"] == pytest.approx(2)
    assert found.change.mean == 0 and not found.is_apart
    assert [(d.kind, d.name, d.one, d.other) for d in found.differences] == [
        ("code", "commit", "df01bb0", "abc"),
        ("packages", "keras", "3.15.1", "4.0"),
    ]
    result = bench(old, new)
    assert result.exit_code == 0, result.output
    assert "they can't be told apart" in result.stdout and "train images per second: x 2" in result.stdout
    assert "3.15.1" in result.stdout and "abc" in result.stdout


def test_two_configurations_of_a_table(tmp_path):
    result = bench("unet", "deeplab:resnet50", "--results", fake_results(tmp_path / "r", seeds=3))
    assert result.exit_code == 0, result.output
    assert "unet -> deeplab:resnet50 (pets at 128x128" in result.stdout
    assert "(+0." in result.stdout and "95 % interval" in result.stdout
    assert "configuration" in result.stdout and "arch" in result.stdout and "params: x 0.382" in result.stdout


def test_one_seed_is_said(tmp_path):
    result = bench("unet", "deeplab:resnet50", "--results", fake_results(tmp_path / "r", seeds=1))
    assert "not separable by seed: a side has one seed" in result.stdout


def test_other_images_are_said(tmp_path):
    old, new = write(tmp_path / "old"), tmp_path / "new"
    for seed in range(3):
        record, table = fake_record(fake_config(seed=seed))
        write_trial(new, replace(record, dataset={**record.dataset, "fingerprint": "b"}), table.iloc[::-1], samples=0)
    result = bench(old, new)
    assert "other test images than most" in result.stdout
    first = next(line for line in result.stdout.splitlines() if "data fingerprint" in line)
    assert "data" in first


def test_mistakes(tmp_path):
    results = fake_results(tmp_path / "r", seeds=1)
    for arguments, message in [
        (("unet", "nothing"), "It has: deeplab:resnet50; "),
        (("deeplab", "unet"), "'deeplab' may be deeplab:resnet50; deeplab:mobilenet_v2. Give a whole label."),
    ]:
        result = bench(*arguments, "--results", results)
        assert result.exit_code == 2 and message in result.stderr, result.output
    other = write(tmp_path / "other", arch="segnet")
    result = bench(results, other)
    assert result.exit_code == 2 and "no configuration in common" in result.stderr
