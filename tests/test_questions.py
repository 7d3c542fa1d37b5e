"""A preset's question in the report: what was asked and published, what the trials say, and what they changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_results import fake_config, fake_record, fake_results, fake_table, table_metrics, write_trial
from typer.testing import CliRunner

from bench.cli import app
from bench.config import presets
from bench.core.specs import Budget
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.report.text.questions import questions
from bench.results.dataframe import load_results
from bench.results.merged.merging import merge
from bench.results.store import ResultsFolder
from bench.results.trial_files import PRESETS, note_preset, presets_of

ASKING = [name for name in presets.names() if "?" in presets.summary(name)]


def write(folder, quality, seed=0, *, data=None, **changes):
    config = fake_config("unet", None, seed, **{"budget": Budget(10, "epochs"), **changes})
    table = fake_table(config, quality)
    record, _ = fake_record(config)
    dataset = {**record.dataset, "fingerprint": data or record.dataset["fingerprint"]}
    key = f"{record.key}-{seed}-{data}-{changes}"
    write_trial(folder, replace(record, key=key, metrics=table_metrics(table), dataset=dataset), table, samples=0)


def answers(folder, preset):
    note_preset(folder, preset)
    (one,) = questions([folder], groups(load_results(folder)))
    return one.answers


def test_each_preset_that_asks_gives_its_question_and_what_was_published():
    assert len(ASKING) == 10
    for name in ASKING:
        asked, *paragraphs = presets.head(name)
        assert asked == presets.summary(name) and asked.partition("?")[1]
        assert any(paragraph.startswith("Published") for paragraph in paragraphs)
        assert not any("#" in paragraph or "  " in paragraph for paragraph in paragraphs)


def test_a_trial_of_any_table_of_a_preset_is_as_in_the_preset(tmp_path):
    given = {"image_size": (64, 64), "batch_size": 8, "budget": Budget(100, "steps")}
    for pair, weights in ((("unet", "mobilenet_v2"), "imagenet"), (("fast_scnn", None), "none")):
        record, table = fake_record(fake_config(*pair, 0, weights=weights, **given))
        write_trial(tmp_path, record, table, samples=0)
    assert not [answer for answer in answers(tmp_path, "cpu-pets") if "Not as in the preset" in answer]


def test_the_answer_names_the_best_row_those_tied_with_it_and_what_the_preset_has_otherwise(tmp_path):
    for seed in range(3):
        write(tmp_path, 0.9, seed, lr=0.01)
        write(tmp_path, 0.6, seed, lr=0.1)
    best, changed = answers(tmp_path, "unet-trials")
    assert "the best of 2 rows is unet, lr 0.01 with mean IoU 0." in best and "significantly better" in best
    assert (
        changed == "Not as in the preset: lr 0.1 (the preset's: 0.001, 0.01, 0.0001, 1e-05)." or "lr 0.1 (" in changed
    )
    assert "budget" not in changed


def test_values_that_the_preset_leaves_at_the_default_are_told_if_the_run_changed_them(tmp_path):
    write(tmp_path, 0.9, lr=0.01, train_limit=10, schedule="cosine", crop=(64, 64), init_from="/somewhere/of-mine")
    told = answers(tmp_path, "unet-trials")[-1]
    for text in (
        "schedule cosine (the preset's: linear)",
        "train images 10 (the preset's: none)",
        "init from of-mine (",
    ):
        assert text in told
    assert "crop 64x64 (the preset's: none)" in told and "loss" not in told and "seed" not in told


def test_tables_of_one_row_each_name_the_size_that_their_title_lacks(tmp_path):
    write(tmp_path, 0.9, image_size=(64, 64), eval_size="native")
    write(tmp_path, 0.8, image_size=(96, 64), eval_size="native", budget=Budget(5, "epochs"))
    first, second, *_ = answers(tmp_path, "unet-trials")
    assert "one row, unet trained at 64x64 with" in first + second and "unet trained at 96x64 with" in first + second


def test_a_list_of_tied_rows_that_is_cut_ends_in_words(tmp_path):
    for place in range(8):
        write(tmp_path, 0.9, lr=0.001 * (place + 1))
    assert "; and 2 more." in answers(tmp_path, "unet-trials")[0]


def test_one_seed_leaves_the_rows_tied(tmp_path):
    write(tmp_path, 0.9, lr=0.01)
    write(tmp_path, 0.6, lr=0.001)
    assert "statistically tied with unet, lr 0.001." in answers(tmp_path, "unet-trials")[0]


def test_equal_rows_on_data_divided_in_two_ways_stand_side_by_side(tmp_path):
    write(tmp_path, 0.9, data="a" * 16, dataset_params={"split": "random"})
    write(tmp_path, 0.8, data="b" * 16)
    one, other, between, *_ = answers(tmp_path, "unet-trials")
    assert "data aaaaaaaa" in one and "data bbbbbbbb" in other
    assert 'with split="random" and' in between and "with the default parameters" in between
    assert ", a difference of +0." in between and "may be chance" in between


def test_tables_that_differ_otherwise_are_not_compared(tmp_path):
    write(tmp_path, 0.9)
    write(tmp_path, 0.8, image_size=(64, 64), budget=Budget(5, "epochs"))
    told = answers(tmp_path, "unet-trials")
    assert "The rows of these 2 tables are not ranked against each other: they differ in evaluation size" in told[2]
    assert (
        "image size 64x64 (the preset's: 128x128)" in told[-1] and "budget 5epochs (the preset's: 10epochs)" in told[-1]
    )


def test_without_a_trial_of_the_preset_s_data_there_is_no_answer_yet(tmp_path):
    write(tmp_path, 0.9)
    assert answers(tmp_path, "airbus-unet-small") == ("No trial of the preset's data set is ok yet.",)


@pytest.mark.parametrize("text", ["[]", "{", '{"presets": 3}', '{"presets": [1, "../../x", "<b>", "gate"]}', ""])
def test_what_the_file_says_is_data_and_only_known_presets_that_ask_count(tmp_path, text):
    fake_results(tmp_path, nets=1, seeds=1, failures=False, samples=0)
    (tmp_path / PRESETS).write_text(text, encoding="utf-8")
    assert questions([tmp_path], groups(load_results(tmp_path))) == []


def test_the_page_and_the_markdown_begin_with_the_question(tmp_path):
    write(tmp_path, 0.9)
    note_preset(tmp_path, "unet-trials")
    write_report([tmp_path])
    page, text = ((tmp_path / "report" / name).read_text(encoding="utf-8") for name in ("index.html", "LEADERBOARD.md"))
    assert page.index("Which learning rate, batch and kernel?") < page.index('id="leaderboard"')
    assert "Published in a notebook as six trials" in page and "## Which learning rate" in text


def test_a_preset_is_noted_once_and_only_in_a_results_folder(tmp_path):
    note_preset(tmp_path / "none", "unet-trials")
    assert not (tmp_path / "none").exists()
    ResultsFolder(tmp_path).create()
    for name in ("unet-trials", "airbus-unet-small", "unet-trials"):
        note_preset(tmp_path, name)
    assert presets_of(tmp_path) == ["unet-trials", "airbus-unet-small"]
    assert json.loads((tmp_path / PRESETS).read_text(encoding="utf-8")) == {"presets": presets_of(tmp_path)}


def test_a_dry_run_notes_nothing(tmp_path):
    command = ["run", "--config", "gate", "--backend", "jax", "--results", str(tmp_path / "r"), "--dry-run"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not Path(tmp_path / "r").exists()


def test_a_file_of_the_user_is_no_preset(tmp_path):
    assert presets.name_of(Path("unet-trials")) == "unet-trials"
    assert presets.name_of(tmp_path / "unet-trials.toml") is None and presets.name_of(None) is None


def test_merged_folders_keep_their_presets(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, 0.9, lr=0.01 if name == "a" else 0.001)
        note_preset(tmp_path / name, ASKING[name == "b"])
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert presets_of(tmp_path / "both") == ASKING[:2]
