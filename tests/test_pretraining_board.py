"""The table of what pretraining is worth: a model from scratch beside the same one with pretrained weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_results import fake_config, fake_record, fake_table, table_metrics, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.report.findings.boards.pretraining import pretraining_boards
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.results.analysis.configurations import pool
from bench.results.analysis.uncertainty import NO_COMMON_SEED, paired_by_seed
from bench.results.dataframe import trials_frame
from bench.results.loading import load

FILE = "/data/weights/mobilenet.h5"
HASH = "0123456789abcdef"


def write(folder, quality, seed=0, *, backbone="mobilenet_v2", weights="none", recorded=None, **changes):
    """Write a trial whose share of right pixels is `quality`."""
    config = fake_config("unet", backbone, seed, weights=weights, **changes)
    table = fake_table(config, quality)
    record, _ = fake_record(config)
    key = f"{record.key}-{weights}-{'-'.join(map(str, changes.values()))}"
    write_trial(
        folder,
        replace(record, key=key, metrics=table_metrics(table), weights=recorded or {}),
        table,
        samples=0,
    )
    return table_metrics(table)["mean_iou"]


def boards(folder):
    trials = load([folder]).trials
    return pretraining_boards(groups(trials_frame(trials)), {str(trial.folder): trial for trial in trials})


@pytest.fixture
def results(tmp_path):
    """A model whose seeds differ by 0.15, and which pretraining makes better by 0.05 at each seed."""
    folder = tmp_path / "results"
    for seed, quality in enumerate((0.60, 0.75, 0.90)):
        write(folder, quality, seed)
        write(folder, quality + 0.05, seed, weights="imagenet")
        write(folder, quality - 0.05, seed, weights=FILE, recorded={"backbone_sha256": HASH})
    return folder


def test_the_difference_is_the_mean_over_the_seeds_of_their_differences(tmp_path):
    one = [write(tmp_path, quality, seed) for seed, quality in enumerate((0.6, 0.8))]
    other = [write(tmp_path, quality, seed, weights="imagenet") for seed, quality in enumerate((0.9, 0.85))]
    ((board,),) = [boards(tmp_path)]
    (row,) = board.found
    np.testing.assert_allclose(row.found.change.scores, [other[0] - one[0], other[1] - one[1]])
    assert row.found.change.mean == pytest.approx((other[0] - one[0] + other[1] - one[1]) / 2)


def test_seeds_that_differ_more_than_pretraining_does_hide_it_only_where_they_are_not_paired(results):
    (board,) = boards(results)
    scratch, imagenet = (
        next(m for m in pool(trials_frame(load([results]).trials)) if m.values["weights"] == name)
        for name in ("none", "imagenet")
    )
    paired = paired_by_seed(scratch, imagenet)
    unpaired = paired.other.minus(paired.one)
    assert unpaired.low < 0 < paired.change.interval.low
    assert [(one.weights_text, one.verdict(board.metric), one.seeds) for one in board.found] == [
        ("ImageNet", "better", 3),
        ("mobilenet.h5 (SHA-256 01234567)", "worse", 3),
    ]
    assert board.notes == [
        "The score (mean IoU) with pretrained weights, of 2 rows: better in 1, worse in 1, open in 0."
    ]


def test_only_the_seeds_that_both_have_count(tmp_path):
    for seed in (0, 1, 2):
        write(tmp_path, 0.7, seed)
    shared = [write(tmp_path, 0.8, seed, weights="imagenet") for seed in (1, 2)]
    write(tmp_path, 0.2, 5, weights="imagenet")
    ((row,),) = [board.found for board in boards(tmp_path)]
    assert row.seeds == 2
    assert row.found.other.mean == pytest.approx(np.mean(shared))


def test_without_a_common_seed_the_row_says_so(tmp_path):
    write(tmp_path, 0.7, 0)
    write(tmp_path, 0.8, 1, weights="imagenet")
    (board,) = boards(tmp_path)
    assert board.found[0].found == NO_COMMON_SEED
    assert board.notes[1] == "unet:mobilenet_v2, ImageNet: no seed that both have."
    assert [cell.text for cell in board.rows[0][1]] == ["ImageNet", *["\N{EN DASH}"] * 3, "0"]


def test_one_seed_has_a_difference_and_no_interval(tmp_path):
    low, high = write(tmp_path, 0.7), write(tmp_path, 0.8, weights="imagenet")
    (board,) = boards(tmp_path)
    assert board.rows[0][1][3].text == f"+{high - low:.3f}"
    assert board.found[0].verdict(board.metric) == "open"
    assert "one seed has no interval" in board.notes[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 0.01},
        {"image_size": (64, 64)},
        {"backbone": "resnet50"},
        {"backbone": None},
        {"freeze_encoder": 0.5},
        {"init_from": "another"},
    ],
    ids=str,
)
def test_models_that_differ_in_more_than_their_weights_are_not_compared(tmp_path, changes):
    for seed in (0, 1):
        write(tmp_path, 0.7, seed)
        write(tmp_path, 0.8, seed, weights="imagenet", **changes)
    assert boards(tmp_path) == []


def test_code_that_was_edited_between_the_two_is_not_compared(tmp_path):
    write(tmp_path, 0.7, recorded={"source": "a"})
    write(tmp_path, 0.8, weights="imagenet", recorded={"source": "b"})
    assert boards(tmp_path) == []


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_one_kind_of_weights_alone_makes_no_section(tmp_path, weights):
    write(tmp_path, 0.7, weights=weights)
    files = write_report([tmp_path]).files
    assert "pretraining.json" not in [file.name for file in files]
    assert 'id="pretraining"' not in files[0].read_text(encoding="utf-8")


def test_settings_that_both_share_are_in_the_label_where_they_differ_between_rows(tmp_path):
    for lr in (0.001, 0.01):
        write(tmp_path, 0.7, lr=lr)
        write(tmp_path, 0.8, weights="imagenet", lr=lr)
    (board,) = boards(tmp_path)
    assert sorted(one.label for one in board.found) == ["unet:mobilenet_v2, lr 0.001", "unet:mobilenet_v2, lr 0.01"]


def test_page_markdown_json_and_terminal_have_the_same_numbers(results, tmp_path):
    (board,) = boards(results)
    told = CliRunner().invoke(app, ["report", str(results), "--out", str(tmp_path / "out")], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    page, markdown, values = (
        (tmp_path / "out" / name).read_text(encoding="utf-8")
        for name in ("index.html", "LEADERBOARD.md", "pretraining.json")
    )
    text = board.rows[0][1][3].text
    assert text in page and text in told.output and text.replace("[", "\\[").replace("]", "\\]") in markdown
    assert 'href="#pretraining"' in page and "what pretraining is worth" in markdown
    first = json.loads(values)[0]
    interval = board.found[0].found.change.interval
    assert (first["weights"], first["seeds"], first["difference_low"]) == ("ImageNet", 3, pytest.approx(interval.low))
    assert json.loads(values)[1]["sha256"] == HASH
    assert FILE.rpartition("/")[0] not in page + markdown + values


def test_a_long_file_name_leaves_room_for_its_hash(tmp_path):
    write(tmp_path, 0.7)
    write(tmp_path, 0.8, weights=f"/data/{'long_' * 30}.h5", recorded={"backbone_sha256": HASH})
    (board,) = boards(tmp_path)
    assert f"(SHA-256 {HASH[:8]})" in board.rows[0][1][0].text
    assert any(f"(SHA-256 {HASH[:8]})" in line for line in board.markdown())


def test_a_record_that_somebody_edited_makes_no_traceback(tmp_path):
    write(tmp_path, 0.7, recorded={"source": ["a"], "backbone_sha256": 5})
    write(tmp_path, 0.8, weights=FILE, recorded={"source": ["a"], "backbone_sha256": {"a": 1}})
    write_report([tmp_path])
