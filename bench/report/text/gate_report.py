"""The output of `bench check`: a table for the terminal, Markdown for a pull request, and JUnit XML for CI."""

from collections.abc import Sequence
from xml.etree import ElementTree

from rich.table import Table
from rich.text import Text

from bench.report.text.tables import markdown_cell
from bench.report.text.terminal import plain_table
from bench.results.gate.judge import BETTER, NOTED, OK, REGRESSION, UNJUDGED, Line
from bench.results.gate.limits import RATIOS

_STYLES = {REGRESSION: "bold red", BETTER: "green", UNJUDGED: "yellow", NOTED: "yellow", OK: ""}
_HEADINGS = ("configuration", "metric", "baseline", "now", "change", "limit", "verdict")
_ORDER = (REGRESSION, UNJUDGED, NOTED, BETTER, OK)


def summary(lines: Sequence[Line]) -> str:
    """Sum up in one sentence: `1 regression, 2 not judged, 0 better, 5 within the limits.`"""
    counts = {verdict: sum(line.verdict == verdict for line in lines) for verdict in _ORDER}
    parts = [
        f"{counts[REGRESSION] or 'no'} regression{'' if counts[REGRESSION] == 1 else 's'}",
        *([f"{counts[UNJUDGED]} not judged"] if counts[UNJUDGED] else []),
        *([f"{counts[NOTED]} not in the baseline"] if counts[NOTED] else []),
        f"{counts[BETTER]} better",
        f"{counts[OK]} within the limits",
    ]
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def terminal_table(lines: Sequence[Line]) -> Table:
    """Make a table with a row per line, and its reason in the place of the change."""
    table = plain_table()
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in ("baseline", "now") else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, _cells(line)), style=_STYLES[line.verdict])
    return table


def markdown(lines: Sequence[Line]) -> str:
    """Write a GitHub table, the most important rows first; short enough for a comment."""
    heading = "Regression" if any(line.verdict == REGRESSION for line in lines) else "No regression"
    if heading == "No regression" and any(line.verdict == UNJUDGED for line in lines):
        heading = "Not everything could be judged"
    rows = sorted(lines, key=lambda line: _ORDER.index(line.verdict))
    table = [f"| {' | '.join(map(markdown_cell, _cells(line)))} |" for line in rows]
    rule = "| --- | --- | ---: | ---: | --- | --- | --- |"
    return "\n".join(
        [f"### bench check: {heading}", "", summary(lines), "", f"| {' | '.join(_HEADINGS)} |", rule, *table, ""]
    )


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
        *_, base, new, change, limit, _ = _cells(line)
        text = f"baseline {base}, now {new}, change {change}, limit {limit}"
        if kind := kinds.get(line.verdict):
            ElementTree.SubElement(case, kind, {"message": line.reason or text}).text = text
        else:
            ElementTree.SubElement(case, "system-out").text = text
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _cells(line: Line) -> tuple[str, ...]:
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
