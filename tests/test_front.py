"""Test what a newcomer sees first: licence, citation, README, docs and the map of the code."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from bench import __version__
from bench.cli import app

ROOT = Path(__file__).parents[1]


def test_the_citation_names_this_version_and_licence():
    fields = dict(re.findall(r"^([a-z-]+): *(.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (fields["version"], fields["license"]) == (__version__, project["license"])
    assert "Apache License" in (ROOT / "LICENSE").read_text()


PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md", *ROOT.glob("docs/*.md")])
COMMANDS = typer.main.get_command(app).commands
MOST_WORDS, MOST_BYTES = 900, 300_000


def options(command):
    """The names of a command's options."""
    return {"--help", *(name for param in command.params for name in (*param.opts, *param.secondary_opts))}


def code(page):
    """The blocks and spans of code of a Markdown page, a line each; lines that end in a backslash are joined."""
    text = re.sub(r"\\\n *", " ", page.read_text())
    blocks = re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [*spans, *(line for block in blocks for line in block.splitlines()), *re.findall(r"^    .*", text, re.M)]


def commands(page):
    """The words of each call of `bench`, up to a comment or the next command."""
    for line in code(page):
        line = re.sub(r"<!--.*?-->", "", line)  # a mark of `bench check` is no command
        for call in re.findall(r"(?:^|[\s;&])bench ([^#&|;]+)", re.sub(r"\[(.*?)\]", r"\1", line)):
            yield call.split()


def lines(page):
    """The lines of the blocks of code that call `bench` alone, as a shell divides them into words."""
    text = re.sub(r"\\\n *", " ", page.read_text())
    blocks = "\n".join(re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    for line in [*blocks.splitlines(), *re.findall(r"^    +(bench .*)", text, re.MULTILINE)]:
        for call in line.split(" && "):
            if re.match("bench [a-z]", call) and not re.search(r"\.\.\.|\[[A-Z]", call):
                yield shlex.split(call, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_line_of_commands_on_a_page_parses_with_its_values(page):
    for name, *words in lines(page):
        COMMANDS[name].make_context(name, words)  # raises where a value or a word is not accepted


def test_the_readme_is_read_in_four_minutes():
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_on_a_page_exists_with_its_options(page):
    for name, *words in commands(page):
        assert name in COMMANDS or name == "--help", f"bench {name}"
        unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options(COMMANDS[name])
        assert not unknown, f"bench {name} has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_option_on_a_page_is_one_of_some_command(page):
    words = [word for span in code(page) if span.startswith("--") for word in span.split()]
    known = set().union(*map(options, COMMANDS.values()))
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_make_target_on_a_page_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    calls = [re.match(r" *make ((?:[a-z-]+ ?)+)", line) for line in code(page)]
    assert {target for call in calls if call for target in call[1].split()} <= targets


def anchors(page):
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def test_each_page_of_the_docs_is_in_their_index():
    linked = set(re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_pictures_are_small():
    assert not [path for path in (ROOT / "docs").rglob("*.png") if path.stat().st_size > MOST_BYTES]
