"""The output of `bench compare`: one pair as lines, several as a table, and the differences of their settings."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bench.report.text.setting_texts import setting_words
from bench.report.text.terminal import plain_table
from bench.results.analysis.comparing import SPEED_ONLY, Comparison, Difference, cause_order
from bench.results.analysis.intervals.scales import Interval
from bench.results.analysis.speed_samples import Shift
from bench.results.quantities import QUANTITIES, shown_in
from bench.results.quantities.quantity import COMPARISON

_RATIOS = {row.name: row.ratio for row in shown_in(COMPARISON) if row.ratio}  # column: its heading
_NOTE = (
    "[ ]: 95 % interval; *: significantly different. Ratios are second / first, of images/s (train, inference), "
    "latency (p95) and peak memory."
)
_WIDE = 100  # columns of a terminal from which on a change and its interval fit on one line


def comparison_lines(comparison: Comparison) -> list[str]:
    """Write the lines of one comparison: the quality with its interval, the speed by samples, then the ratios."""
    before, after = comparison.scores
    ratios = _ratio_lines(comparison)
    if not comparison.has_scores:
        return [comparison.reason, *ratios]
    told = f"{comparison.metric.heading} {before:.4f} -> {after:.4f} ({after - before:+.4f}"
    if comparison.change:
        told += (
            f", 95 % interval {comparison.change.low:+.4f} to {comparison.change.high:+.4f}): {_verdict(comparison)}"
        )
    else:
        told += f"): {comparison.reason}"
    return [told, *ratios]


def _ratio_lines(comparison: Comparison) -> list[str]:
    """Write the speeds by samples, then the ratios of summaries; a speed without samples says why there are none."""
    tested = {name: found for name, found in comparison.speeds.items() if isinstance(found, Shift)}
    lines = [f"{_spaced(name)}: {_shift_text(name, found)}" for name, found in tested.items()]
    for name, ratio in comparison.ratios.items():
        if name not in tested:
            why = comparison.speeds.get(name)
            lines.append(f"{_spaced(name)}: {_times(ratio)}" + (f" ({why})" if why else ""))
    return [*lines, *filter(None, [comparison.busy])]


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _shift_text(name: str, found: Shift) -> str:
    """Write `x 1.24 (1.19 to 1.3), significantly better: 3 pairs of trials, 30 of blocks, signed-rank p = 2e-06`."""
    verdict = "not significantly different"
    if found.processes < 2:
        verdict = "not separable from what differs between processes"
    elif found.is_significant:
        verdict = f"significantly {'better' if QUANTITIES[name].goodness(found.ratio.mean - 1) > 0 else 'worse'}"
    trials = "1 pair" if found.processes == 1 else f"{found.processes} pairs"
    return (
        f"{_times(found.ratio)}, {verdict}: {trials} of trials, {found.pairs} of blocks, signed-rank p = {found.p:.2g}"
    )


def _verdict(comparison: Comparison) -> str:
    if not comparison.is_significant:
        return "not significantly different"
    return f"significantly {'better' if _is_better(comparison) else 'worse'}"


def _is_better(comparison: Comparison) -> bool:
    """Return whether the second is better, by the metric's direction."""
    return comparison.change is not None and comparison.metric.goodness(comparison.change.mean) > 0


def _times(ratio: Interval) -> str:
    """Write a ratio as `x 1.24 (1.19 to 1.3)`; without the interval for one seed, or if nothing varies."""
    low, high = f"{ratio.low:.3g}", f"{ratio.high:.3g}"
    return f"x {ratio.mean:.3g}" + (f" ({low} to {high})" if low != high else "")


