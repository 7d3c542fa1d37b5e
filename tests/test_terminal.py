"""Budgets and average ranks in the terminal."""

import io
import re
from dataclasses import replace

import fake_results
import pytest
from fake_results import fake_config, fake_record, write_trial
from rich.console import Console
from typer.testing import CliRunner

from bench.cli import app
from bench.core.specs import Budget
from bench.report import render
from bench.report.findings.across import all_across
from bench.report.findings.series import all_series
from bench.report.leaderboard import groups
from bench.report.render import Report
from bench.report.text.terminal import across_table, series_table
from bench.results.dataframe import load_results

UNET, DEEPLAB = ("unet", None), ("deeplab", "resnet50")
QUALITY = {UNET: {5: 0.80, 20: 0.93}, DEEPLAB: {5: 0.84, 20: 0.90}}


def write(path, monkeypatch, data_sets=("pets",), seeds=2):
    for net, by_epochs in QUALITY.items():
        for epochs, quality in by_epochs.items():
            monkeypatch.setitem(fake_results.NETS, net, (quality, 40.0, 1200.0, 31_000_000))
            for seed in range(seeds):
                for name in data_sets:
                    config = fake_config(*net, seed, budget=Budget(epochs, "epochs"), dataset=name)
                    record, table = fake_record(config)
                    data = {**record.dataset, "name": name, "fingerprint": name}
                    write_trial(path, replace(record, key=f"{name}-{record.key}", dataset=data), table, samples=0)
    return path


def shown(table, width=100) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.fixture
def by_budget(tmp_path, monkeypatch):
    (series,) = all_series(groups(load_results(write(tmp_path, monkeypatch))))
    return series


def test_the_leader_of_each_budget_is_marked(by_budget):
    lines = shown(series_table(by_budget)).splitlines()
    assert lines[0].strip() == "Winner by budget: pets at 128x128, in epochs"
    cells = {cells[0]: cells[1:] for line in lines if len(cells := re.split(" {2,}", line.strip())) == 4}
    assert cells["architecture"][:2] == ["5", "20"]
    unet, deeplab = cells["unet"], cells["deeplab:resnet50"]
    assert [cell.endswith("*") for cell in unet[:2]] == [False, True]
    assert [cell.endswith("*") for cell in deeplab[:2]] == [True, False]
    assert float(unet[1].rstrip("*")) > float(deeplab[1].rstrip("="))
    assert re.fullmatch(r"about \d+", unet[2])
    assert "unet overtakes deeplab:resnet50 at about" in "\n".join(lines)


def test_one_seed_ties_with_the_leader(tmp_path, monkeypatch):
    (series,) = all_series(groups(load_results(write(tmp_path, monkeypatch, seeds=1))))
    text = shown(series_table(series))
    assert text.count("=") == 1 + 2  # the note's, and one at each budget


@pytest.mark.parametrize("unit", ["epochs", "steps", "seconds", "images"])
def test_many_budgets_can_be_read_at_80_columns(tmp_path, unit):
    for number in range(1, 13):
        for seed in (0, 1):
            for net in (UNET, ("unet", "mobilenet_v2"), DEEPLAB):
                record, table = fake_record(fake_config(*net, seed, budget=Budget(90.0 * number, unit)))
                write_trial(tmp_path, record, table, samples=0)
    (series,) = all_series(groups(load_results(tmp_path)))
    text = shown(series_table(series), width=80)
    assert "…" not in text and "Shown: 6 of 12 values" in text and "needed for" in text
    row = next(line for line in text.splitlines() if "deeplab:re" in line)
    assert len(re.findall(r"0\.\d{3}[*= ]", row)) == 6
    heading = next(line for line in text.splitlines() if "architecture" in line).split()
    first, last = {"seconds": ("90s", "18m")}.get(unit, ("90", "1080"))
    assert (heading[1], heading[6]) == (first, last)
    assert (f", in {'samples' if unit == 'images' else unit}\n" in re.sub(" +\n", "\n", text)) == (unit != "seconds")


def test_long_lists_are_cut(by_budget):
    many = replace(by_budget, lines=tuple(replace(by_budget.lines[0], label=f"net{n}") for n in range(20)))
    text = shown(series_table(many))
    assert "net11" in text and "net12" not in text and "Shown: 12 of 20 configurations" in text


def test_average_ranks_say_of_which_budget(tmp_path, monkeypatch):
    found = all_across(groups(load_results(write(tmp_path, monkeypatch, ("a", "b", "c")))))
    texts = [shown(across_table(one)) for one in found]
    assert [" ".join(text.split()).partition(", on")[0] for text in texts] == [
        "Average rank across 3 data sets, 5 epochs, at 128x128",
        "Average rank across 3 data sets, 20 epochs, at 128x128",
    ]
    row = next(line for line in texts[1].splitlines() if "unet" in line)
    assert row.split()[1:] == ["1.00", "1", "1", "1"]
    assert "Mean ranks closer than 1.13 may be chance" in " ".join(texts[0].split())


def test_the_command_prints_them(tmp_path, monkeypatch):
    boards = groups(load_results(write(tmp_path, monkeypatch, ("a", "b", "c"))))
    made = Report(
        files=[tmp_path / "index.html"],
        groups=boards,
        failures=load_results(tmp_path)[:0],
        empty=[],
        problems=[],
        parts=[],
        speeds=[],
        fits=[],
        series=all_series(boards),
        across=all_across(boards),
        boards=[],
        questions=[],
        state="",
    )
    monkeypatch.setattr(render, "write_report", lambda *_, **__: made)  # without its plots
    result = CliRunner().invoke(app, ["report", str(tmp_path)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "Winner by budget: a at 128x128" in result.stdout and "needed for" in result.stdout
    assert "Average rank across 3 data sets" in result.stdout
