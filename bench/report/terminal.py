"""Budgets, labels and average ranks as tables for the terminal; the leaderboards' own are in tables.py."""

from rich.table import Table
from rich.text import Text

from bench.records.text import shorten
from bench.report.across import Across
from bench.report.columns import score_column
from bench.report.series import Line, Series, Winner, crossing_text, needs_text, value_name

_MOST_ROWS = 12
_MOST_CROSSINGS = 5
_BEST, _TIED = "*", "="


def series_table(series: Series) -> Table:
    """Every configuration's score at each value, who leads there, and what a score needs; best at the largest first."""
    leading = [crossing_text(series, crossing) for crossing in series.crossings if crossing.leads]
    score = score_column(series.score).heading
    notes = [
        f"{score}; {_BEST} leads, {_TIED} can't be told apart from it. Each value is a trial of its own.",
        *_first(leading, _MOST_CROSSINGS, "crossings"),
    ]
    table = _table(series.title, [*notes, *_left_out(len(series.lines), "configurations")])
    table.add_column("architecture", overflow="fold", ratio=1)
    for winner in series.winners:
        table.add_column(Text(value_name(series, winner.value)), justify="right", no_wrap=True)
    table.add_column(f"needs for {series.target:.2f}", justify="right")
    for line in series.lines[:_MOST_ROWS]:
        scores = [Text(_score(line, winner)) for winner in series.winners]
        table.add_row(Text(shorten(line.label, 120)), *scores, Text(needs_text(series, line)))
    return table


def _score(line: Line, winner: Winner) -> str:
    """`0.512*`: the mark takes a place where there is none too, so that the digits stand in a column."""
    point = line.at(winner.value)
    if point is None:
        return ""
    mark = _BEST if line is winner.best else _TIED if line in winner.tied else " "
    return f"{point.score:.3f}{mark}"


def across_table(across: Across) -> Table:
    """Mean rank and the rank on each data set, best first."""
    notes = [f"Mean ranks closer than {across.critical_difference:.2f} may be chance (Nemenyi test, 5 %)."]
    if across.friedman is not None:
        notes.append(f"That all are equal has p = {across.friedman:.2g} (Friedman test).")
    notes += [across.note] * bool(across.note)
    table = _table(f"{across.title}, on {across.device}", [*notes, *_left_out(len(across.places), "configurations")])
    table.add_column("architecture", overflow="fold", ratio=1)
    for heading in ("mean rank", *across.data_sets):
        table.add_column(Text(shorten(heading, 24)), justify="right")
    for place in across.places[:_MOST_ROWS]:
        ranks = (Text(f"{rank:g}") for rank in place.ranks)
        table.add_row(Text(shorten(place.label, 120)), f"{place.mean:.2f}", *ranks)
    return table


def _table(title: str, notes: list[str]) -> Table:
    caption = Text("\n".join(notes))
    return Table(title=Text(title), title_justify="left", caption=caption, caption_justify="left")


def _first(texts: list[str], most: int, what: str) -> list[str]:
    return texts[:most] + [f"and {len(texts) - most} {what} more"] * (len(texts) > most)


def _left_out(count: int, what: str) -> list[str]:
    return [f"Shown: {_MOST_ROWS} of {count} {what}, best first."] * (count > _MOST_ROWS)
