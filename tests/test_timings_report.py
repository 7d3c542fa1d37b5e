"""The page shows what the speeds rest on: single calls, and the rates of loader, bare step and both."""

import re
from dataclasses import replace

import pytest
from fake_results import fake_config, fake_record, fake_results, write_trial

from bench.profiling.clock.timing_table import TIMINGS
from bench.report.findings.input_ceiling import input_ceiling
from bench.report.leaderboard import groups
from bench.report.plots.latency import TITLE
from bench.report.render import write_report
from bench.results.dataframe import load_results


def write(results, arch, *, joint, bare, loader=1000.0, others=0.0):
    record, table = fake_record(fake_config(arch))
    noise = {"cpu_noise": {"train": {"others_share": others}}} if others else {}
    record = replace(record, environment={**record.environment, **noise})
    rates = {"loader_images_per_second": loader, "bare_images_per_second": bare, "harness_efficiency": joint / bare}
    write_trial(
        results, replace(record, speed={**record.speed, "train_images_per_second": joint, **rates}), table, samples=0
    )


def ceiling(results):
    (group,) = groups(load_results(results))
    return input_ceiling(group)


def page(results):
    write_report([results])
    return (results / "report" / "index.html").read_text(encoding="utf-8")


def test_a_row_that_the_loader_holds_back_would_come_first_with_a_free_one(tmp_path):
    write(tmp_path, "unet", joint=100.0, bare=102.0)
    write(tmp_path, "segnet", joint=90.0, bare=180.0)
    found = ceiling(tmp_path)
    assert found.sentences == (
        "With a free loader, segnet (90.0 to 180 images/s) would come before unet (100 to 102).",
    )
    assert found.rows == (
        ("unet", ("1,000", "102", "100", "0.98", "1", "2")),
        ("segnet", ("1,000", "180", "90.0", "0.50", "2", "1")),
    )
    assert found.sentences[0] in page(tmp_path)
    assert "| segnet | 1,000 | 180 | 90.0 | 0.50 | 2 | 1 |" in (tmp_path / "report" / "LEADERBOARD.md").read_text()


def test_a_step_that_is_measured_faster_by_chance_changes_no_order(tmp_path):
    """Both run at their ceiling: segnet's bare step is faster than unet's, but its own training is not held back."""
    write(tmp_path, "unet", joint=100.0, bare=100.0)
    write(tmp_path, "segnet", joint=99.0, bare=101.0)
    assert ceiling(tmp_path).sentences == (
        "With a free loader the order would stay the same. Input or harness limits 0 of 2 rows.",
    )


def test_rates_of_a_busy_machine_are_marked_and_one_row_has_no_order(tmp_path):
    write(tmp_path, "unet", joint=90.0, bare=180.0, others=0.4)
    found = ceiling(tmp_path)
    assert found.rows == (("unet", ("~1,000", "~180", "~90.0", "0.50", "1", "1")),)
    assert found.sentences == ("Input or harness limits 0 of 1 rows. The machine was too busy to tell it of 1.",)


def test_many_changes_of_order_are_counted_instead_of_listed(tmp_path):
    names = ("unet", "segnet", "deeplab", "fcn8", "fcn16", "fcn32", "pspnet")
    for place, arch in enumerate(names):
        write(tmp_path, arch, joint=100.0 - place, bare=200.0 + place)
    told = ceiling(tmp_path).sentences
    assert len(told) == 11 and told[-1] == "And 11 more pairs."  # of 7 x 6 / 2 = 21


def test_a_rate_that_was_not_recorded_is_said_so(tmp_path):
    write(tmp_path, "unet", joint=100.0, bare=100.0)
    record, table = fake_record(fake_config("segnet"))
    speed = {"train_images_per_second": 50.0}
    write_trial(tmp_path, replace(record, speed=speed), table, samples=0)
    found = ceiling(tmp_path)
    assert found.rows[1] == ("segnet", ("not recorded", "not recorded", "50.0", "not recorded", "2", "not recorded"))


def test_the_page_shows_the_calls_of_each_row(tmp_path):
    results = fake_results(tmp_path / "r", nets=2, seeds=2, failures=False, samples=0)
    text = page(results)
    assert text.count(f"<figcaption>{TITLE}</figcaption>") == 1 and "calls not recorded" not in text
    tips = re.findall(r"<title>(unet[^<]*): p50 ([0-9.]+) ms, p95 ([0-9.]+) ms, (\d+) calls</title>", text)
    assert [tip[0] for tip in tips] == ["unet:mobilenet_v2", "unet"] and {tip[3] for tip in tips} == {"200"}
    assert all(float(middle) < float(high) for _, middle, high, _ in tips)
    assert (results / "report" / "plots" / "1-pets-latency.svg").is_file()


@pytest.mark.parametrize("measure", ["training", "speed"])
def test_rows_without_samples_are_named_and_their_old_plot_goes(tmp_path, measure):
    for arch in ("unet", "segnet"):
        record, table = fake_record(fake_config(arch, measure=measure))
        write_trial(tmp_path, replace(record, metrics=record.metrics if measure != "speed" else {}), table, samples=0)
    assert TITLE in page(tmp_path)
    (plot,) = (tmp_path / "report" / "plots").glob("*-latency.svg")
    folders = sorted(tmp_path.glob("trials/*/"))
    (folders[0] / TIMINGS).unlink()
    text = page(tmp_path)
    assert re.search(r"not recorded: (segnet|unet)[^;]*\.</p>", text) and plot.exists()
    (folders[1] / TIMINGS).unlink()
    assert TITLE not in page(tmp_path) and not plot.exists()


def test_damaged_samples_are_named_on_the_page(tmp_path):
    results = fake_results(tmp_path / "r", nets=1, seeds=2, failures=False, samples=0)
    next(results.glob("trials/*/timings.parquet")).write_bytes(b"none")
    text = page(results)
    assert "is no readable table of timings" in text and "100 calls" in text
