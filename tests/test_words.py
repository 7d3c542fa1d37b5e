"""The words of the product: how docstrings begin, and words that the field has others for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("bench", "architectures", "datasets") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted(
    path
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/*.md", "results/*.md", "results/published/*.md")
    for path in ROOT.glob(pattern)
)
TEMPLATES = sorted(path for path in (ROOT / "bench/report/templates").iterdir() if path.is_file())
# A docstring's first sentence has a subject or an imperative verb, so it begins with none of these.
BARE = frozenset(
    re.findall(
        r"\w+",
        "Above As At Below Beside Both But By For From How In Into None Not Nothing Of On Only Over Per Still Than "
        "That Those Through To Under What When Where Whether Which Who Whom Whose Why With Without",
    )
)
INSTEAD = {  # phrase (a regular expression): the field's term
    r"(?:told|tell|tells|telling) (?:\w+ )?apart": "significantly different",
    r"surely (?:better|worse)": "significantly better",
    r"end(?:s|ed|ing)? well": "ok",
    r"speeds? alone": "speed-only",
    r"(?:the|of|no|any|without|as|are|drop|for) doubles\b": "duplicates",
    r"for (?:want|lack) of memory": "because memory ran out",
    r"(?:keep|keeps|keeping|kept) the limits?\b": "within the limits",
}


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield getattr(node, "lineno", 1), text


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("folder", ["bench", "architectures", "datasets"])
def test_docstrings_begin_with_a_subject_or_a_verb(folder: str):
    files = [path for path in MODULES if name(path).startswith(f"{folder}/")]
    assert files
    bare = [
        f"{name(path)}:{line}: {text.splitlines()[0]}"
        for path in files
        for line, text in docstrings(path)
        if text.split()[0].strip(",.:;") in BARE
    ]
    assert not bare, "\n".join(["Begin these docstrings with a subject or an imperative verb:", *bare])


@pytest.mark.parametrize(("phrase", "term"), INSTEAD.items())
def test_text_uses_the_fields_terms(phrase: str, term: str):
    files = [*MODULES, *PAGES, *TEMPLATES]
    assert len(PAGES) > 10 and len(TEMPLATES) > 5
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(rf"\b{phrase}", line, re.IGNORECASE)
    ]
    assert not found, "\n".join([f"Write '{term}' instead:", *found])


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("rows that can't be told apart", 0),
        ("is surely better", 1),
        ("trials that ended well", 2),
        ("measured the speed alone", 3),
        ("each trial once, of doubles the latest", 4),
        ("killed for want of memory", 5),
        ("the rows that keep the limits", 6),
    ],
)
def test_a_phrase_in_place_of_a_term_is_found(text: str, phrase: int):
    assert re.search(rf"\b{list(INSTEAD)[phrase]}", text)
