"""Headless Chromium for tests of the page: it runs a script inside the page and prints what that told.

Install it by `apt-get install chromium`, or use any Chrome; without a browser these tests are skipped.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic")
OPTIONS += ("--disable-background-networking", "--disable-component-update", "--disable-sync")
needs_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium; `apt-get install chromium` brings one")

TOOLS = """
  const boards = Array.from(document.querySelectorAll("table.main"));
  const heads = Array.from(boards[0].tHead.rows[0].cells);
  const head = (name) => heads.find((head) => head.textContent.startsWith(name));
  const cell = (row, name) => row.cells[heads.indexOf(head(name))].textContent;
  const column = (name) => Array.from(boards[0].tBodies[0].rows, (row) => cell(row, name));
  const press = (name) => head(name).querySelector("button").click();
  const type = (id, text) => {
    document.getElementById(id).value = text;
    document.getElementById(id).dispatchEvent(new Event("input"));
  };
  const chips = () => Array.from(document.querySelectorAll(".choice .chip"), (chip) => chip.textContent);
"""


def browse(page: Path, folder: Path, *options: str, fragment: str = "") -> subprocess.CompletedProcess:
    """Return the page after its scripts have run, as the browser sees it, and the browser's messages."""
    command = [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options, "--dump-dom"]
    return subprocess.run([*command, page.as_uri() + fragment], capture_output=True, text=True, check=True, timeout=120)


def told(page: Path, folder: Path, script: str, fragment: str = "") -> list:
    """Return the list `told` as `script` fills it in the page, without the page's policy, which would block scripts."""
    text = re.sub(r"<meta http-equiv.*?>", "", page.read_text())
    code = f"<script>{{ const told = []; {TOOLS} {script}; document.title = JSON.stringify(told); }}</script>"
    changed = folder / "page.html"
    changed.write_text(text.replace("</body>", f"{code}</body>"))
    shown = browse(changed, folder, fragment=fragment).stdout
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown)[1]))
