"""The site of docs/: links, pictures, and that nothing comes from the net."""

import json
import re
import sys
from pathlib import Path

import pytest
import scripts
import typer
from fake_results import fake_config, fake_record, write_trial

from bench.cli import app

ROOT = Path(__file__).parents[1]
site_pages = scripts.load(".ci/site_pages.py")
site_pictures, site_published = site_pages.site_pictures, site_pages.site_published


@pytest.mark.parametrize(
    ("page", "text", "turned"),
    [
        ("docs/report.md", "[a](gate.md#results)", "[a](gate.md#results)"),
        ("docs/report.md", "[a](../results/README.md)", "[a](results/README.md)"),
        ("docs/report.md", "[a](../CONTRIBUTING.md#the-map)", "[a](CONTRIBUTING.md#the-map)"),
        (
            "results/README.md",
            "[a](../docs/robustness.md) [b](published/README.md)",
            "[a](../robustness.md) [b](published/README.md)",
        ),
        ("docs/README.md", "[a](tutorial.ipynb)", "[a](tutorial.md)"),
        ("CONTRIBUTING.md", "[a](docs/gate.md)", "[a](gate.md)"),
        ("docs/report.md", "[a](https://docs.ray.io) [b](#below) [c](no/such.md)", None),
    ],
)
def test_a_link_of_the_repository_leads_to_the_same_page_on_the_site(page, text, turned):
    assert site_pages.for_site(text, page) == (turned or text)


def test_the_site_has_each_file_outside_docs_that_a_page_links_to():
    pages = [str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")]
    found = site_pages.outside(pages)
    assert {"results/README.md", "CONTRIBUTING.md", "results/published/README.md"} <= set(found)
    assert not [path for path in found if path.startswith("docs/")]


def test_each_picture_is_on_a_page_with_words_for_it_and_is_drawn_alike_each_time():
    shown = [name for page in ROOT.glob("docs/*.md") for name in site_pages.PICTURE.findall(page.read_text())]
    assert sorted(shown) == sorted(site_pictures.PICTURES)
    for name, draw in site_pictures.PICTURES.items():
        assert f"![{draw.__doc__}](images/{name}.svg)" in site_pages.for_site(f"<!-- picture: {name} -->", "docs/a.md")
        assert site_pictures.drawn(name).startswith(b"<?xml")
    assert site_pictures.drawn("ranges") == site_pictures.drawn("ranges")


@pytest.mark.parametrize(
    ("page", "fetches"),
    [
        ('<script src="https://unpkg.com/a.js">', True),
        ("<link rel=stylesheet href=//fonts.example/css>", True),
        ("@font-face { src: url('http://a/b.woff2') }", True),
        ('<pre class="mermaid"><code>', True),
        ('<a href="https://docs.ray.io">', False),
        ('<script src="assets/a.js"><link href="../a.css"><img src="images/a.svg">', False),
    ],
)
def test_a_page_that_fetches_from_the_net_is_found(page, fetches):
    assert bool(site_pages.foreign(page)) == fetches


def test_the_page_of_commands_has_each_command_and_each_option():
    page = site_pages.site_commands.commands_page()
    commands = typer.main.get_command(app).commands
    parts = dict(re.findall(r"^## bench (\S+)$(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert parts.keys() == commands.keys()
    for name, command in commands.items():
        options = {option for param in command.params for option in param.opts if option.startswith("--")}
        assert options <= set(re.findall(r"`(--[\w-]+)`", parts[name])), name
        assert not re.search(r"(?<!\\)<(?!br)", re.sub(r"`[^`]*`|```.*?```", "", parts[name], flags=re.DOTALL)), name


def entry(**values):
    """A row of leaderboard.json with what the front page shows of it."""
    row = {
        "rank": 1,
        "rank_best": 1,
        "rank_worst": 1,
        "ranked_by": "mean_iou",
        "interval_low": 0.6,
        "interval_high": 0.8,
    }
    row |= {"dataset": "pets", "evaluation_size": "64x64", "budget": "9steps", "device": "2 cores", "mean_iou": 0.71}
    return (
        row
        | {"arch": "unet", "backbone": "", "params": 250_000.0, "latency_ms_p50": None, "peak_memory_mib": None}
        | values
    )


def test_the_front_page_has_the_best_of_each_published_comparison_or_nothing(tmp_path):
    assert site_published.published(tmp_path) == ""
    rows = [entry(rank=rank, rank_worst=7, backbone="mobilenet_v2") for rank in (7, 6, 5, 4, 3, 2, 1)]
    rows += [entry(dataset="airbus", params=None), entry(rank=None)]
    (tmp_path / "two-cores").mkdir()
    (tmp_path / "two-cores" / "leaderboard.json").write_text(json.dumps(rows))
    _, airbus, pets = re.split(r"^\*\*", site_published.published(tmp_path), flags=re.MULTILINE)
    assert "| 1 | `unet` | 0.710 [0.60, 0.80] |  |  |  |" in airbus and "The best" not in airbus
    assert (
        "9 steps of training" in pets
        and "The best 5 of 7 networks" in pets
        and pets.count("on `mobilenet_v2`") == site_published.MOST_ROWS
    )
    assert pets.index("| 1 (1\N{EN DASH}7) |") < pets.index("| 2 (1\N{EN DASH}7) |")


def test_a_note_of_a_results_folder_is_the_first_line_of_its_page_and_no_markup(tmp_path):
    write_trial(tmp_path / "r", *fake_record(fake_config(seed=0)), samples=0)
    (tmp_path / "r" / "note.txt").write_text("An excerpt:\n540 <b>pets</b>.\n", encoding="utf-8")
    made = site_published.reports(tmp_path, tmp_path / "made") / "r"
    page = (made / "index.html").read_text(encoding="utf-8")
    assert page.index("An excerpt: 540 &lt;b&gt;pets&lt;/b&gt;.") < page.index('<dl class="facts">')
    assert "An excerpt: 540" in (made / "LEADERBOARD.md").read_text(encoding="utf-8")


def test_published_records_become_a_page_that_the_front_links_to(tmp_path):
    write_trial(tmp_path / "published" / "two-cores", *fake_record(fake_config(seed=0)), samples=0)
    made = site_published.reports(tmp_path / "published", tmp_path / "made")
    assert (made / "two-cores" / "index.html").is_file()
    front = site_published.published(made)
    assert "| 1 | `unet`" in front and '<a href="published/two-cores/index.html">' in front


@pytest.mark.slow
@pytest.mark.needs("mkdocs", "material")
def test_the_site_is_built_without_a_warning(tmp_path):
    import subprocess

    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    page = (tmp_path / "statistics.html").read_text(encoding="utf-8")
    assert page.count("images/") >= len(site_pictures.PICTURES) and "<!-- picture" not in page
    assert 'href="tutorial.ipynb"' in (tmp_path / "tutorial.html").read_text(encoding="utf-8")
    assert "Options and columns" in page and (tmp_path / "results" / "index.html").exists()
