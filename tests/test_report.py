"""The report: its contents, and that no record can break it."""

import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import CLASSES, failed_record, fake_config, fake_record, fake_results, write_trial
from markdown_it import MarkdownIt
from PIL import Image
from rich.console import Console

from bench.commands.report import report as report_command
from bench.core.errors import BenchError
from bench.core.specs import SCHEMA_VERSION, Budget
from bench.report.leaderboard import groups
from bench.report.render import write_report
from bench.report.text.exports import exports
from bench.report.text.tables import markdown_cell, terminal_table
from bench.results.dataframe import load_results
from bench.results.loading import load
from bench.results.store import ResultsFolder
from bench.results.trial_files import MARKER, write_json

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "a | b\n# c\r\n[x](javascript:alert(1)) `d` *e* @f https://example.com",
    "=HYPERLINK(1)",
    "\x1b[31mred\x1b[0m \x00 \u202eevil \ud800 $\\frac{ $$ 日本 🙂",
    "]]></svg></style></script><!--",
    "{{ 7 * 7 }} {% include 'x' %} [bold]",
    "x" * 10_000,
)


TABLES = ("leaderboard.csv", "leaderboard.parquet", "leaderboard.json", "leaderboard.tex")


class _Page(HTMLParser):
    """The tags and attributes of a page, and the cells of its leaderboards."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.boards: list[list[list[str]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "table":
            self.boards.append([])
        elif tag == "tr":
            self.boards[-1].append([])
        elif tag in ("td", "th"):
            self.boards[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        if self._in_cell:
            self.boards[-1][-1][-1] += data.strip()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of ten ok trials and three that are not."""
    folder = tmp_path_factory.mktemp("report")
    write_report([fake_results(folder / "results")], folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[Path, str]:
    """A report of records whose every text is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, text in enumerate(HOSTILE):
        config = fake_config(text, text, number, dataset=text, weights=text, params={text: text})
        record, _ = fake_record(config, device=text, started=text)
        record = replace(
            record,
            key=f"key{number}",
            dataset={**record.dataset, "fingerprint": text},
            metrics={**record.metrics, text: 0.5, "iou": {text: 0.5}, "status": "failed"},
            environment={text: text, "commit": text, "versions": {text: text, "keras": text}},
            memory={**record.memory, "method": text},
        )
        sample = write_trial(folder / "results", record) / "samples" / "0_image_0.png"
        if number == 1:
            sample.rename(sample.with_name("\"><img src=x onerror='alert(1)'>.png"))
        failure = failed_record(config, "failed", text, device=text, key=f"failed{number}", log_tail=(text, text))
        write_trial(folder / "results", failure)
    written = write_report([folder / "results"], folder / "out").files
    return folder / "out", written[0].read_text()


def test_the_report_writes_its_files(report):
    names = {str(path.relative_to(report)) for path in report.rglob("*") if path.is_file()}
    plots = ("curves-train_seconds", "curves-images", "curves-epochs", "loss-train_seconds")
    plots += ("train_images_per_second", "inference_images_per_second", "latency_ms_p95", "peak_memory_mib", "params")
    plots += ("classes", "images", "ledger", "latency")
    expected = {f"plots/1-pets-{plot}.{kind}" for plot in plots for kind in ("svg", "png")}
    assert names == {"index.html", "LEADERBOARD.md", "seed-worth.json", *TABLES} | expected
    for path in (report / "plots").glob("*.png"):
        with Image.open(path) as image:
            assert image.width > 500


def test_page_shows_the_leaderboard(report):
    page = _Page((report / "index.html").read_text())
    heading, *rows = page.boards[0]
    assert heading[:3] == ["rank", "architecture", "backbone"]
    assert "latency p95 (ms)" in heading and "peak memory (MiB)" in heading
    assert [[row[0].split()[0], *row[1:3]] for row in rows[:3]] == [
        ["1", "deeplab", "resnet50"],
        ["1", "unet", "resnet50"],
        ["1", "unet", "mobilenet_v2"],
    ]
    scores = [float(row[heading.index("mean IoU")].split(" [")[0]) for row in rows[:5]]
    assert scores == sorted(scores, reverse=True)
    assert [row[0] for row in rows[5:]] == ["–", "–"]  # noqa: RUF001  the configurations of which every trial failed
    assert rows[4][heading.index("seeds")] == "2 (1 failed)"
    assert page.boards[1][0] == ["configuration", *CLASSES]
    headings = [attributes for tag, attributes in page.tags if tag == "th" and attributes.get("scope") == "col"]
    assert all(attributes.get("title") for attributes in headings[: len(heading)])


def test_page_shows_failures_and_method(report):
    text = html.unescape((report / "index.html").read_text())
    for part in ("out of memory", "Out of memory: 2.1 GiB asked", "The loss is NaN.", 'File "unet.py", line 12'):
        assert part in text
    assert "bench report " in text and " --out " in text
    assert "3.15.1" in text and "df01bb0" in text


def test_page_makes_no_request(report):
    page = _Page((report / "index.html").read_text())
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "use") or (
            attributes.get("xlink:href") or "#"
        ).startswith("#")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/webp;base64,")), (tag, attributes)
        assert not re.search(r"url\((?!#)", attributes.get("style") or "")
    styles = "".join(re.findall(r"<style.*?</style>", (report / "index.html").read_text(), flags=re.DOTALL))
    assert "@import" not in styles and "url(" not in styles


def test_page_runs_only_its_own_scripts(report):
    text = (report / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    hashes = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 2
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    assert f'script-src {allowed}">' in text


def test_identifiers_are_unique(report):
    page = _Page((report / "index.html").read_text())
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    targets = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert set(targets) <= set(names)


def test_plots_take_the_colours_of_the_page(report):
    text = (report / "index.html").read_text()
    scatters = text.count('<figure class="scatter"')  # of each pair of the five rows
    assert (text.count("<svg") - scatters, scatters) == (13, 10)
    assert "currentColor" in text and "#1f2329" not in text.partition("</style>")[2]
    assert "<!DOCTYPE svg" not in text and "<metadata>" not in text


def test_markdown_is_a_table_on_github(report):
    text = (report / "LEADERBOARD.md").read_text()
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert rendered.count("<table>") == 4  # the group, what a seed is worth, its input ceiling, and the failures
    assert rendered.count("<tr>") == (1 + 7) + (1 + 5) + (1 + 5) + (1 + 3)
    assert "AMD EPYC 9654, 2 cores" in text and "0.4 GiB free" in text


def test_csv_holds_numbers_and_spreads(report):
    rows = list(csv.DictReader(io.StringIO((report / "leaderboard.csv").read_text())))
    assert [row["rank"] for row in rows] == ["1", "1", "1", "1", "5", "", ""]
    assert (rows[0]["ranked_by"], rows[0]["rank_best"], rows[0]["rank_worst"]) == ("mean_iou", "1", "4")
    assert float(rows[0]["interval_low"]) < float(rows[0]["mean_iou"]) < float(rows[0]["interval_high"])
    assert rows[5]["interval_low"] == rows[5]["rank_worst"] == ""
    assert 0 < float(rows[0]["mean_iou_sd"]) < 0.1 < float(rows[0]["mean_iou"])
    assert rows[0]["iou_pet"] and rows[5]["mean_iou"] == ""
    assert (rows[4]["seeds"], rows[4]["failed"]) == ("2", "1")


@pytest.mark.parametrize("width", [80, 120])
def test_terminal_table_fits(tmp_path, width):
    (group,) = groups(load_results(fake_results(tmp_path / "results")))
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(terminal_table(group))
    text = console.export_text()
    last = [row.cells["peak_memory_mib"].text for row in group.rows]
    assert all(word in text for word in ("p50", "(1 failed)", "memory", "(MiB)", *last))  # no column is cut off
    if width == 120:
        assert "deeplab:resnet50" in text and re.search(r"0\.769 \[0\.\d{3}, \d\.\d{3}\]", text)


def labels(path, *configs):
    for config in configs:
        record, table = fake_record(config, key=f"{config.arch}-{config.weights}-{config.params}")
        write_trial(path, record, table, samples=0)
    (group,) = groups(load_results(path))
    return sorted(row.label for row in group.rows)


def test_labels_say_no_more_than_tells_rows_apart(tmp_path):
    unet, deeplab = fake_config(params={"filters": [8, 16]}), fake_config("deeplab", "resnet50")
    assert labels(tmp_path / "a", unet, deeplab) == ["deeplab:resnet50", "unet"]
    deeper = replace(unet, params={"filters": [8, 16, 32], "convs_per_block": 1})
    assert labels(tmp_path / "b", unet, deeper, deeplab) == [
        "deeplab:resnet50",
        "unet, with convs_per_block=1, filters=[8,16,32]",
        "unet, with filters=[8,16]",
    ]
    pretrained = replace(deeplab, weights="imagenet")
    assert labels(tmp_path / "c", pretrained) == ["deeplab:resnet50"]
    assert labels(tmp_path / "d", pretrained, unet) == ["deeplab:resnet50, imagenet", "unet"]


def test_tables_stand_in_the_order_of_their_budgets_and_sizes(tmp_path):
    for steps in (50, 150, 1000):
        for size in (64, 128):
            config = fake_config(budget=Budget(steps, "steps"), image_size=(size, size))
            write_trial(tmp_path, *fake_record(config), samples=0)
    titles = [group.title.partition(", on")[0] for group in groups(load_results(tmp_path))]
    assert titles == [f"pets at {size}x{size}, {steps} steps" for size in (64, 128) for steps in (50, 150, 1000)]


def test_tables_that_differ_in_what_no_title_names_say_it(tmp_path):
    for protocol, data in ((1, "a" * 16), (2, "a" * 16), (2, "b" * 16)):
        record, table = fake_record(fake_config())
        dataset = {**record.dataset, "fingerprint": data}
        changed = replace(record, key=f"{protocol}{data}", protocol_version=protocol, dataset=dataset)
        write_trial(tmp_path, changed, table, samples=0)
    ends = [group.title.split(", ")[-2:] for group in groups(load_results(tmp_path))]
    assert ends == [[f"data {8 * data}", f"protocol {protocol}"] for data, protocol in ("a1", "a2", "b2")]


def test_the_score_stands_before_the_flags(tmp_path):
    (group,) = groups(load_results(fake_results(tmp_path, seeds=1)))
    names = list(group.columns)
    assert names.index("seeds") < names.index("mean_iou") < names.index("flags") < names.index("params")


def test_nothing_incomparable_is_ranked_together(tmp_path):
    results = tmp_path / "results"
    other = [
        {"config": fake_config(dataset="shapes")},
        {"config": fake_config(image_size=(256, 256))},
        {"config": fake_config(budget=replace(fake_config().budget, amount=20))},
        {"device": "NVIDIA H200"},
        {"protocol_version": 2},
        {"dataset": {"fingerprint": "other"}},
    ]
    write_trial(results, *fake_record(fake_config()))
    for number, changes in enumerate(other):
        config = changes.pop("config", fake_config())
        record, table = fake_record(config)
        write_trial(results, replace(record, key=f"key{number}", **changes), table)
    found = groups(load_results(results))
    assert [len(group.rows) for group in found] == [1] * 7
    assert len({group.title for group in found}) >= 5
    assert sum("data other" in group.title for group in found) == 1


def test_only_what_varies_is_shown(tmp_path):
    for number, lr in enumerate((1e-3, 1e-2)):
        write_trial(tmp_path / "results", *fake_record(fake_config(lr=lr), key=f"key{number}"))
    (group,) = groups(load_results(tmp_path / "results"))
    assert "lr" in group.columns and "batch_size" not in group.columns
    assert {row.label for row in group.rows} == {"unet, lr 0.001", "unet, lr 0.01"}


def test_one_seed_has_no_spread_and_the_page_says_so(tmp_path):
    write_trial(tmp_path / "results", *fake_record(fake_config()))
    (group,) = groups(load_results(tmp_path / "results"))
    cell = group.rows[0].cells["mean_iou"]
    assert "±" not in cell.text and "one seed" in cell.title
    write_report([tmp_path / "results"], tmp_path / "out")
    for name in ("index.html", "LEADERBOARD.md"):
        assert "Not separable by seed" in (tmp_path / "out" / name).read_text()


def test_a_held_up_trial_is_marked(tmp_path):
    record, _ = fake_record(fake_config())
    write_trial(tmp_path / "results", replace(record, speed={**record.speed, "harness_efficiency": 0.8}))
    (group,) = groups(load_results(tmp_path / "results"))
    cell = group.rows[0].cells["harness_efficiency"]
    assert cell.warn and "limited by input" in cell.title


def test_mixed_versions_are_named(tmp_path):
    for seed, version in enumerate(("3.15.0", "3.15.1")):
        record, _ = fake_record(fake_config(seed=seed))
        record = replace(record, environment={**record.environment, "versions": {"keras": version}})
        write_trial(tmp_path / "results", record)
    (group,) = groups(load_results(tmp_path / "results"))
    assert "The trials differ in Keras's version: 3.15.0, 3.15.1." in group.notes


def test_weights_files_are_shown_by_name_alone(tmp_path):
    write_trial(tmp_path / "results", *fake_record(fake_config(weights="/home/someone/mobilenet.h5")))
    (group,) = groups(load_results(tmp_path / "results"))
    assert group.rows[0].cells["weights"].text == "mobilenet.h5"


def test_report_without_ok_trials(tmp_path):
    write_trial(tmp_path / "results", failed_record(fake_config()))
    index, table, *_ = write_report([tmp_path / "results"], tmp_path / "out").files
    assert "No trial is ok yet" in index.read_text() and "boom" in index.read_text()
    assert "No trial is ok yet" in table.read_text() and "boom" in table.read_text()


def test_report_of_an_empty_folder(tmp_path):
    ResultsFolder(tmp_path / "results").create()
    index, *_ = write_report([tmp_path / "results"], tmp_path / "out").files
    assert "No trial is ok yet" in index.read_text()


def test_what_is_left_out_is_named(tmp_path):
    results = tmp_path / "results"
    good = write_trial(results, *fake_record(fake_config()))
    shutil.copytree(results, tmp_path / "copy")  # the same trial again is no second seed
    for name, text in (("broken", "{"), ("newer", json.dumps({"schema_version": 99}))):
        (results / "trials" / name).mkdir()
        (results / "trials" / name / "record.json").write_text(text)
    (results / "trials" / "halfway.running").mkdir()
    (good / "samples" / "0_image_0.png").write_bytes(b"no picture")
    index, table, *_ = write_report([results, tmp_path / "copy"], tmp_path / "out").files
    for text in (html.unescape(index.read_text()), table.read_text()):
        assert "broken: record.json is broken" in text
        assert "newer: written by a newer segbench (schema 99)" in text
        assert "halfway.running: its runner died" in text
        assert "a copy of" in text
        assert "can't be read" in text
    assert groups(load_results(results))[0].rows[0].cells["seeds"].text == "1"


def test_bad_paths(tmp_path):
    with pytest.raises(BenchError, match="isn't a results folder"):
        write_report([tmp_path], tmp_path / "out")
    results = fake_results(tmp_path / "results", nets=0, failures=False)
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match="--out"):
        write_report([results], tmp_path / "file")


def test_failures_and_budgets_without_any_ok_trial_are_named_with_reasons_in_the_terminal_too(tmp_path, capsys):
    record, table = fake_record(fake_config())
    write_trial(tmp_path, record, table, samples=0)
    write_trial(tmp_path, failed_record(fake_config("deeplab", "resnet50", seed=1)))  # at a budget with an ok trial
    for seed, status in enumerate(("failed", "out_of_memory", "failed")):
        write_trial(tmp_path, failed_record(fake_config(seed=seed, budget=Budget(90, "steps")), status))
    report_command([tmp_path], tmp_path / "out")
    shown = " ".join(capsys.readouterr().out.split())
    assert "Trials that are not ok" in shown and "deeplab:resnet50 on pets, 10 epochs" in shown
    assert shown.count("ValueError: boom") == 4
    for text in (shown, *((tmp_path / "out" / name).read_text() for name in ("index.html", "LEADERBOARD.md"))):
        text = text.replace("\\_", "_")
        assert "pets, 90 steps: no trial is ok (2 failed, 1 out_of_memory)" in text
        assert text.count("no trial is ok") == 1


def test_bad_folders_are_named_and_the_rest_is_shown(tmp_path, capsys):
    good = fake_results(tmp_path / "good", nets=1, seeds=1, failures=False)
    newer = tmp_path / "newer"
    newer.mkdir()
    write_json(newer / MARKER, {"schema_version": SCHEMA_VERSION + 1})
    report_command([newer, tmp_path / "nothere", good])
    shown = capsys.readouterr()
    assert not (newer / "report").exists() and "unet" in shown.out
    page, table = ((good / "report" / name).read_text() for name in ("index.html", "LEADERBOARD.md"))
    for text in (html.unescape(page), table, shown.err):
        assert "was written by a newer segbench" in text and "There is no results folder" in text
    with pytest.raises(BenchError, match="newer segbench"):
        report_command([newer])
    for out in (newer, newer / "report"):
        with pytest.raises(BenchError, match="newer segbench"):
            write_report([good], out)


def test_a_file_that_cannot_be_written(tmp_path):
    results = fake_results(tmp_path / "results", nets=0, failures=False)
    (tmp_path / "out" / "index.html").mkdir(parents=True)
    with pytest.raises(BenchError, match=r"index\.html.*--out"):
        write_report([results], tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.part"))


def test_only_our_old_plots_are_removed(tmp_path):
    results = fake_results(tmp_path / "results", nets=1, seeds=1, failures=False)
    plots = tmp_path / "out" / "plots"
    plots.mkdir(parents=True)
    for name in ("index.html", "LEADERBOARD.md"):
        (plots.parent / name).touch()
    for name in ("2-cars-peak_memory_mib.png", "2-cars-curves-images.svg", "mine.png", "2-cars-mine.svg"):
        (plots / name).touch()
    write_report([results], tmp_path / "out")
    names = {path.name for path in plots.iterdir()}
    assert names >= {"mine.png", "2-cars-mine.svg", "1-pets-peak_memory_mib.png"}
    assert not names & {"2-cars-peak_memory_mib.png", "2-cars-curves-images.svg"}


def test_an_edited_plugin_is_another_configuration(tmp_path):
    for number, digits in enumerate(("aaaaaaaaaaaa", "bbbbbbbbbbbb")):
        record, _ = fake_record(fake_config(plugin="net.py"), key=f"key{number}")
        write_trial(tmp_path / "results", replace(record, configuration=digits))
    write_trial(tmp_path / "results", *fake_record(fake_config("deeplab"), configuration="cccccccccccc"))
    (group,) = groups(load_results(tmp_path / "results"))
    labels = {row.label for row in group.rows}
    assert {"unet, configuration aaaaaa", "unet, configuration bbbbbb"} <= {
        label.replace(", plugin net.py", "") for label in labels
    }
    assert not [label for label in labels if label.startswith("deeplab") and "configuration" in label]
    assert {row.cells["configuration"].text for row in group.rows} == {"aaaaaa", "bbbbbb", "cccccc"}
    assert {row.configuration.seeds for row in group.rows} == {1}


def test_hostile_page(hostile):
    _, text = hostile
    page = _Page(text)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 2 and tags.count("style") == 1 + text.count('<style type="text/css">')
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag != "img" or attributes["src"].startswith("data:image/webp;base64,")
    assert "49" not in re.sub(r"[\d.]*\d{2,}[\d.]*", "", text)  # no template in a record is run
    assert "{{ 7 * 7 }}" in text
    assert "\x1b" not in text and "\x00" not in text and "\u202e" not in text
    assert "x" * 700 not in text


def test_hostile_tables(hostile):
    out, _ = hostile
    text = (out / "LEADERBOARD.md").read_text()
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<script" not in rendered and "<img" not in rendered and "<a " not in rendered and "<code>" not in rendered
    groups_found = text.count("\n| rank |")
    assert rendered.count("<table>") == 2 * groups_found + 1 and groups_found == len(HOSTILE)
    rows = list(csv.reader(io.StringIO((out / "leaderboard.csv").read_text())))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+"))]


def test_hostile_terminal(hostile):
    out, _ = hostile
    console = Console(width=100, file=io.StringIO())
    for group in groups(load_results(out.parent / "results")):
        console.print(terminal_table(group))
    assert "\x1b" not in console.file.getvalue()


def test_hostile_numbers(tmp_path):
    record, _ = fake_record(fake_config())
    wrong = [float("nan"), float("inf"), None, "0.9", [1], {"a": 1}, 2**62, True]
    for number, value in enumerate(wrong):
        changed = replace(
            record,
            key=f"key{number}",
            metrics={**record.metrics, "mean_iou": value, "dice": value, "dice_per_class": value},
            speed={"train_images_per_second": value},
            memory={"peak_memory_mib": value},
            environment={"cpu": value, "versions": value, "device_after": value, "peaks": value},
            dataset={**record.dataset, "of_its_own": value},
            config={**record.config, "of_its_own": value},
        )
        folder = write_trial(tmp_path / "results", replace(record, key=f"key{number}"))
        write_json(folder / "record.json", changed.to_dict())
        (folder / "history.jsonl").write_text(
            '{"val_mean_iou": "x"}\n{"val_mean_iou": null, "train_seconds": 1}\n[]\n{"imag'
        )
    frame = load_results(tmp_path / "results")
    assert len(frame) == 4 and frame["mean_iou"].isna().sum() == 3  # texts, lists and the like are broken records
    assert len(load([tmp_path / "results"]).problems) == len(wrong) - 4
    index, *_ = write_report([tmp_path / "results"], tmp_path / "out").files
    assert "inf" not in {cell for board in _Page(index.read_text()).boards for row in board for cell in row}


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_cell_stays_in_its_cell(text):
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(
        f"| a | b |\n| --- | --- |\n| {markdown_cell(text)} | 1 |\n"
    )
    assert rendered.count("<td>") == 2 and rendered.count("<tr>") == 2
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)\b)", rendered)


def test_tables_of_nothing():
    assert {name: len(content) < 3000 for name, content in exports([]).items()} == dict.fromkeys(TABLES, True)


def test_the_tables_agree(report):
    frame = pd.read_csv(report / "leaderboard.csv")
    parquet = pd.read_parquet(report / "leaderboard.parquet")
    rows = json.loads((report / "leaderboard.json").read_text())
    assert list(frame) == list(parquet) == list(rows[0]) and len(frame) == len(parquet) == len(rows) == 7
    for name in ("mean_iou", "interval_low", "params_sd", "rank_worst"):
        assert np.allclose(frame[name].astype(float), parquet[name].astype(float), equal_nan=True)
    assert rows[5]["mean_iou"] is None and rows[0]["rank"] == 1
    tex = (report / "leaderboard.tex").read_text()
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == 1 and tex.count(" \\\\\n") == 1 + 5
    assert r"unet:mobilenet\_v2" in tex


def test_hostile_latex(hostile):
    out, _ = hostile
    text = (out / "leaderboard.tex").read_text()
    for line in text.splitlines()[1:]:
        plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater)\{\}|\\.", "", line)
        assert not re.search(r"[#%~^_]", plain), line
        assert line.startswith("\\") or plain.count("{") == plain.count("}") == 0


def test_report_imports_no_keras():
    names = ("keras", "tensorflow", "torch", "jax")
    code = f"import sys, bench.report.render; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_words_stand_left_and_numbers_right(tmp_path):
    for number, backend in enumerate(("jax", "torch")):
        config = fake_config(backend=backend, batch_size=8 * (number + 1))
        write_trial(tmp_path / "results", *fake_record(config, key=f"key{number}"))
    (group,) = groups(load_results(tmp_path / "results"))
    assert group.texts == {"arch", "backbone", "weights", "flags", "backend"}
    write_report([tmp_path / "results"], tmp_path / "out")
    rule = next(line for line in (tmp_path / "out" / "LEADERBOARD.md").read_text().splitlines() if "---" in line)
    sides = dict(zip(group.columns, rule.strip("| ").split(" | "), strict=True))
    assert sides["backend"] == "---" and sides["batch_size"] == "---:"


def test_curves_ring_the_validations_at_which_the_encoder_was_frozen(tmp_path):
    for name, freeze in (("plain", 0.0), ("frozen", 0.5)):
        config = fake_config("deeplab", "mobilenet_v2", seed=0)
        write_trial(tmp_path / name, *fake_record(replace(config, freeze_encoder=freeze)))
        write_report([tmp_path / name], tmp_path / name / "out")
    plain, frozen = (next((tmp_path / n).rglob("*-curves-images.svg")).read_text() for n in ("plain", "frozen"))
    assert "encoder frozen" not in plain
    assert "encoder frozen" in frozen


def test_records_before_an_option_have_its_default(tmp_path):
    record, table = fake_record(fake_config("unet", seed=0))
    old = {name: value for name, value in record.config.items() if name != "freeze_encoder"}
    write_trial(tmp_path, replace(record, config=old), table)
    assert load_results(tmp_path)["freeze_encoder"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("photos", "has other files than a report's: deep."),
        ("file", "is a file, and a report is a folder"),
        ("fifo", "is a FIFO, and a report is a folder"),
        ("page of another", "has other files than a report's: index.html."),
        ("nowhere", "can't be made"),
    ],
)
def test_a_place_that_is_no_reports_is_refused_before_anything_is_read(tmp_path, monkeypatch, kind, said):
    monkeypatch.setattr("bench.report.render.load", lambda paths: pytest.fail("the records were read"))
    out = tmp_path / "out"
    if kind == "photos":
        (out / "deep").mkdir(parents=True)
    elif kind == "file":
        out.write_text("mine")
    elif kind == "fifo":
        os.mkfifo(out)
    elif kind == "page of another":
        out.mkdir()
        (out / "index.html").write_text("my own page")
    else:
        (tmp_path / "file").touch()
        out = tmp_path / "file" / "out"
    with pytest.raises(BenchError, match=re.escape(said)):
        write_report([tmp_path / "results"], out)
    assert not (tmp_path / "out" / "LEADERBOARD.md").exists()


def test_a_report_takes_the_place_of_an_earlier_one_whatever_is_beside_it(tmp_path):
    results = fake_results(tmp_path / "results", nets=1, seeds=1, failures=False, samples=0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".nojekyll").touch()
    write_report([results], tmp_path / "out")
    (tmp_path / "out" / "CNAME").touch()
    write_report([results], tmp_path / "out")
