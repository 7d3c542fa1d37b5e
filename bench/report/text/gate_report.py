"""The output of `bench check`: its verdict in one line, a table for the terminal, and JUnit XML for CI."""

from collections.abc import Sequence
from math import inf
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

from bench.report.text.terminal import plain_table
from bench.results.gate.limits import RATIOS
from bench.results.gate.verdict import (
    BENCHMARKS,
    BETTER,
    NOTED,
    OK,
    QUALITY,
    REGRESSION,
    SPEED,
    UNJUDGED,
    Line,
    exit_code,
)
from bench.results.quantities.performance import BENCHMARK_TIME

_STYLES = {REGRESSION: "bold red", BETTER: "green", UNJUDGED: "yellow", NOTED: "yellow", OK: ""}
HEADINGS = ("configuration", "metric", "baseline", "now", "change", "limit", "verdict")
ORDER = (REGRESSION, UNJUDGED, NOTED, BETTER, OK)
PARTS = (QUALITY, SPEED, BENCHMARKS)


def title(lines: Sequence[Line]) -> str:
    """Name the verdict over all lines: `regression in quality and speed`, or `no regression`."""
    if bad := [part for part in PARTS if any(_part(line) == part for line in lines if line.verdict == REGRESSION)]:
        return f"regression in {joined(bad)}"
    return "not everything could be judged" if any(line.verdict == UNJUDGED for line in lines) else "no regression"


def verdict(lines: Sequence[Line]) -> str:
    """Sum up in one line: `Verdict on quality and speed: no regression. 1 better, 5 within the limits.`"""
    parts = [part for part in PARTS if any(_part(line) == part for line in lines)]
    found = REGRESSION if len(parts) == 1 and exit_code(lines) == 1 else title(lines)
    return f"Verdict on {joined(parts)}: {found}. {summary(lines)}"


def summary(lines: Sequence[Line]) -> str:
    """Count the verdicts in one sentence: `1 regression, 2 not judged, 0 better, 5 within the limits.`"""
    counts = {verdict: sum(line.verdict == verdict for line in lines) for verdict in ORDER}
    parts = [
        *([f"{counts[REGRESSION]} regression{'' if counts[REGRESSION] == 1 else 's'}"] if counts[REGRESSION] else []),
        *([f"{counts[UNJUDGED]} not judged"] if counts[UNJUDGED] else []),
        *([f"{counts[NOTED]} not in the baseline"] if counts[NOTED] else []),
        f"{counts[BETTER]} better",
        f"{counts[OK]} within the limits",
    ]
    return ", ".join(parts) + "."


def noise(lines: Sequence[Line]) -> str:
    """Say what the noise of the timings can hide at most; empty without intervals of timings."""
    hidden = [
        ((1 + line.change) / (1 + line.low) - 1, line)
        for line in lines
        if line.metric in RATIOS and line.change is not None and line.low is not None and line.low > -1
    ]
    if not hidden:
        return ""
    most, line = max(hidden, key=lambda one: one[0])
    return f"Noise of these timings can hide that something is up to {most:.0%} slower ({line.subject}, {line.metric})."


def by_importance(lines: Sequence[Line]) -> list[Line]:
    """Sort by verdict, then by the size of the change as a share of the baseline's value; without a change: first."""

    def key(line: Line) -> tuple[int, float]:
        size = 1.0 if line.metric in RATIOS else abs(line.base or 1.0)
        return ORDER.index(line.verdict), -inf if line.change is None else -abs(line.change) / size

    return sorted(lines, key=key)


def joined(words: Sequence[str]) -> str:
    """Join words as in a sentence: `quality, speed and benchmarks`."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _part(line: Line) -> str:
    return BENCHMARKS if line.metric == BENCHMARK_TIME else SPEED if line.metric in (*RATIOS, SPEED) else QUALITY


def terminal_table(lines: Sequence[Line]) -> Table:
    """Make a table with a row per line, the most important first, and its reason in the place of the change."""
    table = plain_table()
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("baseline", "now") else "left", overflow="fold")
    for line in by_importance(lines):
        table.add_row(*map(Text, cells(line)), style=_STYLES[line.verdict])
    return table


def junit(lines: Sequence[Line]) -> bytes:
    """Write a test case per line: a regression is a failure, an unjudged value an error, a new one is skipped."""
    kinds = {REGRESSION: "failure", UNJUDGED: "error", NOTED: "skipped"}
    counts = {
        f"{kind}s" if kind != "skipped" else kind: sum(line.verdict == v for line in lines) for v, kind in kinds.items()
    }
    totals = {"tests": str(len(lines)), **{name: str(count) for name, count in counts.items()}}
    root = ElementTree.Element("testsuites", totals)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "bench check", **totals})
    for line in lines:
        case = ElementTree.SubElement(suite, "testcase", {"classname": line.subject, "name": line.metric})
        *_, base, new, change, limit, _ = cells(line)
        text = f"baseline {base}, now {new}, change {change}, limit {limit}"
        if kind := kinds.get(line.verdict):
            ElementTree.SubElement(case, kind, {"message": line.reason or text}).text = text
        else:
            ElementTree.SubElement(case, "system-out").text = text
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def cells(line: Line) -> tuple[str, ...]:
    """Return the texts of a line's row, under HEADINGS."""
    change = line.reason or _change(line)
    return line.subject, line.metric, _value(line, line.base), _value(line, line.new), change, line.limit, line.verdict


def _value(line: Line, value: float | None) -> str:
    if value is None:
        return ""
    if line.metric in RATIOS:
        return f"{value:.3g} ms"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"


def _change(line: Line) -> str:
    """Write a change as `-0.012 [-0.034, +0.010]`, or in per cent if only the ratio is meaningful."""
    if line.change is None:
        return ""
    values = [value for value in (line.change, line.low, line.high) if value is not None]
    if line.metric in RATIOS:
        texts = [f"{100 * value:+.1f}%" for value in values]
    elif line.low is None:
        texts = [f"{100 * line.change / abs(line.base):+.2f}%" if line.base else f"{line.change:+g}"]
    else:
        texts = [f"{value:+.4f}" for value in values]
    return texts[0] if len(texts) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"
