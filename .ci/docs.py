"""Writes the parts of documents that are made from the code: `make docs`, or `--check` to see whether they are stale.

A part stands between the lines `<!-- NAME: written by make docs -->` and `<!-- end of NAME -->`.
"""

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import site_published

from bench.config.reference import architecture_table, layout_table, option_reference
from bench.results.quantities.quantity_tables import quantity_table

ROOT = Path(__file__).parents[1]
RESULTS = "results/README.md"
PUBLISHED = ROOT / "results" / "published" / "cpu-2-cores"
PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "published": ("README.md", partial(site_published.table_of_records, PUBLISHED, "pets", 8)),
    "architectures": ("docs/architectures.md", architecture_table),
    "layouts": ("docs/data.md", layout_table),
    "options": (RESULTS, option_reference),
    "quality": (RESULTS, partial(quantity_table, "metrics")),
    "training": (RESULTS, partial(quantity_table, "model", "training")),
    "speed": (RESULTS, partial(quantity_table, "speed")),
    "memory": (RESULTS, partial(quantity_table, "memory")),
    "energy": (RESULTS, partial(quantity_table, "energy")),
}
"""Name of a part: the document, and what writes the part."""


def written(text: str, name: str, part: str) -> str:
    """The document's text with the part in its place."""
    first, last = f"<!-- {name}: written by make docs -->", f"<!-- end of {name} -->"
    if first not in text or last not in text:
        raise SystemExit(f"There is no line '{first}' with a line '{last}' below it.")
    return re.sub(
        f"{re.escape(first)}.*?{re.escape(last)}", lambda _: f"{first}\n{part}\n{last}", text, flags=re.DOTALL
    )


def main() -> None:
    """Write each part; with --check only exit with 1 where one is stale."""
    stale = []
    for name, (document, write) in PARTS.items():
        file = ROOT / document
        text = file.read_text(encoding="utf-8")
        new = written(text, name, write())
        if new != text:
            stale.append(document)
            if "--check" not in sys.argv:
                file.write_text(new, encoding="utf-8")
    for document in stale:
        print(f"{document} {'is stale: run make docs' if '--check' in sys.argv else 'is written'}")
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
