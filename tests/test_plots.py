"""The contents of a report's plots and lists: fronts, times to a score, images on which two rows differ most."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
from fake_results import TEST_IMAGES, fake_config, fake_record, fake_results, write_trial

from bench.evaluation.pictures import file_name
from bench.report.gallery import group_images, hardest
from bench.report.leaderboard import groups
from bench.report.plots.curves import curves_frame, points, time_to, usual_target
from bench.report.plots.figures import HIGHLIGHTED, save, shared_looks
from bench.report.plots.trade_offs import draw_trade_off, pareto
from bench.report.render import write_report
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.quantities import QUANTITIES


def test_the_front_is_what_none_beats_in_both():
    cost, score = np.array([1.0, 2, 2, 3, 4, 5]), np.array([0.5, 0.7, 0.6, 0.7, 0.9, 0.8])
    assert pareto(-cost, score).tolist() == [0, 1, 4]


def test_a_point_says_which_configuration_it_is(tmp_path):
    (group,) = groups(load_results(fake_results(tmp_path)))
    group = replace(group, rows=tuple(replace(row, label=f'{row.label} "<b>&"') for row in group.rows))
    (looks,) = shared_looks([[row.label for row in group.ranked[:2]]])  # the others are grey
    plot = save(draw_trade_off(group, looks, QUANTITIES["latency_ms_p95"]), "title", tmp_path, "plot")
    tips = re.findall("<title>(.*?)</title>", plot.svg)
    assert sorted(map(unescape, tips)) == sorted(
        f"{row.label}: {row.cells['mean_iou'].text}; latency p95 (ms) "
        f"{row.configuration.spread('latency_ms_p95').mean:,.4g}"
        for row in group.ranked
    )
    assert plot.files[0].read_text().count("<title>") == len(group.ranked)


def curves(*trials: list[tuple[float, float]], label: str = "a") -> pd.DataFrame:
    return pd.DataFrame(
        {"label": label, "trial": trial, "train_seconds": seconds, "val_mean_iou": score}
        for trial, steps in enumerate(trials)
        for seconds, score in steps
    )


def test_a_configuration_keeps_its_look_in_every_plot():
    first, second, third = shared_looks([["a", "b"], ["b", "c"], ["c", "a", "b"]])
    assert first["b"] == second["b"] == third["b"]
    assert (first["a"], second["c"]) == (third["a"], third["c"])
    assert len(set(third.values())) == 3


def test_looks_differ_in_a_plot_even_if_there_are_more_names_than_looks():
    boards = [[f"{name}{i}" for i in range(HIGHLIGHTED + 2)] for name in "ab"]
    first, second, both = shared_looks([*boards, ["a0", "b0", "a1", "b1"]])
    assert len(first) == len(set(first.values())) == len(second) == HIGHLIGHTED
    assert "a10" not in first
    assert len(set(both.values())) == 4
    assert both["a0"] == first["a0"]


def test_time_to_a_score_is_the_mean_over_the_seeds_that_got_there():
    some = curves([(10, 0.3), (20, 0.6), (30, 0.5)], [(12, 0.2), (24, 0.4), (36, 0.6)], [(11, 0.1)])
    assert time_to(0.5, some) == {"a": (28.0, 2, 3)}  # (20 + 36) / 2
    assert time_to(0.9, some) == {"a": (None, 0, 3)}
    assert usual_target(some) == 0.54
    assert points(some) == {"a": "10:0.3000 20:0.6000 30:0.5000;12:0.2000 24:0.4000 36:0.6000;11:0.1000"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return fake_results(tmp_path_factory.mktemp("plots") / "results", nets=2)


def test_curves_are_read_from_the_histories(results):
    trials = {str(trial.folder): trial for trial in load([results]).trials}
    (group,) = groups(load_results(results))
    frame = curves_frame(group, trials)
    assert frame.groupby(["label", "trial"]).size().tolist() == [10] * 4
    folder = next((results / "trials").glob("unet_None_0*"))
    (folder / "history.jsonl").write_text('{"val_mean_iou": "x"}\n{"train_seconds": 1}\n[]\n{"imag')
    assert len(curves_frame(group, trials)) == 30


def test_the_hardest_images_come_first(results):
    (group,) = groups(load_results(results))
    images = group_images(group)
    assert {len(scores) for scores in images.scores.values()} == {TEST_IMAGES}
    found = hardest(group, images)
    means = [np.mean(line.scores) for line in found.lines]
    assert means == sorted(means) and len(means) == 5


def test_a_picture_is_found_by_its_name():
    assert file_name("Abyssinian 1/ä.jpg") == "Abyssinian_1_ä_jpg"
    assert len(file_name("x" * 99)) == 60


def test_a_group_of_few_images_or_without_tables_has_no_lists(tmp_path):
    write_trial(tmp_path, *fake_record(fake_config())[:1])
    page = write_report([tmp_path], tmp_path / "out").files[0].read_text()
    assert 'id="images"' not in page and 'id="plots"' in page
