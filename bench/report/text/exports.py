"""The leaderboard for other programs: CSV, Parquet, JSON, and LaTeX tables."""

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.report.columns import MEASURED
from bench.report.table_model import Group, Row
from bench.results.clean_text import shorten
from bench.results.quantities import PARAMS

_MOST_TEX_ROWS = 40  # rows that fit on a page
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{c: f"\\{c}" for c in "&%$#_"},
}


def exports(groups: Sequence[Group]) -> dict[str, bytes]:
    """Return the contents of the files by their names."""
    frame = board_frame(groups)
    return {
        "leaderboard.csv": csv_text(frame).encode(),
        "leaderboard.parquet": frame.to_parquet(None, index=False),
        "leaderboard.json": json_text(frame).encode(),
        "leaderboard.tex": latex(groups).encode(),
    }


def board_frame(groups: Sequence[Group]) -> pd.DataFrame:
    """Make a frame with a row per configuration; results/README.md lists the columns.

    Numbers are not rounded, and `..._sd` is empty for one seed. `interval_low` and `interval_high` are of the score in
    `ranked_by`; for one seed they are over the images only.
    """
    classes = list(dict.fromkeys(name for group in groups for name in group.classes))
    numbers = list(
        dict.fromkeys([*(group.metric.name for group in groups), *(c.name for c in (*MEASURED, PARAMS)), *classes])
    )
    rows = [_row(group, row, numbers) for group in groups for row in group.rows]
    frame = pd.DataFrame(rows)
    for name in ("rank", "rank_best", "rank_worst", "seeds", "failed") if rows else ():
        frame[name] = frame[name].astype("Int64")
    return frame


def _row(group: Group, row: Row, numbers: Sequence[str]) -> dict[str, Any]:
    member = row.configuration
    best, worst = row.ranks or (None, None)
    interval = row.uncertainty.interval if row.uncertainty else None
    values: dict[str, Any] = {"rank": row.rank, "rank_best": best, "rank_worst": worst, "ranked_by": group.metric.name}
    values |= {"interval_low": interval.low if interval else None, "interval_high": interval.high if interval else None}
    values |= {name: value if isinstance(value, str) else float(str(value)) for name, value in member.values.items()}
    values |= {"seeds": member.seeds, "failed": member.failed, "total_seconds": member.total_seconds}
    values |= {"tuning_seconds": member.spread("tuning_seconds").mean}
    for name in numbers:
        spread = member.spread(name)
        values |= {name: spread.mean if spread.n else None, f"{name}_sd": spread.sd}
    return values | {"flags": "; ".join(flag.name for flag in row.flags)}


def csv_text(frame: pd.DataFrame) -> str:
    """Write a CSV line per configuration."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(_csv_cell, frame.columns))
    for row in _plain(frame).itertuples(index=False):
        writer.writerow(map(_csv_cell, row))
    return out.getvalue()


def _csv_cell(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would take for a formula (OWASP, CSV injection)."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return "" if value is None else value


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the values into Python's own types, with None for unknown values."""
    return frame.astype(object).where(frame.notna(), None)


def json_text(frame: pd.DataFrame) -> str:
    """Write a list of objects, one per line, with null for unknown values."""
    rows = [json.dumps(row, allow_nan=False) for row in _plain(frame).to_dict("records")]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def latex(groups: Sequence[Group]) -> str:
    """Write a booktabs table per group, with the columns that a terminal shows."""
    lines = [r"% \usepackage{booktabs}"]
    for group in groups:
        names = [name for name in group.columns if name in group.brief]
        headings = ["rank", "architecture", *(group.columns[name][0] for name in names)]
        lines += [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{rl{'r' * len(names)}}}", r"\toprule"]
        lines += [_line(headings), r"\midrule"]
        lines += [
            _line([row.cells["rank"].text, row.label, *(row.cells[name].text for name in names)])
            for row in group.ranked[:_MOST_TEX_ROWS]
        ]
        more = len(group.ranked) - _MOST_TEX_ROWS
        notes = " ".join(
            [*([f"The best {_MOST_TEX_ROWS} of {len(group.ranked)} rows."] if more > 0 else []), *group.notes]
        )
        lines += [
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{tex(group.title)}. {tex(notes)}}}",
            r"\end{table}",
            "",
        ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(tex(shorten(cell, 100)) for cell in cells) + r" \\"


def tex(text: str) -> str:
    """Escape text so that LaTeX prints it as it is."""
    escaped = "".join(_TEX.get(c, c) for c in " ".join(text.split()))
    return re.sub("[\N{EN DASH}\N{EM DASH}]", "--", escaped).replace("\N{PLUS-MINUS SIGN}", r"$\pm$")
