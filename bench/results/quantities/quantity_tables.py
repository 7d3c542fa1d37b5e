"""The tables of quantities in results/README.md, written from the registry by `make docs`."""

from bench.results.quantities import QUANTITIES
from bench.results.quantities.quantity import Quantity


def quantity_table(*parts: str) -> str:
    """Write a Markdown table with a row per quantity of some parts of the record, such as `metrics`."""
    rows = [_row(row) for row in QUANTITIES.values() if row.part in parts]
    return "\n".join(("| column | heading | unit | better | meaning |", "| --- | --- | --- | --- | --- |", *rows))


def _row(row: Quantity) -> str:
    unit = "" if row.unit == "M" else row.unit  # only a report writes millions
    meaning = " ".join(filter(None, (row.meaning, row.more)))
    return f"| `{row.name}` | {row.heading} | {unit} | {row.better or ''} | {meaning} |"
