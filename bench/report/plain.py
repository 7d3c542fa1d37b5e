"""The one look of tables in the terminal: a rule below the headings, a space between columns."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text


def plain_table(title: str = "", notes: Sequence[str] = ()) -> Table:
    """An empty table for `rich.print`; the notes stand below it, a line each. Markup in either is plain text."""
    return Table(
        title=Text(title) if title else None,
        title_justify="left",
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
