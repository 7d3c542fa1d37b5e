"""The cells of the leaderboard: how values are written, and what the tooltips say."""

from collections.abc import Sequence
from dataclasses import replace

from bench.report.columns import BUSY_MARK, busy_title
from bench.report.flags.flag import Flag
from bench.report.labels import weights_name
from bench.report.table_model import Cell, Row
from bench.report.text.setting_texts import setting_text, value_text
from bench.results.analysis.bootstrap import Uncertainty
from bench.results.analysis.configurations import Configuration, Spread
from bench.results.clean_text import shorten
from bench.results.quantities import EFFICIENCY_LIMIT, MISSING, PARAMS
from bench.results.quantities.quantity import LOWER, NOT_MEASURED, Metric, Quantity


def row_cells(member: Configuration, varied: Sequence[str], measured: Sequence[Quantity]) -> dict[str, Cell]:
    """Make the cells of a row's configuration and measured numbers; the caller adds rank and flags."""
    value = member.values
    cells = {
        "arch": Cell(value_text(value["arch"]) or MISSING, value_text(value["arch"])),
        "backbone": Cell(value_text(value["backbone"]) or MISSING, value_text(value["backbone"]) or None),
        "weights": Cell(shorten(weights_name(member), 24) or MISSING, weights_name(member), weights_name(member)),
        "seeds": _seeds(member),
    }
    for name in varied:
        known = value[name]
        text = setting_text(name, member) if name != "configuration" else value_text(known)[:6]
        cells[name] = Cell(text or MISSING, known if isinstance(known, float | int) else text)
    if value_text(value["tune"]):
        cells |= _tuning_cells(member)
    for column in (PARAMS, *measured):
        cells[column.name] = _marked(number_cell(member.spread(column.name), column), busy_title(column, member))
    return cells


def _tuning_cells(member: Configuration) -> dict[str, Cell]:
    tuning, total = member.spread("tuning_seconds").mean, member.total_seconds
    text = f"{value_text(member.values['tune'])} trials, {_time(tuning)}"
    parts = f"tuning {_time(tuning)}, the row's own trials {_time(total - tuning)}"
    return {
        "tuned": Cell(text, tuning, "chosen on the validation split"),
        "total_cost": Cell(_time(total), total, parts),
    }


def _time(seconds: float) -> str:
    """Write a time with two significant digits, in the unit that suits it: `1.9 h`, `12 min`, `45 s`."""
    unit, size = next(((u, s) for u, s in (("h", 3600.0), ("min", 60.0)) if seconds >= s), ("s", 1.0))
    number = seconds / size
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"


def _marked(cell: Cell, title: str) -> Cell:
    return replace(cell, text=f"{BUSY_MARK}{cell.text}", title=f"{title}; {cell.title}") if title else cell


def rank_cell(rank: int | None, span: tuple[int, int] | None) -> Cell:
    """Write a rank such as `2 (1\N{EN DASH}4)`: that of the tied group, and the range of possible ranks."""
    if rank is None or span is None:
        return Cell(MISSING)
    if span == (rank, rank):
        return Cell(str(rank), float(rank), "no other rank is possible")
    best, worst = span
    title = f"tied group at rank {rank}; ranks {best} to {worst} are possible"
    return Cell(f"{rank} ({best}\N{EN DASH}{worst})", float(rank), title)


def flags_cell(flagged: Sequence[Flag]) -> Cell:
    """Write the flags' names, with their evidence in the title; the cell sorts by their number."""
    text = ", ".join(flag.name for flag in flagged)
    evidence = "; ".join(f"{flag.name}: {flag.evidence}" for flag in flagged)
    return Cell(text, float(len(flagged)), evidence)


def score_cell(uncertainty: Uncertainty, plain: Cell, metric: Metric) -> Cell:
    """Write a score as `0.742 [0.731, 0.753]`; only the mean for one seed, whose interval ignores other seeds."""
    interval, write = uncertainty.interval, metric.write
    span = f"[{write(interval.low)}, {write(interval.high)}]"
    if not uncertainty.is_separable:
        title = f"one seed: not separable by seed; 95 % interval over the images only: {span}"
        title = title if metric.score.by_image else plain.title
        return Cell(write(interval.mean), interval.mean, title)
    return Cell(
        f"{write(interval.mean)} {span}", interval.mean, f"95 % interval over {metric.interval_over}; {plain.title}"
    )


def number_cell(spread: Spread, column: Quantity) -> Cell:
    """Write a number as `0.742 ± 0.006`, or only its mean with the spread in the title."""
    if spread.mean != spread.mean:
        why = NOT_MEASURED if column.missing == MISSING else column.missing
        return Cell(column.missing, None, f"only {spread.n} seeds have it" if spread.n else why)
    text = column.write(spread.mean)
    title = "one seed: no spread"
    if spread.sd is not None:
        sd = column.write(spread.sd)
        title = f"{text} ± {sd} (sample standard deviation over {spread.n} seeds)"
        text = f"{text} ± {sd}" if column.with_sd else text
    slow = column.name == "harness_efficiency" and spread.mean < EFFICIENCY_LIMIT
    if slow:
        title = f"below {EFFICIENCY_LIMIT}: limited by input or harness; {title}"
    return Cell(text, spread.mean, title, slow)


def _seeds(member: Configuration) -> Cell:
    listed = ", ".join(f"{seed:g}" for seed in member.good_seeds)
    title = f"seeds {listed}" if listed else "no seed is ok"
    if not member.failed:
        return Cell(str(member.seeds), float(member.seeds), title)
    said = f"{title}; see the trials that are not ok"
    return Cell(f"{member.seeds} ({member.not_ok})", float(member.seeds), said, True)


def shade(rows: Sequence[Row], column: Quantity) -> None:
    """Set how good each cell of a column is among the others, by its place, so that one outlier hides nothing."""
    cells = [row.cells[column.name] for row in rows]
    values = sorted({c.sort for c in cells if isinstance(c.sort, float)}, reverse=column.better == LOWER)
    if len(values) < 2:
        return
    heat = {value: round(100 * place / (len(values) - 1)) for place, value in enumerate(values)}
    for row, cell in zip(rows, cells, strict=True):
        if isinstance(cell.sort, float):
            row.cells[column.name] = replace(cell, heat=heat[cell.sort])
