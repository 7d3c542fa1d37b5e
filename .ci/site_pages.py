"""What the site has beyond docs/: pictures, and the repository's other files that its pages link to. A hook of MkDocs.

A path of the repository is the same on the site, without `docs/` at its beginning. The pages are written for the
repository's web page, and their links are turned as they are read here. `<!-- picture: NAME -->` on a page is where the
site shows the picture that site_pictures.py draws under this name, and `<!-- published results -->` where it shows the
published tables. A notebook becomes a page, without outputs. site_commands.py writes a page of all commands.
"""

import json
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import site_commands
import site_pictures
import site_published

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
NOTEBOOK = ".ipynb"
LINK = re.compile(r"(?<=\]\()([\w./-]+)(?=[#)])")  # the path in [text](path#anchor)
PICTURE = re.compile(r"<!-- picture: (\w+) -->")
FOREIGN = re.compile(  # the theme would fetch what draws a diagram of Mermaid
    r"""class="mermaid"|<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//"""
)


def site_path(path: str) -> str:
    """Return where the site has a file of the repository."""
    return path.removeprefix(DOCS).replace(NOTEBOOK, ".md")


def in_repository(path: str) -> str:
    """Return the file of the repository that a page of the site is made from."""
    return DOCS + path if (ROOT / DOCS / path).exists() else path


def links(text: str, page: str) -> Iterator[str]:
    """Yield the files of the repository that a page's text links to; page: its path in the repository."""
    for found in LINK.finditer(text):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        if not target.startswith("..") and (ROOT / target).is_file():
            yield target


def outside(pages: list[str]) -> list[str]:
    """Return the files outside docs/ that these pages link to, and those that such pages link to in turn."""
    waiting, seen = list(pages), set(pages)
    while waiting:
        page = waiting.pop()
        if page.endswith(".md"):
            new = set(links((ROOT / page).read_text(encoding="utf-8"), page)) - seen
            seen |= new
            waiting += new
    return sorted(path for path in seen if not path.startswith(DOCS))


def for_site(text: str, page: str) -> str:
    """Turn the links of a page, and show its pictures; page: its path in the repository."""

    def turned(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), found[1]))
        if target.startswith("..") or not (ROOT / target).is_file():
            return found[1]  # MkDocs says what leads nowhere
        return posixpath.relpath(site_path(target), posixpath.dirname(site_path(page)) or ".")

    def shown(found: re.Match[str]) -> str:
        return f"![{site_pictures.PICTURES[found[1]].__doc__}](images/{found[1]}.svg)"

    text = PICTURE.sub(shown, LINK.sub(turned, text))
    if site_published.PLACE in text:
        text = text.replace(site_published.PLACE, site_published.published(reports()))
    return text


def notebook_page(path: Path) -> str:
    """Write a notebook's cells as a page, with a link to the notebook itself."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    parts = [
        f"```python\n{text}\n```" if cell["cell_type"] == "code" else text
        for cell, text in zip(cells, texts, strict=True)
    ]
    title, *rest = parts[0].split("\n", 1)
    return "\n\n".join([title, f"This page is [a notebook]({path.name}) to download and run.", *rest, *parts[1:]])


def foreign(page: str) -> list[str]:
    """Return what a page or a style sheet would fetch from the net when it is opened."""
    return FOREIGN.findall(page)


def reports() -> Path:
    """Return the folder with the reports of the published records, which are made once."""
    return site_published.reports(ROOT / "results" / "published", ROOT / "build" / "published")


def on_files(files: Any, config: Any) -> Any:
    """Add the pictures and the linked files outside docs/ (MkDocs calls this)."""
    from mkdocs.structure.files import File

    pages = [DOCS + file.src_uri for file in files.documentation_pages()]
    for path in outside(pages):
        files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
    for path in sorted((ROOT / DOCS).glob(f"*{NOTEBOOK}")):
        files.append(File.generated(config, f"{path.stem}.md", content=notebook_page(path)))
    files.append(File.generated(config, site_commands.NAME, content=site_commands.commands_page()))
    for name in site_pictures.PICTURES:
        files.append(File.generated(config, f"images/{name}.svg", content=site_pictures.drawn(name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn a page's text for the site (MkDocs calls this)."""
    return for_site(markdown, in_repository(page.file.src_uri))


def on_post_build(config: Any) -> None:
    """Add the published reports, and refuse a page that fetches something from the net (MkDocs calls this)."""
    from mkdocs.exceptions import PluginError

    if reports().is_dir():
        shutil.copytree(reports(), Path(config.site_dir) / "published", dirs_exist_ok=True)
    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in (".html", ".css") and (found := foreign(path.read_text(encoding="utf-8"))):
            raise PluginError(f"{path.relative_to(config.site_dir)} fetches from the net: {found[0]}")