def comparison_table(comparisons: Sequence[Comparison], width: int) -> Table:
    """Make a table with a row per pair for a terminal of `width` columns; empty columns are left out."""
    reasons = list(dict.fromkeys(found.reason for found in comparisons if found.reason not in ("", SPEED_ONLY)))
    scores = [found.metric.heading if found.has_scores else "" for found in comparisons]
    names = list(dict.fromkeys(filter(None, scores)))
    columns = {
        "score": scores if len(names) > 1 else [],
        "first": [_score(found.scores[0]) for found in comparisons],
        "second": [_score(found.scores[1]) for found in comparisons],
        "change": [_change(found, reasons, " " if width >= _WIDE else "\n") for found in comparisons],
    }
    for name, heading in _RATIOS.items():
        columns[heading] = [_ratio_cell(found, name) for found in comparisons]
    shown = {heading: cells for heading, cells in columns.items() if any(cells)}
    notes = [_NOTE, *(f"?{number}: {reason}." for number, reason in enumerate(reasons, 1))]
    notes += [f"{found.label}: {found.busy}" for found in comparisons if found.busy]
    table = plain_table(f"Second against first: {', '.join(names) or 'speed-only trials'}", notes)
    table.add_column("configuration", overflow="fold")
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=heading != "score")
    for found, *cells in zip(comparisons, *shown.values(), strict=True):
        table.add_row(Text(found.label), *map(Text, cells))
    return table


def _ratio_cell(comparison: Comparison, name: str) -> str:
    """Write a ratio as `1.24x`, by samples if there are any; the star for significance, which only they can tell."""
    if isinstance(shift := comparison.speeds.get(name), Shift):
        return f"{shift.ratio.mean:.3g}x{'*' if shift.is_significant else ' '}"
    ratio = comparison.ratios.get(name)
    return f"{ratio.mean:.3g}x" if ratio else ""


def _score(score: float) -> str:
    return f"{score:.4f}" if score == score else ""


def _change(comparison: Comparison, reasons: Sequence[str], gap: str) -> str:
    """Write a change as `+0.0120 [0.0031,0.0209]*`, the star for significance; as `+0.0120 ?1` for the first reason."""
    before, after = comparison.scores
    change = f"{after - before:+.4f}" if comparison.has_scores else ""
    if comparison.change:
        mark = "*" if comparison.is_significant else " "
        return f"{change}{gap}[{comparison.change.low:.4f},{comparison.change.high:.4f}]{mark}"
    return f"{change} ?{reasons.index(comparison.reason) + 1}".strip() if comparison.reason in reasons else ""


def summary(comparisons: Sequence[Comparison]) -> str:
    """Sum up: `4 pairs: 1 significantly better, 0 significantly worse, 1 not significantly different, 2 speed-only.`"""
    different = [_is_better(found) for found in comparisons if found.is_significant]
    scored = sum(found.has_scores for found in comparisons)
    speed = sum(found.reason == SPEED_ONLY for found in comparisons)
    counts = {
        "significantly better": sum(different),
        "significantly worse": len(different) - sum(different),
        "not significantly different": scored - len(different),
    }
    told = [f"{count} {what}" for what, count in counts.items() if scored]
    others = {"speed-only": speed, "without a score on both sides": len(comparisons) - scored - speed}
    told += [f"{count} {what}" for what, count in others.items() if count]
    return f"{len(comparisons)} pairs: {', '.join(told)}."


def causes(comparisons: Sequence[Comparison]) -> Table | str:
    """Show what differs, likely causes first; for several pairs, in how many of them."""
    times: dict[Difference, int] = {}
    for comparison in comparisons:
        for found in comparison.differences:
            times[found] = times.get(found, 0) + 1
    if not times:
        return "No recorded setting differs."
    several = len(comparisons) > 1
    table = plain_table("What differs, likely causes first")
    for heading in ("differs in", "", "first", "second", *(["pairs"] if several else [])):
        table.add_column(heading)
    for found in sorted(times, key=cause_order):
        cells = [found.kind, setting_words(found.name), found.one, found.other]
        table.add_row(*map(Text, cells), *([f"{times[found]} of {len(comparisons)}"] if several else []))
    return table
