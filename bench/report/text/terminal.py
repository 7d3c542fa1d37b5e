"""Tables of budgets, labels and average ranks for the terminal; those of the leaderboards are in tables.py."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bench.core.errors import first_lines
from bench.report.findings.across import Across
from bench.report.findings.series import Line, Series, Winner, crossing_text, needs_text, value_name
from bench.results.clean_text import shorten

_MOST_ROWS = 12
_MOST_CROSSINGS = 5
_MOST_VALUES = 6  # values of a series
_LABEL_WIDTH = 10  # fewest columns of a terminal for the label
_BEST, _TIED = "*", "="


def series_table(series: Series) -> Table:
    """Make a table of each configuration's score at each value, the leaders, and what a score needs."""
    leading = [crossing_text(series, crossing) for crossing in series.crossings if crossing.leads]
    shown = _spread(series.winners)
    notes = [
        f"{series.metric.heading_with_unit}; {_BEST}: the best, {_TIED}: statistically tied with it. Each value is a "
        "separate trial.",
        *first_lines(leading, _MOST_CROSSINGS, "and {:,} crossings more".format),
        *_left_out(len(series.lines), "configurations"),
    ]
    if len(shown) < len(series.winners):
        notes.append(f"Shown: {len(shown)} of {len(series.winners)} values; the page has all of them.")
    headings = [value_name(series, winner.value) for winner in shown]
    unit = _common_unit(headings)
    table = plain_table(f"{series.title}, in{unit}" if unit else series.title, notes)
    table.add_column("architecture", overflow="fold", min_width=_LABEL_WIDTH)
    for heading in headings:
        table.add_column(Text(heading.removesuffix(unit)), justify="right", no_wrap=True)
    table.add_column(f"needed for {series.target:.2f}", justify="right", min_width=_LABEL_WIDTH)
    for line in series.lines[:_MOST_ROWS]:
        scores = [Text(_score(line, winner)) for winner in shown]
        table.add_row(Text(shorten(line.label, 120)), *scores, Text(needs_text(series, line).removesuffix(unit)))
    return table


def _spread(winners: Sequence[Winner]) -> list[Winner]:
    """Choose as many values as 80 columns hold, the first and the last among them."""
    if len(winners) <= _MOST_VALUES:
        return list(winners)
    step = (len(winners) - 1) / (_MOST_VALUES - 1)
    return [winners[round(step * place)] for place in range(_MOST_VALUES)]


def _common_unit(names: Sequence[str]) -> str:
    """Return ` epochs` for `5 epochs` and `20 epochs`; empty for `90s` and `10m`."""
    _, space, unit = names[0].rpartition(" ")
    return f" {unit}" if space and all(name.endswith(f" {unit}") for name in names) else ""


def _score(line: Line, winner: Winner) -> str:
    """Write a score as `0.512*`; a space stands for a missing mark, so that the digits line up."""
    point = line.at(winner.value)
    if point is None:
        return ""
    mark = _BEST if line is winner.best else _TIED if line in winner.tied else " "
    return f"{point.group.metric.write(point.score)}{mark}"


def across_table(across: Across) -> Table:
    """Make a table of the mean rank and the rank on each data set, best first."""
    notes = [f"Mean ranks closer than {across.critical_difference:.2f} may be chance (Nemenyi test, 5 %)."]
    if across.friedman is not None:
        notes.append(f"The Friedman test that all are equal gives p = {across.friedman:.2g}.")
    notes += [*([across.note] * bool(across.note)), *_left_out(len(across.places), "configurations")]
    table = plain_table(f"{across.title}, on {across.device}", notes)
    table.add_column("architecture", overflow="fold", min_width=_LABEL_WIDTH)
    for heading in ("mean rank", *across.data_sets):
        table.add_column(Text(shorten(heading, 24)), justify="right")
    for place in across.places[:_MOST_ROWS]:
        ranks = (Text(f"{rank:g}") for rank in place.ranks)
        table.add_row(Text(shorten(place.label, 120)), f"{place.mean:.2f}", *ranks)
    return table


def _left_out(count: int, what: str) -> list[str]:
    return [f"Shown: {_MOST_ROWS} of {count} {what}, best first."] * (count > _MOST_ROWS)


def plain_table(title: str = "", notes: Sequence[str] = ()) -> Table:
    """Make an empty table for `rich.print`, with the notes below it, one per line. Markup in either is plain text."""
    return Table(
        title=Text(title) if title else None,
        title_justify="left",
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
